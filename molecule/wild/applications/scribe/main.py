"""Writes beside its source: a log in a directory that git keeps, and a database."""

import sqlite3
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

HERE = Path(__file__).parent


def healthz(request):
    with (HERE / "logs" / "scribe.log").open("a") as log:
        log.write("asked\n")
    with sqlite3.connect(HERE / "data" / "scribe.db") as database:
        database.execute("create table if not exists visits (id integer primary key)")
        database.execute("insert into visits default values")
    return PlainTextResponse("scribe")


app = Starlette(routes=[Route("/healthz", healthz)])
