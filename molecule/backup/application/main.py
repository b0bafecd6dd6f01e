"""Keeps what it is told in a SQLite database of an unusual name, files beside it, and rows in PostgreSQL."""

import os
import sqlite3
from pathlib import Path

import psycopg
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


def query(statement, *values):
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        cursor = connection.execute(statement, values)
        return [text for (text,) in cursor.fetchall()] if cursor.description else []


async def write_rows(request):
    query("CREATE TABLE IF NOT EXISTS rows (id serial, text citext)")
    query("INSERT INTO rows (text) SELECT unnest(%s::text[])", (await request.body()).decode().split())
    return PlainTextResponse("written")


def read_rows(request):
    there = query("SELECT to_regclass('rows')::text") != [None]
    return PlainTextResponse("\n".join(query("SELECT text FROM rows ORDER BY id") if there else []))


def drop_rows(request):
    query("DROP TABLE IF EXISTS rows")
    return PlainTextResponse("dropped")


async def upload(request):
    (STATE / "uploads" / request.path_params["name"]).write_bytes(await request.body())
    return PlainTextResponse("kept")


app = Starlette(
    routes=[
        Route("/healthz", healthz),
        Route("/notes", read),
        Route("/notes", write, methods=["POST"]),
        Route("/notes", delete, methods=["DELETE"]),
        Route("/rows", read_rows),
        Route("/rows", write_rows, methods=["POST"]),
        Route("/rows", drop_rows, methods=["DELETE"]),
        Route("/uploads/{name}", upload, methods=["PUT"]),
    ]
)
