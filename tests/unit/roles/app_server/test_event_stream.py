"""Server-sent events are ended between two events, and never within one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from farrier_gunicorn.access_log import AccessLog
from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.event_stream import is_event_stream

HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8")]
START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": HEADERS}
BEGUN = {**START, "headers": [*HEADERS, (b"x-accel-buffering", b"no"), (b"connection", b"close")]}
SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}


def piece(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


END = {"type": "http.response.body", "body": b"", "more_body": False}


def stream(*pieces: bytes, end_after: int) -> list[Any]:
    """What reaches the client when the streams are to end after so many pieces; the app goes on for ever."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for number, body in enumerate(pieces):
            if number == end_after:
                served.end_event_streams()
                await asyncio.sleep(0)
            await send(piece(body))
        if end_after == len(pieces):
            served.end_event_streams()
        await asyncio.sleep(3600)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        await asyncio.wait_for(served(SCOPE, receive, send), timeout=10)

    served = ServedApplication(app, "release-1", AccessLog("app"))
    asyncio.run(run())
    return sent


@pytest.mark.parametrize("event", [b"data: 1\n\n", b"data: 1\r\n\r\n", b"data: 1\r\r"])
def test_ends_at_once_between_events(event: bytes) -> None:
    """All three ends of line are allowed in a stream of events."""
    assert stream(event, end_after=1) == [BEGUN, piece(event), END]


def test_ends_before_the_first_event() -> None:
    """A stream on which nothing has happened yet is between events, too."""
    assert stream(end_after=0) == [BEGUN, END]


def test_waits_for_the_rest_of_an_event() -> None:
    """Half an event is a lost event: the browser drops it."""
    assert stream(b"data: 1", b"\n\n", end_after=1) == [BEGUN, piece(b"data: 1"), piece(b"\n\n"), END]


def test_failure_of_an_app_whose_stream_goes_on_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Only what comes of our own cancelling is nobody's failure."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        raise ValueError("broken")

    async def nothing(*_: Any) -> Any:
        return {}

    asyncio.run(ServedApplication(app, "release-1", AccessLog("app"))(SCOPE, nothing, nothing))
    assert "ValueError: broken" in caplog.text


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"Content-Type", b"Text/Event-Stream")], True),
        ([(b"content-type", b"text/plain")], False),
        ([(b"x-kind", b"text/event-stream")], False),
    ],
)
def test_is_known_by_its_content_type(headers: list[tuple[bytes, bytes]], expected: bool) -> None:
    """A download that is cut between two blank lines would be half a file, and look whole."""
    assert is_event_stream(headers) is expected
