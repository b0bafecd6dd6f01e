"""The short requests to the application in app/, each with the proof that the answer is the right one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from .connection import Answer
from .failures import Failure, Kind
from .recorder import Route
from .session import Session, json_of

HEALTH = Route("GET", "/healthz")
VERSION = Route("GET", "/version")
ECHO = Route("POST", "/echo")
CREATE_NOTE = Route("POST", "/notes")
READ_NOTE = Route("GET", "/notes/{id}")
REPLACE_NOTE = Route("PUT", "/notes/{id}")
DELETE_NOTE = Route("DELETE", "/notes/{id}")

ECHO_SIZES_BYTES = (0, 1, 200, 4_096, 20_000, 300_000)
ECHO_SIZE_WEIGHTS = (5, 15, 40, 30, 8, 2)

RANDOM_BYTES = Random(1).randbytes(1_000_000)
"""Bodies are random slices of this: making each anew would cost more than sending it."""

Operation = Callable[[Session, Random], Awaitable[None]]


async def health(session: Session, _random: Random) -> None:
    """Ask for the cheapest answer there is."""

    def check(answer: Answer) -> None:
        _same("status", json_of(answer).get("status"), "ok")

    await session.ask(HEALTH, check=check)


async def version(session: Session, _random: Random) -> None:
    """Ask who answers."""

    def check(answer: Answer) -> None:
        value = json_of(answer)
        if not value.get("release") or not isinstance(value.get("pid"), int):
            raise Failure(Kind.WRONG, f"no release and pid in {value}")

    await session.ask(VERSION, check=check)


async def echo(session: Session, random: Random) -> None:
    """Send random bytes; the application must have received exactly these."""
    size_bytes = random.choices(ECHO_SIZES_BYTES, ECHO_SIZE_WEIGHTS)[0]
    start = random.randrange(len(RANDOM_BYTES) - size_bytes)
    body = RANDOM_BYTES[start : start + size_bytes]

    def check(answer: Answer) -> None:
        value = json_of(answer)
        _same("length", value.get("length"), size_bytes)
        _same("sha256", value.get("sha256"), hashlib.sha256(body).hexdigest())

    await session.ask(ECHO, body=body, media_type="application/octet-stream", check=check)


async def note(session: Session, random: Random) -> None:
    """Create a note, replace, read and delete it: what was answered must have been done, and only that."""
    created = await _write_note(session, CREATE_NOTE, "/notes", random, status=201)
    if created is None:
        return
    path = f"/notes/{created['id']}"
    replaced = await _write_note(session, REPLACE_NOTE, path, random, status=200)
    if replaced is not None:

        def check(answer: Answer) -> None:
            _same("text", json_of(answer).get("text"), replaced["text"])

        await session.ask(READ_NOTE, path=path, check=check)
    await session.ask(DELETE_NOTE, path=path, status=204)


OPERATIONS: dict[Operation, int] = {version: 30, health: 10, echo: 60}
"""How often each is chosen, in per cent; more than half is POST, which nginx never repeats by itself."""

ONE_IN_SO_MANY_WRITES_NOTES = 16
"""Notes have connections of their own: SQLite has one writer at a time, more would only wait in line."""


async def _write_note(
    session: Session, route: Route, path: str, random: Random, *, status: int
) -> dict[str, Any] | None:
    text = f"{random.getrandbits(128):032x} {'ü' * random.randrange(200)}"
    kept: dict[str, Any] = {}

    def check(answer: Answer) -> None:
        kept.update(json_of(answer))
        _same("text", kept.get("text"), text)
        if not isinstance(kept.get("id"), int):
            raise Failure(Kind.WRONG, f"no id in {kept}")

    body = json.dumps({"text": text}).encode()
    answer = await session.ask(route, path=path, body=body, status=status, check=check)
    return kept if answer is not None else None


def _same(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Failure(Kind.WRONG, f"{what} is {got!r}, should be {wanted!r}")
