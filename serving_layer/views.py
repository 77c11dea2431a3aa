"""Routes of views: the catalogue, and questions."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.application import BoundSource
from core.errors import UnknownName
from core.faults import reach
from core.identity import uses_persons
from serving_layer.answers import compose
from serving_layer.catalogue import describe_all
from serving_layer.interests import Interest, interest_of
from serving_layer.openapi import ASK, LIST
from serving_layer.past import take_past
from serving_layer.problems import Problem
from serving_layer.questions import parse_question
from serving_layer.rendering import Json
from serving_layer.services import Services

__all__ = ["answer", "concern", "owner", "router"]

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
    name, given = request.path_params["view"], request.query_params.multi_items()
    past, given = take_past(given)
    if past is not None:
        bound = owner(services, name)
        question = parse_question(bound.view(name), given, services.clock)
        return Json(await services.pasts[bound.source.name].answer(past, question))
    return Json(await answer(services, name, given, rendered=True))


async def answer(
    services: Services, name: str, given: Iterable[tuple[str, str]], rendered: bool = False
) -> dict[str, Any]:
    """What is answered to the parameters `given`; with `rendered`, rows may be JSON already.

    Raises `Problem` or `IndexBroken`.
    """
    bound = owner(services, name)
    question = parse_question(bound.view(name), given, services.clock)
    source = bound.source.name
    # rows of persons are no matter of a version alone, and are made anew
    if rendered and question.edges is not None and not uses_persons(question.view):
        told = await services.series[source].answer(question)
    else:
        desk = services.desks[source]
        told = compose(question, await desk.ask(question), desk.shown)
    reach("api.answer")
    services.metrics.answers.labels(name, "true" if told["complete"] else "false").inc()
    return told


def concern(services: Services, name: str, given: Iterable[tuple[str, str]]) -> Interest:
    """What the answer to the parameters `given` depends on now. Raises `Problem`."""
    bound = owner(services, name)
    question = parse_question(bound.view(name), given, services.clock)
    return interest_of(question, services.desks[bound.source.name].pairs)


def owner(services: Services, name: str) -> BoundSource:
    """The source of a view. Raises `Problem` with the views there are."""
    try:
        return services.application.owner(name)
    except UnknownName as error:
        raise Problem("unknown-view", str(error), field="view", value=name, allowed=error.known) from error
