"""Prometheus metrics of the API, over all of its processes where PROMETHEUS_MULTIPROC_DIR names a folder."""

import os
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Measured", "Metrics"]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """What is counted. One for each app; processes share numbers through files, never through memory."""

    def __init__(self) -> None:
        own = self._own = CollectorRegistry()
        self.requests = Counter(
            "lambda_requests", "Requests by route and status.", ["method", "route", "status"], registry=own
        )
        self.seconds = Histogram(
            "lambda_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=own
        )
        self.answers = Counter(
            "lambda_answers", "Answers, complete or not.", ["view", "complete"], registry=own
        )
        self.events = Counter(
            "lambda_events_accepted", "Events written to the log.", ["source"], registry=own
        )
        self.lag = self._gauge("lambda_lag_records", "Records a process is behind.", "source", "process")
        self.age = self._gauge("lambda_as_of_age_seconds", "Age of what answers are as of.", "source")
        self.complete = self._gauge("lambda_complete", "1 while the speed state is vouched for.", "source")
        self.version = self._gauge("lambda_version", "Published version in use.", "source")
        self.alarms = self._gauge(
            "lambda_handoff_alarms", "Publishes that found the speed state unlike the log.", "source"
        )
        self.boundary = self._gauge("lambda_boundary", "Boundary in use, a cut's number.", "source")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._own, multiprocess_mode="mostrecent")

    def render(self) -> bytes:
        """The text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return bytes(generate_latest(self._own))
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return bytes(generate_latest(together))


class Measured:
    """Counts and times requests by the route they found."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            # a label's values are kept for ever, and a method can be any word
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - began)
