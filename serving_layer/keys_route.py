"""Routes about several keys of a view: those that are named, those of a prefix, those with the most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.faults import reach
from core.repeatable import repeatable
from core.views import CompiledView
from serving_layer.admission import whole_body
from serving_layer.bodies import MAX_BYTES
from serving_layer.gathering import KeysDesk
from serving_layer.key_answers import compose_page, compose_query, compose_ranking
from serving_layer.keys_openapi import PAGE, QUERY, TOP
from serving_layer.listings import parse_page, parse_ranking
from serving_layer.past import take_past
from serving_layer.past_desks import Moment
from serving_layer.queries import parse_query
from serving_layer.rendering import Json
from serving_layer.services import Services
from serving_layer.views import owner

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["views"])


@router.post("/views/{view}/query", summary="Ask many keys", response_class=Json, openapi_extra=QUERY)
async def ask_many(request: Request) -> Response:
    """One question asked of up to 1,000 keys, with one trip to each store."""
    asked = await _asked(request)
    query = parse_query(asked.view, await whole_body(request, MAX_BYTES), asked.services.clock)
    return asked.told(await compose_query(query, await asked.desk.ask(query)))


@router.get("/views/{view}/keys", summary="List keys", response_class=Json, openapi_extra=PAGE)
async def list_keys(request: Request) -> Response:
    """The keys that begin with the parts given, page by page, with their measures."""
    asked = await _asked(request)
    page = parse_page(asked.view, asked.given, asked.services.clock)
    return asked.told(await compose_page(page, await asked.desk.page(page)))


@router.get("/views/{view}/top", summary="Rank keys", response_class=Json, openapi_extra=TOP)
async def rank_keys(request: Request) -> Response:
    """The keys with the most of a measure, of all that begin with the parts given."""
    asked = await _asked(request)
    ranking = parse_ranking(asked.view, asked.given, asked.services.clock)
    return asked.told(await compose_ranking(ranking, await asked.desk.rank(ranking)))


@dataclass(frozen=True)
class _Asked:
    """A view and who answers about it: as of now, or as of a `moment` of the past."""

    services: Services
    view: CompiledView
    desk: KeysDesk
    given: Sequence[tuple[str, str]]
    moment: Moment | None = None

    def told(self, answer: dict[str, Any]) -> Response:
        reach("api.answer")
        told = answer if self.moment is None else self.moment.tell(answer)
        complete = "true" if told["complete"] else "false"
        self.services.metrics.answers.labels(self.view.name, complete).inc()
        return Json(told)


async def _asked(request: Request) -> _Asked:
    services: Services = request.app.state.services
    past, given = take_past(request.query_params.multi_items())
    bound, name = owner(services, request.path_params["view"]), request.path_params["view"]
    view, desk, pasts = bound.view(name), services.desks[bound.source.name], services.pasts
    if past is None:
        return _Asked(services, view, KeysDesk(desk, services.ranked_keys), given)
    moment = await pasts[bound.source.name].moment(past)
    then = KeysDesk(pasts[bound.source.name].desk(moment), services.ranked_keys)
    return _Asked(services, repeatable(view), then, given, moment)
