"""What the application counts, and GET /metrics."""

import os
from functools import cache
from time import perf_counter

from fastapi import APIRouter, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observatory.directories import runtime_directory
from observatory.identity import RELEASE, STARTED
from observatory.metrics_store import locked, process_name, retire_gone_workers

DIRECTORY = runtime_directory() / "metrics"
DIRECTORY.mkdir(parents=True, exist_ok=True)
# prometheus_client decides by this variable, at import, whether it counts for several processes.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(DIRECTORY)

# After the variable above, which they read at import.
from prometheus_client import (  # noqa: E402
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)

# After the variable above.
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

router = APIRouter()

# Under the lock, and each kind of file made here: a reader must never meet a file that is half made.
with locked(DIRECTORY):
    retire_gone_workers(DIRECTORY)
    values.ValueClass = values.MultiProcessValue(process_identifier=process_name)
    _worker_starts = Counter("observatory_worker_starts", "Workers that started.")
    _requests = Counter("observatory_requests", "Requests answered.", ["method", "route", "status"])
    _response_start = Histogram(
        "observatory_response_start_seconds",
        "Time from a request's arrival to the first byte of its answer.",
        ["route"],
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    )
    _open = Gauge(
        "observatory_open_requests",
        "Requests and WebSockets being answered now.",
        ["type"],
        multiprocess_mode="livesum",
    )
    _worker_started = Gauge(
        "observatory_worker_started_timestamp_seconds",
        "When each living worker started.",
        ["release", "worker"],
        multiprocess_mode="livemax",
    )
    _worker_starts.inc()
    _response_start.labels("/healthz")
    _open_by_type = {"http": _open.labels("http"), "websocket": _open.labels("websocket")}
    _worker_started.labels(RELEASE, str(os.getpid())).set(STARTED.timestamp())


@router.get("/metrics", include_in_schema=False)
def read_metrics() -> Response:
    """Answer the metrics of all workers, those that are gone included."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(DIRECTORY))
    with locked(DIRECTORY):
        retire_gone_workers(DIRECTORY)
        content = generate_latest(registry)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


class MetricsMiddleware:
    """Counts what passes through; plain ASGI, since every request pays for it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count it."""
        if scope["type"] not in _open_by_type:
            await self.app(scope, receive, send)
            return
        open_now = _open_by_type[scope["type"]]
        open_now.inc()
        try:
            if scope["type"] == "http":
                await self._answer(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            open_now.dec()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived = perf_counter()
        status = 500
        started_after: float | None = None

        async def send_and_note(message: Message) -> None:
            nonlocal status, started_after
            if message["type"] == "http.response.start":
                status = message["status"]
                started_after = perf_counter() - arrived
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            # Only names that the application knows become labels: a client cannot make new series.
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in METHODS else "other"
            _requests_of(method, route, status).inc()
            if started_after is not None:
                _response_start_of(route).observe(started_after)


@cache
def _requests_of(method: str, route: str, status: int) -> Counter:
    return _requests.labels(method, route, str(status))


@cache
def _response_start_of(route: str) -> Histogram:
    return _response_start.labels(route)
