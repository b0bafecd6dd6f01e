"""What is put around the app: the access log and `connection: close`."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from farrier_gunicorn import websocket
from farrier_gunicorn.access_log import AccessLog
from farrier_gunicorn.application import Application, ServedApplication

HEADERS = [(b"host", b"a"), (b"x-request-id", b"abc"), (b"authorization", b"s3cr3t")]
HEADERS_OF_START = [(b"a", b"b"), (b"content-length", b"1")]
START = {"type": "http.response.start", "status": 201, "headers": [*HEADERS_OF_START]}


def scope(kind: str = "http") -> dict[str, Any]:
    return {
        "type": kind,
        "method": "POST",
        "path": "/notes",
        "query_string": b"token=s3cr3t",
        "headers": HEADERS,
        "client": ("192.0.2.1", 0),
    }


def call(application: ServedApplication, request: dict[str, Any]) -> list[Any]:
    """What the app sent."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def one_request() -> None:
        try:
            await application(request, receive, send)
        finally:
            application.access_log.close()

    asyncio.run(one_request())
    return sent


def serve(*messages: dict[str, Any], error: Exception | None = None) -> ServedApplication:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if error:
            raise error

    application: Application = app
    return ServedApplication(application, "release-1", AccessLog("app"))


def test_access_log_line(capfd: pytest.CaptureFixture[str]) -> None:
    """One JSON object, with what an operator looks for and nothing that is secret."""
    sent = call(serve(START), scope())
    assert sent == [START]
    output = capfd.readouterr().out
    line = json.loads(output)
    assert line.pop("duration_ms") >= 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "request_id": "abc",
        "client": "192.0.2.1",
        "method": "POST",
        "path": "/notes",
        "status": 201,
        "release": "release-1",
    }
    assert "s3cr3t" not in output
    assert output.endswith("}\n")


def test_access_log_of_an_app_that_raises(capfd: pytest.CaptureFixture[str]) -> None:
    """The status is that of the answer, as in nginx's log."""
    start, _ = call(serve(error=ValueError("x")), scope())
    assert start["status"] == 500
    assert json.loads(capfd.readouterr().out)["status"] == 500


def test_access_log_of_a_request_without_an_answer(capfd: pytest.CaptureFixture[str]) -> None:
    """The client was gone before."""

    class Cycle:
        disconnected = True

        async def send(self, message: Any) -> None:
            raise AssertionError(message)

    async def nothing(*_: Any) -> None:
        return

    async def one_request() -> None:
        application = ServedApplication(nothing, "release-1", AccessLog("app"))
        await application(scope(), nothing, Cycle().send)
        application.access_log.close()

    asyncio.run(one_request())
    assert json.loads(capfd.readouterr().out)["status"] is None


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"type": "websocket.accept"}, 101),
        ({"type": "websocket.close"}, 403),
        ({"type": "websocket.http.response.start", "status": 401}, 401),
    ],
)
def test_access_log_of_a_websocket(
    capfd: pytest.CaptureFixture[str], message: dict[str, Any], status: int
) -> None:
    """One line when it ends."""
    call(serve(message), scope("websocket"))
    line = json.loads(capfd.readouterr().out)
    assert (line["method"], line["status"]) == ("WEBSOCKET", status)


def test_answer_asks_to_close_once_the_worker_drains() -> None:
    """The proxy must not use the connection again; the app's own message is left alone."""
    application = serve(START)
    application.closing = True
    [sent] = call(application, scope())
    assert sent == {**START, "headers": [*HEADERS_OF_START, (b"connection", b"close")]}
    assert START["headers"] == HEADERS_OF_START


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"content-type", b"text/plain")], b"no"),
        ([(b"content-length", b"1")], None),
        ([(b"X-Accel-Buffering", b"yes")], b"yes"),
    ],
    ids=["of unknown length", "of known length", "the app has a wish of its own"],
)
def test_nginx_passes_on_what_comes_piece_by_piece(
    headers: list[tuple[bytes, bytes]], expected: bytes | None
) -> None:
    """Files and documents have a length, and stay buffered: a slow client does not hold the app."""
    (sent,) = call(serve({**START, "headers": headers}), scope())
    said = [value for name, value in sent["headers"] if name.lower() == b"x-accel-buffering"]
    assert said == ([expected] if expected else [])


def test_event_stream_is_the_last_answer_on_its_connection() -> None:
    """It may end in the last second of a drain, and a proxy would send the next long request after it."""
    events = {**START, "headers": [(b"content-type", b"text/event-stream")]}
    (sent,) = call(serve(events), scope())
    assert sent["headers"][-1] == (b"connection", b"close")


def test_websocket_handshake_is_left_alone_while_the_worker_drains() -> None:
    """It has a Connection header of its own."""
    application = serve({"type": "websocket.accept"})
    application.closing = True
    assert call(application, scope("websocket")) == [{"type": "websocket.accept"}]


@pytest.fixture
def websockets_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the second that they are left."""
    monkeypatch.setattr(websocket, "OPEN_AT_LEAST_SECONDS", 0.0)


def test_websocket_that_has_just_come_is_left_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was told to come back, and meets a worker that drains once more, gets an answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        for seconds in (0.9, 1.1):
            now[0] = seconds
            application.end_websockets()
            await asyncio.sleep(0)
            with suppress(OSError):
                await send({"type": "websocket.send", "text": str(seconds)})

    now = [0.0]
    monkeypatch.setattr(websocket.time, "monotonic", lambda: now[0])
    application = ServedApplication(app, "release-1", AccessLog("app"))
    assert call(application, scope("websocket")) == [
        {"type": "websocket.accept"},
        {"type": "websocket.send", "text": "0.9"},
        {"type": "websocket.close", "code": 1012},
    ]


@pytest.mark.usefixtures("websockets_end_at_once")
def test_websocket_that_was_ended_is_gone_for_the_app() -> None:
    """What the app sends after that must not reach uvicorn, for which it would be a mistake of the app's."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        for _ in range(2):
            application.end_websockets()
            await asyncio.sleep(0)
        with pytest.raises(OSError, match="restarts"):
            await send({"type": "websocket.send", "text": "one more thing"})

    application = ServedApplication(app, "release-1", AccessLog("app"))
    assert call(application, scope("websocket")) == [
        {"type": "websocket.accept"},
        {"type": "websocket.close", "code": 1012},
    ]


@pytest.mark.usefixtures("websockets_end_at_once")
def test_websocket_that_is_not_open_is_not_ended() -> None:
    """Not before its handshake, and not after the app itself has closed it."""
    messages = [{"type": "websocket.accept"}, {"type": "websocket.close"}]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        application.end_websockets()
        await asyncio.sleep(0)
        for message in messages:
            await send(message)
        application.end_websockets()
        await asyncio.sleep(0)

    application = ServedApplication(app, "release-1", AccessLog("app"))
    assert call(application, scope("websocket")) == messages


def test_reason_of_a_failed_start_up_is_kept() -> None:
    """uvicorn only logs it."""
    application = serve({"type": "lifespan.startup.failed", "message": "no database"})
    call(application, {"type": "lifespan"})
    assert application.startup_failure == "no database"
