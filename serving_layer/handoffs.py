"""Routes of hand-off checks: what each publish found when it held the speed state against the log."""

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from core.errors import UnknownName
from core.handoffs import Handoffs, summary
from serving_layer.openapi import HANDOFF, HANDOFFS
from serving_layer.problems import Problem
from serving_layer.rendering import Json
from serving_layer.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["handoffs"])

_USUAL, _MOST = 20, 100
_LARGEST = 1 << 62


@router.get("/handoffs", summary="The newest checks", response_class=Json, openapi_extra=HANDOFFS)
async def list_handoffs(request: Request) -> Response:
    """The newest first: which segments, whether they could be checked, and the verdict."""
    given = _parameters(request.query_params, ("source", "limit"))
    count = _whole("limit", given.get("limit", str(_USUAL)), _MOST)
    source, handoffs = _of(request, given.get("source"))
    found = await asyncio.to_thread(handoffs.last, count)
    return Json({"source": source, "handoffs": [summary(entry) for entry in found]})


@router.get("/handoffs/{version}", summary="One check", response_class=Json, openapi_extra=HANDOFF)
async def one_handoff(request: Request) -> Response:
    """What the publish of a version found, for each view and measure; of several tries the last one."""
    given = _parameters(request.query_params, ("source",))
    source, handoffs = _of(request, given.get("source"))
    version = _whole("version", request.path_params["version"], _LARGEST)
    found = await asyncio.to_thread(handoffs.of_version, version)
    if found is None:
        newest = await asyncio.to_thread(handoffs.newest)
        allowed = f"1 to {newest['version']}" if newest else "none yet: nothing was published"
        raise Problem.of_field("unknown-handoff", "version", version, allowed)
    return Json({"source": source, **found})


def _of(request: Request, source: str | None) -> tuple[str, Handoffs]:
    """The checks of a source, which need not be named where there is only one."""
    services: Services = request.app.state.services
    try:
        name = services.application.source(source).source.name
    except UnknownName as error:
        raise Problem.of_field("unknown-source", "source", source, error.known, str(error)) from error
    return name, services.statuses[name].handoffs


def _parameters(given: QueryParams, known: tuple[str, ...]) -> dict[str, Any]:
    for name in given:
        if name not in known:
            raise Problem.of_field("unknown-parameter", name, given[name], list(known))
        if len(values := given.getlist(name)) > 1:
            raise Problem.of_field("repeated-parameter", name, values, "one value")
    return dict(given)


def _whole(name: str, text: str, most: int) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:20]) <= most:
        raise Problem.of_field("invalid-request", name, text, f"a whole number from 1 to {most}")
    return int(text)
