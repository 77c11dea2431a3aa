"""The versions API: which there are, and moving readers back and forward."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.errors import UnknownVersion, VersionRefused
from core.folders import Folders
from core.manifest import Pointer
from core.versions import Versions
from serving_layer.admission import admit, bound_source, whole_body
from serving_layer.openapi import ROLLBACK, ROLLFORWARD, VERSIONS
from serving_layer.problems import Problem
from serving_layer.rendering import Json
from serving_layer.services import Services

__all__ = ["router"]

_MAX_BYTES = 1 << 10
Move = Callable[[Versions, str], Pointer]
router = APIRouter(prefix="/v1", tags=["versions"])


@router.get("/versions", summary="Published versions", response_class=Json, openapi_extra=VERSIONS)
async def versions(request: Request) -> Response:
    """The newest versions of each source and those that readers can be moved to, newest first."""
    sources = request.app.state.services.application.sources
    listed = await asyncio.gather(*(asyncio.to_thread(_listed, _of(request, name)) for name in sources))
    return Json({"sources": [{"source": name} | told for name, told in zip(sources, listed, strict=True)]})


@router.post(
    "/versions/{source}/rollback", summary="Use an older version", response_class=Json, openapi_extra=ROLLBACK
)
async def roll_back(request: Request) -> Response:
    """Readers use `version` within a fraction of a second; scheduled runs publish nothing until that ends."""
    version = await _version(request)
    if version is None:
        raise Problem.of_field("bad-version", "version", None, "the number of an older version")
    return await _moved(request, lambda versions, at: versions.roll_back(version, at))


@router.post(
    "/versions/{source}/rollforward",
    summary="Undo roll-backs",
    response_class=Json,
    openapi_extra=ROLLFORWARD,
)
async def roll_forward(request: Request) -> Response:
    """Readers use `version`, or without it the newest that was published."""
    version = await _version(request)
    return await _moved(request, lambda versions, at: versions.roll_forward(version, at))


def _of(request: Request, source: str) -> Versions:
    return Versions(Folders(request.app.state.settings.data_dir, source))


def _listed(versions: Versions) -> dict[str, Any]:
    return {"held_back_from": versions.held(), "versions": [each.report() for each in versions.all()]}


async def _version(request: Request) -> int | None:
    """The version that the body names; None if it names none. Asks for the admin key first."""
    services: Services = request.app.state.services
    admit(request, services.admin_key)
    bound_source(services, request.path_params["source"])
    body = await whole_body(request, _MAX_BYTES)
    try:
        asked = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise Problem("bad-json", f"the body is not JSON in UTF-8: {error}", field="body") from error
    return _number(asked)


def _number(asked: object) -> int | None:
    if not isinstance(asked, Mapping) or not asked.keys() <= {"version"}:
        raise Problem.of_field("bad-version", "body", asked, 'an object such as {"version": 3}')
    version = asked.get("version")
    if version is not None and (type(version) is not int or version < 1):
        raise Problem.of_field("bad-version", "version", version, "a number from 1 on")
    return version


async def _moved(request: Request, move: Move) -> Response:
    source, services = request.path_params["source"], request.app.state.services
    versions, at = _of(request, source), datetime.fromtimestamp(services.clock(), UTC).isoformat()
    try:
        pointer = await asyncio.to_thread(move, versions, at)
    except VersionRefused as error:
        kind = "unknown-version" if isinstance(error, UnknownVersion) else "version-refused"
        raise Problem.of_field(kind, "version", error.version, error.retained, str(error)) from error
    held = await asyncio.to_thread(versions.held)
    return Json({"source": source, "pointer": asdict(pointer), "held_back_from": held})
