"""The API as one ASGI application: the composition root of the serving layer."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from conf.settings import Settings, get_settings
from core.logs import get_logger
from serving_layer import (
    events,
    explain_route,
    handoffs,
    health,
    keys_route,
    live_route,
    pages,
    versions,
    views,
)
from serving_layer.garbage import spare_what_stays
from serving_layer.heads import Heads, with_head
from serving_layer.live import Live, Watched
from serving_layer.metrics import Measured
from serving_layer.openapi import describe
from serving_layer.ports import IndexBroken
from serving_layer.problems import Problem, problem_response
from serving_layer.services import Services, build
from serving_layer.stopping import before_stop

__all__ = ["create_app", "from_environment"]


def create_app(settings: Settings, services: Services | None = None) -> FastAPI:
    """The application over `services`, or over the real ones that `settings` name."""
    services = services or build(settings)
    app = FastAPI(
        title="Lambda platform", version="1", docs_url=None, redoc_url=None, lifespan=_lifespan,
        description="Views defined once, recomputed by Spark, kept fresh in Redis, merged exactly here.",
    )  # fmt: skip
    app.state.services, app.state.settings = services, settings
    app.state.live = _live(services, settings)
    routers = (views, keys_route, explain_route, live_route, handoffs, health, versions, events, pages)
    for router in (each.router for each in routers):
        app.include_router(router)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(IndexBroken, _index_broken)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(Measured, metrics=services.metrics)
    app.add_middleware(Heads)
    describe(app, services.application)
    return app


def from_environment() -> FastAPI:
    """What uvicorn's processes call."""
    settings = get_settings()
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_follow_parent, name="follow-parent", daemon=True).start()
    app = create_app(settings, build(settings))
    before_stop(app.state.live.end)
    spare_what_stays()
    return app


def _live(services: Services, settings: Settings) -> Live:
    watched = {
        name: Watched(services.desks[name].versions, changes) for name, changes in services.changes.items()
    }
    ask, concern = partial(views.answer, services), partial(views.concern, services)
    return Live(ask, concern, watched, settings.live_listeners, settings.live_heartbeat)


def _follow_parent() -> None:
    """A process whose parent was killed would go on listening, and nobody would look after it."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await app.state.services.start()
    app.state.live.start()
    yield
    await app.state.live.stop()
    await app.state.services.stop()


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error, request.url.path)


async def _index_broken(request: Request, error: Exception) -> Response:
    get_logger("api").error("index_unavailable", reason=str(error))
    return problem_response(
        Problem("index-unavailable", str(error), headers={"Retry-After": "5"}), request.url.path
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
    detail = f"{request.method} {request.url.path}: {error.detail}; GET / lists what there is"
    return problem_response(
        Problem(kind, detail, headers=with_head(error.headers)), request.url.path, status=error.status_code
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"field": ".".join(map(str, each["loc"])), "value": each.get("input"), "allowed": each["msg"]}
        for each in error.errors()
    ]
    return problem_response(
        Problem("invalid-request", f"{len(faults)} faults: {faults[0]['field']}", errors=faults),
        request.url.path,
    )


async def _bug(request: Request, error: Exception) -> Response:
    get_logger("api").error("bug", path=request.url.path, reason=repr(error))
    return problem_response(Problem("internal-error", "see the log of the API"), request.url.path)
