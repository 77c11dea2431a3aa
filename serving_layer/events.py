"""The events API: a user's own events, checked by the contract and written to the log."""

import asyncio
import hmac
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.application import BoundSource
from core.errors import UnknownName
from serving_layer.bodies import MAX_BYTES, Accepted, read_events
from serving_layer.openapi import EVENTS
from serving_layer.ports import EventLog, LogRefuses, LogSilent, Position
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
    _admit(request, services.admin_key)
    bound = _bound(services, request.path_params["source"])
    body = await _body(request)
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


def _admit(request: Request, key: str) -> None:
    given = request.headers.get("X-Admin-Key", "")
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode()):
        detail = "the header X-Admin-Key is " + ("not the admin key" if given else "missing")
        raise Problem(
            "admin-key-needed",
            f"{detail}; its file is LAMBDA_ADMIN_KEY_FILE, or secrets/admin.key in the data folder",
            headers={"WWW-Authenticate": "X-Admin-Key"}, field="X-Admin-Key", value=None,
            allowed="the admin key",
        )  # fmt: skip


def _bound(services: Services, name: str) -> BoundSource:
    try:
        return services.application.source(name)
    except UnknownName as error:
        raise Problem(
            "unknown-source", str(error), field="source", value=name, allowed=error.known
        ) from error


async def _body(request: Request) -> bytes:
    """The whole body; given up as soon as it is too large, whatever its header says."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MAX_BYTES:
            raise Problem.of_field(
                "too-large", "body", f"over {MAX_BYTES} bytes", f"at most {MAX_BYTES} bytes"
            )
    return bytes(found)


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
