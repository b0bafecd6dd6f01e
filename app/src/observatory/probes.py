"""Endpoints that say how the application is and who answered."""

import logging

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from observatory.database import schema_problem
from observatory.identity import RELEASE, worker_identity

log = logging.getLogger(__name__)
router = APIRouter()


@router.get("/healthz")
async def health() -> JSONResponse:
    """Answer that this worker runs; asks nothing of anything else."""
    return JSONResponse({"status": "ok", "release": RELEASE})


@router.get("/readyz", responses={503: {"description": "The database is not ready; the body says why."}})
def readiness() -> JSONResponse:
    """Answer whether the database can be reached and has the schema that this release needs."""
    try:
        problem = schema_problem()
    except (SQLAlchemyError, OSError) as error:
        problem = f"the database cannot be used: {getattr(error, 'orig', None) or error}"
    if problem is None:
        return JSONResponse({"status": "ready", "release": RELEASE})
    log.warning("not ready: %s", problem)
    return JSONResponse({"status": "not ready", "release": RELEASE, "reason": problem}, status_code=503)


@router.get("/version")
async def version() -> JSONResponse:
    """Answer which release and which worker this is."""
    return JSONResponse(worker_identity(), headers={"Cache-Control": "no-store"})


@router.get("/client")
async def client(request: Request) -> JSONResponse:
    """Answer what the application believes about the client, and what it was told."""
    told = {
        name: value
        for name, value in request.headers.items()
        if name in {"host", "forwarded", "x-real-ip", "x-request-id"} or name.startswith("x-forwarded-")
    }
    return JSONResponse(
        {
            "release": RELEASE,
            "scheme": request.url.scheme,
            "client": request.client.host if request.client else None,
            "headers": told,
        }
    )
