"""The route of live answers: `GET /v1/views/{view}/live`, server-sent events."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from serving_layer.listeners import Listener
from serving_layer.live import Live
from serving_layer.live_openapi import LISTEN
from serving_layer.past import take_past
from serving_layer.problems import Problem
from serving_layer.questions import parse_question
from serving_layer.services import Services
from serving_layer.views import owner

__all__ = ["router"]

MEDIA_TYPE = "text/event-stream"
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events back
}

router = APIRouter(prefix="/v1", tags=["views"])


class LiveResponse(StreamingResponse):
    """Events for as long as the client stays, or until this process stops."""

    media_type = MEDIA_TYPE

    def __init__(self, live: Live, listener: Listener) -> None:
        super().__init__(listener.pieces(), headers=_HEADERS)
        self._live, self._listener = live, listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.leave(self._listener)


@router.get(
    "/views/{view}/live", summary="Listen to a view", response_class=StreamingResponse, openapi_extra=LISTEN
)
async def listen_to_view(request: Request) -> Response:
    """The answer to the same question without `/live`, and a new one whenever it changes."""
    services: Services = request.app.state.services
    live: Live = request.app.state.live
    name, given = request.path_params["view"], request.query_params.multi_items()
    bound = owner(services, name)
    past, _ = take_past(given)
    if past is not None:
        raise Problem.of_field("bad-past", past.field, past.text, "left out: the past does not change")
    parse_question(bound.view(name), given, services.clock)
    if request.scope.get("without_body"):
        return Response(headers=_HEADERS, media_type=MEDIA_TYPE)
    last = request.headers.get("Last-Event-ID")
    listener = await live.join(bound.source.name, name, tuple(given), last)
    return LiveResponse(live, listener)
