"""What the load asks of the app, by WSGI: it becomes the module `observatory.threads` of each version."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import observatory.main  # noqa: F401 - a version that does not import does not import here, either

NOTES = Path(os.environ["STATE_DIRECTORY"]) / "threads.db"
SCHEMA = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)"


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    if path == "/healthz":
        status, answer = "200 OK", {"status": "ok"}
    elif path == "/version":
        status, answer = "200 OK", {"release": os.environ["RELEASE_ID"], "pid": os.getpid()}
    elif path == "/echo":
        status, answer = "200 OK", {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    else:
        status, answer = _note(method, path.removeprefix("/notes").removeprefix("/"), body)
    content = b"" if answer is None else json.dumps(answer).encode()
    length = [] if answer is None else [("Content-Length", str(len(content)))]
    start_response(status, [("Content-Type", "application/json"), *length])
    return [content]


def _note(method: str, identity: str, body: bytes) -> tuple[str, dict[str, Any] | None]:
    text = json.loads(body)["text"] if body else ""
    with closing(sqlite3.connect(NOTES, timeout=20)) as database, database:
        database.execute(SCHEMA)
        if method == "POST":
            identity = str(
                database.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid,
            )
        elif method == "PUT":
            database.execute("UPDATE notes SET text = ? WHERE id = ?", (text, identity))
        elif method == "DELETE":
            database.execute("DELETE FROM notes WHERE id = ?", (identity,))
            return "204 No Content", None
        (kept,) = database.execute("SELECT text FROM notes WHERE id = ?", (identity,)).fetchone()
    return ("201 Created" if method == "POST" else "200 OK"), {"id": int(identity), "text": kept}
