"""Routes of views: the catalogue, and questions."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.errors import UnknownName
from core.faults import reach
from serving_layer.answers import compose
from serving_layer.catalogue import describe_all
from serving_layer.openapi import ASK, LIST
from serving_layer.problems import Problem
from serving_layer.questions import parse_question
from serving_layer.rendering import Json
from serving_layer.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["views"])


@router.get("/views", summary="What views there are", response_class=Json, openapi_extra=LIST)
async def list_views(request: Request) -> Response:
    """Every view: its source, what it means, its key, its measures, and how fine it is in time."""
    services: Services = request.app.state.services
    return Json(describe_all(services.application))


@router.get("/views/{view}", summary="Ask a view", response_class=Json, openapi_extra=ASK)
async def ask_view(request: Request) -> Response:
    """Measures of one key over [from, to): merged, and what each layer contributed."""
    services: Services = request.app.state.services
    name = request.path_params["view"]
    try:
        bound = services.application.owner(name)
    except UnknownName as error:
        raise Problem("unknown-view", str(error), field="view", value=name, allowed=error.known) from error
    question = parse_question(bound.view(name), request.query_params.multi_items())
    desk = services.desks[bound.source.name]
    evidence = await desk.ask(question)
    reach("api.answer")
    answer = compose(question, evidence, desk.shown)
    services.metrics.answers.labels(name, "true" if answer["complete"] else "false").inc()
    return Json(answer)
