"""It reads at its start what the migration makes."""

import os
import sqlite3
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


@asynccontextmanager
async def lifespan(app):
    database = sqlite3.connect(f"{os.environ['STATE_DIRECTORY']}/database")
    database.execute("SELECT count(*) FROM users")
    yield


def healthz(request):
    return PlainTextResponse("schema-at-start")


app = Starlette(routes=[Route("/healthz", healthz)], lifespan=lifespan)
