"""The events API: a user's own events, checked by the contract and written to the log."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.application import BoundSource
from serving_layer.admission import admit, bound_source, whole_body
from serving_layer.bodies import MAX_BYTES, Accepted, read_events
from serving_layer.event_log import EventLog, LogRefuses, LogSilent, Position
from serving_layer.openapi import EVENTS
from serving_layer.problems import Problem
from serving_layer.rendering import Json
from serving_layer.services import Services

__all__ = ["router"]

RETRY_AFTER = "5"
router = APIRouter(prefix="/v1", tags=["events"])


@router.post(
    "/events/{source}", summary="Send events", status_code=202, response_class=Json, openapi_extra=EVENTS
)
async def send_events(request: Request) -> Response:
    """One event, or an array of at most 1,000. 202 once every replica in sync has all of them."""
    services: Services = request.app.state.services
    admit(request, services.admin_key)
    bound = bound_source(services, request.path_params["source"])
    body = await whole_body(request, MAX_BYTES)
    events, positions = await asyncio.to_thread(_accept, body, bound, services.log)
    services.metrics.events.labels(bound.source.name).inc(len(events))
    return Json(
        {
            "accepted": len(events),
            "topic": bound.source.topic,
            "positions": [
                {"event_id": event.event_id, "partition": place.partition, "offset": place.offset}
                for event, place in zip(events, positions, strict=True)
            ],
        },
        202,
    )


def _accept(body: bytes, bound: BoundSource, log: EventLog) -> tuple[Sequence[Accepted], Sequence[Position]]:
    """Checks and writes. Runs in a thread: parsing takes a while, and Kafka longer."""
    events = read_events(body, bound.contract)
    try:
        return events, log.append(
            bound.source.topic, [(each.event_id.encode(), each.value) for each in events]
        )
    except LogRefuses as error:
        raise Problem("log-unusable", str(error), field="source", value=bound.source.name) from error
    except LogSilent as error:
        detail = f"{error}; some events may be in the log: send all again, event_id tells them apart"
        raise Problem("log-unavailable", detail, headers={"Retry-After": RETRY_AFTER}) from error
