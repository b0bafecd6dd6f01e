"""Keeps what it is told in a SQLite database of an unusual name, and files beside it."""

import os
import sqlite3
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

STATE = Path(os.environ["STATE_DIRECTORY"])


def database():
    connection = sqlite3.connect(STATE / "data" / "notes.data", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT)")
    return connection


# Open for as long as the app runs: what was written last is in the -wal.
notes = database()


def healthz(request):
    return PlainTextResponse("notes")


async def write(request):
    notes.executemany(
        "INSERT INTO notes VALUES (?)", [(line,) for line in (await request.body()).decode().split()]
    )
    return PlainTextResponse("written")


async def read(request):
    return PlainTextResponse(
        "\n".join(text for (text,) in notes.execute("SELECT text FROM notes ORDER BY rowid"))
    )


async def delete(request):
    notes.execute("DELETE FROM notes")
    for file in (STATE / "uploads").iterdir():
        file.unlink()
    return PlainTextResponse("deleted")


async def upload(request):
    (STATE / "uploads" / request.path_params["name"]).write_bytes(await request.body())
    return PlainTextResponse("kept")


app = Starlette(
    routes=[
        Route("/healthz", healthz),
        Route("/notes", read),
        Route("/notes", write, methods=["POST"]),
        Route("/notes", delete, methods=["DELETE"]),
        Route("/uploads/{name}", upload, methods=["PUT"]),
    ]
)
