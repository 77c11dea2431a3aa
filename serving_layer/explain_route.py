"""The route that explains a number."""

from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.repeatable import repeatable
from serving_layer.admission import admit
from serving_layer.events_behind import parse_listing
from serving_layer.explain_openapi import EXPLAIN
from serving_layer.past import take_past
from serving_layer.questions import parse_question
from serving_layer.rendering import Json
from serving_layer.services import Services
from serving_layer.views import owner

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["views"])


@router.get("/views/{view}/explain", summary="Explain a number", response_class=Json, openapi_extra=EXPLAIN)
async def explain(request: Request) -> Response:
    """The answer to a question, what each layer read and added, and the events behind it, page by page."""
    services: Services = request.app.state.services
    bound = owner(services, request.path_params["view"])
    past, given = take_past(request.query_params.multi_items())
    page, given = parse_listing(given)
    question = parse_question(bound.view(request.path_params["view"]), given, services.clock)
    if "X-Admin-Key" in request.headers:
        admit(request, services.admin_key)
        page = replace(page, unmasked=True)
    explainer = services.explainers[bound.source.name]
    if past is None:
        return Json(await explainer.explain(question, page))
    moment = await explainer.past.moment(past)
    steady = replace(question, view=repeatable(question.view))
    return Json(await explainer.explain_past(moment, steady, page))
