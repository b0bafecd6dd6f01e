"""A service restart (1012) with a successful reconnect is counted apart; other endings are failures."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from random import Random

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tests.harness.load.pace import Pace
from tests.harness.load.recorder import Recorder
from tests.harness.load.websocket import Conversation

from .servers import kinds, target_at

Handler = Callable[[ServerConnection, int], Awaitable[None]]
MESSAGES = 5


def talk(
    handle: Handler,
    *,
    refuse_after: int | None = None,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
) -> Recorder:
    """Converse until some rows are recorded; `handle(websocket, number)` serves connection `number`."""
    recorder = Recorder()
    connections = 0

    async def served(websocket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await handle(websocket, connections)

    def refuse(websocket: ServerConnection, _request: Request) -> Response | None:
        if refuse_after is not None and connections >= refuse_after:
            return websocket.respond(HTTPStatus.BAD_GATEWAY, "")
        return None

    async def main() -> None:
        async with serve(
            served, "127.0.0.1", 0, process_request=refuse, ssl=tls[0] if tls else None
        ) as server:
            target = target_at(next(iter(server.sockets)).getsockname()[1], tls[1] if tls else None)
            stopping = asyncio.Event()
            conversation = Conversation(target, recorder, Pace(None), timeout_seconds=1)
            task = asyncio.create_task(conversation.keep_up(Random(0), stopping))
            async with asyncio.timeout(10):
                while len(recorder) < MESSAGES:
                    await asyncio.sleep(0.01)
            stopping.set()
            await task

    uvloop.run(main())
    return recorder


async def echo(websocket: ServerConnection, limit: int = 1_000) -> None:
    """Echo as the application does, `limit` messages."""
    for _ in range(limit):
        await websocket.send(json.dumps({"release": "r1", "echo": await websocket.recv()}))


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_echoes_are_recorded(tls: tuple[ssl.SSLContext, ssl.SSLContext], secured: bool) -> None:
    """An undisturbed conversation has no failure and one opening."""
    recorder = talk(lambda websocket, _: echo(websocket), tls=tls if secured else None)
    assert kinds(recorder) == []
    assert [str(route) for route in recorder.routes] == ["WS /ws (open)", "WS /ws (echo)"]
    assert "r1" in recorder.releases


def test_a_service_restart_is_no_failure() -> None:
    """1012 between two messages, and a new connection that works."""

    async def handle(websocket: ServerConnection, number: int) -> None:
        await echo(websocket, 2 if number == 1 else 1_000)
        await websocket.close(1012, "service restart")

    recorder = talk(handle)
    assert kinds(recorder) == []
    assert recorder.counters["websocket_restart_closes"] == 1


def test_a_service_restart_instead_of_an_echo_is_no_failure() -> None:
    """The message that 1012 crossed is sent again and answered."""

    async def handle(websocket: ServerConnection, number: int) -> None:
        if number == 1:
            await websocket.recv()
            await websocket.close(1012)
        await echo(websocket)

    recorder = talk(handle)
    assert kinds(recorder) == []
    assert recorder.counters["websocket_restart_closes"] == 1


def test_a_service_restart_without_a_reconnect_is_a_failure() -> None:
    """1012 is an invitation to come back; who then answers 502 has broken it."""

    async def handle(websocket: ServerConnection, _number: int) -> None:
        await echo(websocket, 1)
        await websocket.close(1012)

    recorder = talk(handle, refuse_after=1)
    assert set(kinds(recorder)) == {"status"}
    assert recorder.failures[0]["status"] == 502
    assert recorder.failures[0]["request"] == "WS /ws (open)"


def test_restarts_without_end_are_a_failure() -> None:
    """A message that never gets through is lost, however polite the closes are."""

    async def handle(websocket: ServerConnection, _number: int) -> None:
        await websocket.recv()
        await websocket.close(1012)

    assert set(kinds(talk(handle))) == {"websocket_closed"}


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_other_close_codes_are_failures(code: int) -> None:
    """Going away (1001) is what the stock worker's clients see as an error too."""

    async def handle(websocket: ServerConnection, _number: int) -> None:
        await echo(websocket, 1)
        await websocket.close(code)

    recorder = talk(handle)
    assert set(kinds(recorder)) == {"websocket_closed"}
    assert f"closed with {code}" in recorder.failures[0]["detail"]


def test_a_lost_connection_is_a_failure() -> None:
    """TCP that ends without a close frame is 1006."""

    async def handle(websocket: ServerConnection, _number: int) -> None:
        await websocket.recv()
        websocket.transport.abort()

    recorder = talk(handle)
    assert set(kinds(recorder)) == {"websocket_closed"}
    assert "1006" in recorder.failures[0]["detail"]


def test_a_wrong_echo_is_a_failure() -> None:
    """Some other message back is no echo."""

    async def handle(websocket: ServerConnection, _number: int) -> None:
        async for _ in websocket:
            await websocket.send(json.dumps({"release": "r1", "echo": "other"}))

    assert set(kinds(talk(handle))) == {"wrong"}


def test_silence_is_a_failure() -> None:
    """An open connection on which nothing comes back is as dead as a closed one."""

    async def handle(websocket: ServerConnection, number: int) -> None:
        if number > 1:
            await echo(websocket)
        await websocket.wait_closed()

    assert kinds(talk(handle)) == ["timeout"]
