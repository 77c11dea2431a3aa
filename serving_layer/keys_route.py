"""Routes about several keys of a view: those that are named, those of a prefix, those with the most."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.faults import reach
from core.views import CompiledView
from serving_layer.admission import whole_body
from serving_layer.bodies import MAX_BYTES
from serving_layer.gathering import KeysDesk
from serving_layer.key_answers import compose_page, compose_query, compose_ranking
from serving_layer.keys_openapi import PAGE, QUERY, TOP
from serving_layer.listings import parse_page, parse_ranking
from serving_layer.queries import parse_query
from serving_layer.rendering import Json
from serving_layer.services import Services
from serving_layer.views import owner

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["views"])


@router.post("/views/{view}/query", summary="Ask many keys", response_class=Json, openapi_extra=QUERY)
async def ask_many(request: Request) -> Response:
    """One question asked of up to 1,000 keys, with one trip to each store."""
    services, view, desk = _asked(request)
    query = parse_query(view, await whole_body(request, MAX_BYTES), services.clock)
    return _told(services, view, await compose_query(query, await desk.ask(query)))


@router.get("/views/{view}/keys", summary="List keys", response_class=Json, openapi_extra=PAGE)
async def list_keys(request: Request) -> Response:
    """The keys that begin with the parts given, page by page, with their measures."""
    services, view, desk = _asked(request)
    page = parse_page(view, request.query_params.multi_items(), services.clock)
    return _told(services, view, await compose_page(page, await desk.page(page)))


@router.get("/views/{view}/top", summary="Rank keys", response_class=Json, openapi_extra=TOP)
async def rank_keys(request: Request) -> Response:
    """The keys with the most of a measure, of all that begin with the parts given."""
    services, view, desk = _asked(request)
    ranking = parse_ranking(view, request.query_params.multi_items(), services.clock)
    return _told(services, view, await compose_ranking(ranking, await desk.rank(ranking)))


def _asked(request: Request) -> tuple[Services, CompiledView, KeysDesk]:
    services: Services = request.app.state.services
    name = request.path_params["view"]
    bound = owner(services, name)
    desk = KeysDesk(services.desks[bound.source.name], services.ranked_keys)
    return services, bound.view(name), desk


def _told(services: Services, view: CompiledView, told: dict[str, Any]) -> Response:
    reach("api.answer")
    services.metrics.answers.labels(view.name, "true" if told["complete"] else "false").inc()
    return Json(told)
