"""Whatever is wrong with an answer is a failure of the right kind; every request is sent once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest
import uvloop

from tests.harness.load import observatory
from tests.harness.load.failures import Kind
from tests.harness.load.pace import Pace
from tests.harness.load.recorder import Recorder, Route
from tests.harness.load.session import Session

from .servers import TIMEOUT_SECONDS, answer, kinds, read_request, reset, session_against, target_at

Loop = Callable[[Coroutine[Any, Any, None]], None]
GOOD = answer(b'{"release": "r1"}', "X-Release: r1")
PAGE = Route("GET", "/version")
FORM = Route("POST", "/echo")


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Loop:
    """Both event loops: they report the end of a connection in different orders."""
    loop: Loop = request.param
    return loop


def check_one(run: Loop, reply: bytes, kind: Kind | None, *, tls: Any = None, then: str = "close") -> None:
    """Answer the first request with `reply`, end the connection, and expect a failure of `kind`."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply)
        await writer.drain()
        if then == "reset":
            await asyncio.sleep(0.05)
            reset(writer)
        elif then == "wait":
            await asyncio.sleep(60)

    async def main() -> None:
        patience_seconds = 0.3 if then == "wait" else TIMEOUT_SECONDS
        async with session_against(behave, tls=tls, timeout_seconds=patience_seconds) as session:
            await session.ask(FORM, body=b"x" * 1000)
            assert kinds(session.recorder) == ([str(kind)] if kind else [])
            assert len(session.recorder) == 1

    run(main())


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", Kind.UNANSWERED),
        (b"HTTP/1.1 200 O", Kind.TRUNCATED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", Kind.TRUNCATED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", Kind.TRUNCATED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n", Kind.TRUNCATED),
        (b"HTTP/1.1 200 OK\r\n\r\n12345", Kind.TRUNCATED),
        (answer(b"{}", status="502 Bad Gateway"), Kind.STATUS),
        (answer(b"{}", status="301 Moved Permanently"), Kind.STATUS),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Kind.PROTOCOL),
        (GOOD + b"garbage", Kind.PROTOCOL),
        (GOOD + GOOD, Kind.PROTOCOL),
        (GOOD, None),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + GOOD, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", None),
    ],
)
def test_an_answer_that_ends_with_the_connection(
    run: Loop, tls: tuple[ssl.SSLContext, ssl.SSLContext], secured: bool, reply: bytes, kind: Kind | None
) -> None:
    """A closing is never taken for the end of an answer, and a complete answer never for a failure."""
    check_one(run, reply, kind, tls=tls if secured else None)


def test_a_reset_before_the_answer(run: Loop) -> None:
    """RST after the request was read is a lost request."""
    check_one(run, b"", Kind.UNANSWERED, then="reset")


def test_a_reset_within_the_answer(run: Loop) -> None:
    """RST within the body is a truncated answer."""
    check_one(run, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", Kind.TRUNCATED, then="reset")


def test_silence(run: Loop) -> None:
    """A server that accepts and says nothing is not waited for without end."""
    check_one(run, b"", Kind.TIMEOUT, then="wait")


def test_nobody_listens(run: Loop) -> None:
    """A refused connection is a failure, and one record."""

    async def main() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # held, so that nobody else listens there
            session = Session(target_at(closed.getsockname()[1]), Recorder(), Pace(None), timeout_seconds=1)
            await session.ask(PAGE)
        assert kinds(session.recorder) == ["refused"]

    run(main())


def test_a_certificate_that_is_not_trusted(run: Loop, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """A wrong certificate is as bad as no answer."""

    async def behave(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        """Never reached."""

    async def main() -> None:
        async with session_against(behave, tls=(tls[0], ssl.create_default_context())) as session:
            await session.ask(PAGE)
            assert kinds(session.recorder) == ["refused"]
            assert "certificate" in session.recorder.failures[0]["detail"]

    run(main())


def test_the_release_must_be_one(run: Loop) -> None:
    """A body of one release under the header of another is a mix of two releases."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b'{"release": "r1", "pid": 1}', "X-Release: r2"))

    async def main() -> None:
        async with session_against(behave) as session:
            await observatory.version(session, Random(0))
            assert kinds(session.recorder) == ["wrong"]
            assert session.recorder.failures[0]["release"] == "r2"

    run(main())


@pytest.mark.parametrize("lie", ["length", "sha256", None])
def test_an_echo_is_checked(run: Loop, lie: str | None) -> None:
    """The echo's length and hash must be those of what was sent, at every size."""
    sent = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            _, body = await read_request(reader)
            sent += 1
            value = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "release": "r1"}
            if lie:
                value[lie] = 7
            writer.write(answer(json.dumps(value).encode()))

    async def main() -> None:
        async with session_against(behave) as session:
            random = Random(0)
            for _ in range(12):
                await observatory.echo(session, random)
            assert kinds(session.recorder) == (["wrong"] * 12 if lie else [])
            assert sent == len(session.recorder) == 12

    run(main())


def test_notes_are_checked(run: Loop) -> None:
    """A note that comes back with another text was not kept, although every status is right."""
    asked: list[str] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = ""
        while True:
            line, body = await read_request(reader)
            asked.append(line.removesuffix(" HTTP/1.1"))
            if line.startswith("DELETE"):
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                continue
            if line.startswith("POST"):
                text = json.loads(body)["text"]
            shown = json.loads(body)["text"] if body else text
            created = "201 Created" if line.startswith("POST") else "200 OK"
            writer.write(answer(json.dumps({"id": 5, "text": shown}).encode(), status=created))

    async def main() -> None:
        async with session_against(behave) as session:
            await observatory.note(session, Random(0))
            assert asked == ["POST /notes", "PUT /notes/5", "GET /notes/5", "DELETE /notes/5"]
            assert [failure["request"] for failure in session.recorder.failures] == ["GET /notes/{id}"]
            assert session.recorder.failures[0]["path"] == "/notes/5"

    run(main())
