"""The application object: `observatory.main:app`."""

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.staticfiles import StaticFiles

from observatory import metrics, notes, page, probes, streams
from observatory.identity import RELEASE

log = logging.getLogger("observatory")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(os.environ.get("LOG_LEVEL", "info").upper())
    log.propagate = False


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    log.info("worker %d of release %s starts", os.getpid(), RELEASE)
    yield
    log.info("worker %d of release %s ends", os.getpid(), RELEASE)


async def _database_failed(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s: the database failed: %s", request.method, request.url.path, error)
    return JSONResponse({"detail": "the database is not available, see /readyz"}, status_code=503)


def create_app() -> FastAPI:
    """Put the application together."""
    application = FastAPI(
        title="Observatory",
        version=RELEASE,
        lifespan=_lifespan,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    application.add_middleware(metrics.MetricsMiddleware)
    application.add_exception_handler(SQLAlchemyError, _database_failed)
    for part in (probes, streams, notes, metrics, page):
        application.include_router(part.router)
    # In production nginx answers these from the release's directory.
    application.mount("/static", StaticFiles(directory=page.STATIC_DIRECTORY))
    return application


_log_to_stderr()
app = create_app()
