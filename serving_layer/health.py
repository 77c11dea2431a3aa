"""Routes of operation: status, liveness, readiness, metrics."""

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_layer.openapi import LIVE, METRICS, READY, STATUS
from serving_layer.rendering import Json
from serving_layer.services import Services

__all__ = ["router"]

router = APIRouter(tags=["operation"])


@router.get("/v1/status", summary="Where every process stands", response_class=Json, openapi_extra=STATUS)
async def status(request: Request) -> Response:
    """Versions, boundary and lag of each source; what could not be found out stands in its `reasons`."""
    return Json(await _status(request.app.state.services))


@router.get("/healthz", summary="Is this process alive", response_class=Json, openapi_extra=LIVE)
async def live() -> Response:
    """Says yes as long as it can."""
    return Json({"alive": True})


@router.get("/readyz", summary="Can this process answer", response_class=Json, openapi_extra=READY)
async def ready(request: Request) -> Response:
    """200 once definitions are loaded and a first look was taken; `missing` names what is away."""
    report = await _status(request.app.state.services)
    missing = {one["source"]: one["reasons"] for one in report["sources"] if one["reasons"]}
    return Json({"ready": True, "views": report["views"], "missing": missing})


@router.get("/metrics", summary="Prometheus metrics", response_class=Response, openapi_extra=METRICS)
async def metrics(request: Request) -> Response:
    """The text format, over all processes of the API."""
    services: Services = request.app.state.services
    for report in (await _status(services))["sources"]:
        _note(services, report)
    return Response(services.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _status(services: Services) -> dict[str, Any]:
    reports = await asyncio.gather(*(status.report() for status in services.statuses.values()))
    views = [name for bound in services.application.sources.values() for name in bound.views]
    return {"now": datetime.fromtimestamp(services.clock()).astimezone(), "views": views, "sources": reports}


def _note(services: Services, report: dict[str, Any]) -> None:
    """Set the gauges of one source; what is not known now keeps its last value out of the way: NaN."""
    shown, source = services.metrics, report["source"]
    batch, speed = report["batch"] or {}, report["speed"] or {}
    for process, stand in (("archive", report["archive"]), ("batch", batch), ("speed", speed)):
        shown.lag.labels(source, process).set(_number(stand.get("lag_records")))
    shown.age.labels(source).set(_number(speed.get("lag_seconds")))
    shown.complete.labels(source).set(speed.get("lag_seconds") is not None)
    shown.version.labels(source).set(_number(batch.get("version")))
    shown.alarms.labels(source).set((report["handoff"] or {"alarms": 0})["alarms"])
    shown.boundary.labels(source).set(_number(batch.get("boundary")))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
