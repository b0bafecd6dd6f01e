"""Several edges behind one name: what a browser would try elsewhere is, and nothing else."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from tests.harness.load.connection import Connection
from tests.harness.load.failures import Failure
from tests.harness.load.pace import Pace
from tests.harness.load.recorder import Recorder, Route
from tests.harness.load.session import Session
from tests.harness.load.streams import watch_events
from tests.harness.load.summary import summarise
from tests.harness.load.websocket import Conversation

from .servers import answer, kinds, read_request, reset, target_at

ADDRESSES = ("127.0.0.1", "127.0.0.2")
GOOD = answer(b'{"host": "app1"}')
PAGE = Route("GET", "/version")
FORM = Route("POST", "/echo")
Loop = Callable[[Coroutine[Any, Any, None]], None]
Tls = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Loop:
    """Both event loops: they report the end of a connection in different orders."""
    loop: Loop = request.param
    return loop


class Edge:
    """One of two servers that share a port; `requests` are the request lines that it has read.

    Args:
        does: with a request that was read: "answer", "die" (the server ends), "drop" (the connection does);
            or before there is one: "close" or "reset" the connection.
    """

    def __init__(self, does: str = "answer") -> None:
        self.does = does
        self.connections = 0
        self.requests: list[str] = []
        self.server: asyncio.Server | None = None

    async def behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.connections += 1
        try:
            if self.does == "reset":
                return reset(writer)
            while self.does != "close":
                line, _ = await read_request(reader)
                self.requests.append(line.removesuffix(" HTTP/1.1"))
                if self.does == "answer":
                    writer.write(GOOD)
                    continue
                if self.does == "die":
                    self.stop()
                break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def stop(self) -> None:
        """Listen no more."""
        assert self.server is not None
        self.server.close()


@asynccontextmanager
async def two(
    first: Edge, second: Edge, *, tls: Tls | None = None, retry_safe: bool = False
) -> AsyncIterator[Callable[[], Session]]:
    """Serve at two addresses; gives what makes sessions, of which one in two begins with the first edge."""
    port = 0
    for address, edge in zip(ADDRESSES, (first, second), strict=True):
        edge.server = await asyncio.start_server(edge.behave, address, port, ssl=tls[0] if tls else None)
        port = edge.server.sockets[0].getsockname()[1]
    target, recorder = target_at(port, tls[1] if tls else None, ADDRESSES), Recorder()
    sessions: list[Session] = []

    def make() -> Session:
        sessions.append(Session(target, recorder, Pace(None), timeout_seconds=5, retry_safe=retry_safe))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
    first.stop()
    second.stop()


def test_connections_are_spread_evenly(run: Loop) -> None:
    """Load that goes to one edge alone says nothing about the other."""

    async def main() -> None:
        edges = Edge(), Edge()
        async with two(*edges) as make:
            for _ in range(6):
                session = make()
                await session.ask(PAGE)
                await session.ask(FORM, body=b"1")
            assert [edge.connections for edge in edges] == [3, 3]
            assert session.recorder.counters["connections_to_127.0.0.2"] == 3

    run(main())


@pytest.mark.parametrize("gone", [0, 1])
def test_an_edge_that_refuses_is_passed_over(run: Loop, gone: int) -> None:
    """As a browser does: nothing was sent, so that also a POST may go elsewhere."""

    async def main() -> None:
        edges = Edge(), Edge()
        async with two(*edges) as make:
            edges[gone].stop()
            for _ in range(4):
                session = make()
                await session.ask(FORM, body=b"1")
            assert kinds(session.recorder) == []
            assert len(edges[1 - gone].requests) == 4

    run(main())


def test_a_silent_address_is_not_waited_for(run: Loop, tls: Tls) -> None:
    """A machine that is off refuses nothing: the next address is tried beside it."""

    async def main() -> None:
        first, second = Edge(), Edge()
        async with two(first, second, tls=tls) as make:
            session = make()
            first.stop()
            # Its backlog takes the connection, and nobody shakes hands.
            with socket.create_server((ADDRESSES[0], session.target.port)):
                await session.ask(PAGE)
            assert kinds(session.recorder) == []
            assert session.recorder.duration_seconds[0] < 2

    run(main())


def test_nobody_at_any_address_is_a_failure(run: Loop) -> None:
    """One, that tells of both."""

    async def main() -> None:
        first, second = Edge(), Edge()
        async with two(first, second) as make:
            first.stop()
            second.stop()
            session = make()
            await session.ask(PAGE)
            assert kinds(session.recorder) == ["refused"]
            for address in ADDRESSES:
                assert f"{address}: Connection" in session.recorder.failures[0]["detail"]

    run(main())


@pytest.mark.parametrize("does", ["close", "reset"])
def test_a_connection_that_is_lost_before_its_request_is_made_elsewhere(
    run: Loop, does: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edge on its way down accepts, and lets go; nothing was sent."""
    looks = Connection._look_before_writing

    async def look(connection: Connection) -> None:
        await asyncio.sleep(0.1)
        await looks(connection)

    monkeypatch.setattr(Connection, "_look_before_writing", look)

    async def main() -> None:
        first, second = Edge(does), Edge()
        async with two(first, second) as make:
            session = make()
            await session.ask(FORM, body=b"1")
            assert (first.connections, second.requests) == (1, ["POST /echo"])
            assert kinds(session.recorder) == []
            assert session.recorder.counters["connections_lost_before_use"] == 1

    run(main())


@pytest.mark.parametrize(
    ("does", "route", "retry_safe", "repeated"),
    [
        ("die", PAGE, True, 1),
        ("die", PAGE, False, 0),
        ("die", FORM, True, 0),
        ("drop", PAGE, True, 0),
    ],
    ids=["safe", "not-asked-for", "not-safe", "edge-still-serves"],
)
def test_only_a_safe_request_that_was_lost_with_its_edge_is_repeated(
    run: Loop, does: str, route: Route, retry_safe: bool, repeated: int
) -> None:
    """And counted: everything else would hide what is to be proven."""

    async def main() -> None:
        first, second = Edge(does), Edge()
        async with two(first, second, retry_safe=retry_safe) as make:
            session = make()
            await session.ask(route, body=b"1" if route is FORM else None)
            assert len(first.requests) == 1
            assert second.requests == first.requests * repeated
            assert kinds(session.recorder) == ([] if repeated else ["unanswered"])
            assert (session.recorder.repeated, len(session.recorder)) == (repeated, 1)

    run(main())


def test_a_request_is_repeated_once(run: Loop) -> None:
    """Both edges gone is an outage."""

    async def main() -> None:
        first, second = Edge("die"), Edge("die")
        async with two(first, second, retry_safe=True) as make:
            session = make()
            await session.ask(PAGE)
            assert (len(first.requests), len(second.requests)) == (1, 1)
            assert kinds(session.recorder) == ["unanswered"]

    run(main())


@pytest.mark.parametrize("retry_safe", [True, False])
def test_a_stream_that_is_cut_is_counted_and_begun_anew(run: Loop, retry_safe: bool) -> None:
    """A stream ends with its host, and a browser comes back; without leave it is a failure as ever."""

    async def main() -> None:
        first, second = Edge("drop"), Edge("drop")
        async with two(first, second, retry_safe=retry_safe) as make:
            session, stopping = make(), asyncio.Event()
            watching = asyncio.create_task(watch_events(session, stopping))
            async with asyncio.timeout(10):
                while not second.requests:
                    await asyncio.sleep(0.01)
            stopping.set()
            session.give_up()
            await watching
            recorder = session.recorder
            assert first.requests[0] == second.requests[0] == "GET /events"
            assert (recorder.streams_lost > 0, recorder.failed > 0) == (retry_safe, not retry_safe)

    run(main())


def test_a_websocket_comes_back_at_the_other_address() -> None:
    """A conversation that ends with its edge goes on at the other one, and the loss is counted."""
    recorder = Recorder()

    async def main() -> None:
        first, second = Edge(), Edge()
        async with two(first, second) as make:
            target = make().target
        servers: list[Any] = []

        async def talk(websocket: ServerConnection) -> None:
            async for message in websocket:
                await websocket.send(json.dumps({"release": "r1", "echo": message}))

        async def talk_and_die(websocket: ServerConnection) -> None:
            await websocket.recv()
            servers[0].close(close_connections=False)
            websocket.transport.abort()

        async with (
            serve(talk_and_die, ADDRESSES[0], target.port) as dying,
            serve(talk, ADDRESSES[1], target.port),
        ):
            servers.append(dying)
            stopping = asyncio.Event()
            conversation = Conversation(target, recorder, Pace(None), timeout_seconds=5, retry_safe=True)
            task = asyncio.create_task(conversation.keep_up(Random(0), stopping))
            async with asyncio.timeout(10):
                while len(recorder) < 5:
                    await asyncio.sleep(0.01)
            stopping.set()
            await task

    uvloop.run(main())
    assert kinds(recorder) == []
    assert recorder.streams_lost == 1


def test_a_websocket_that_an_edge_takes_with_it_is_opened_elsewhere() -> None:
    """The opening of a WebSocket is a GET: it may be repeated like any other."""
    recorder = Recorder()

    async def main() -> None:
        first, second = Edge("die"), Edge("drop")
        async with two(first, second, retry_safe=True) as make:
            conversation = Conversation(
                make().target, recorder, Pace(None), timeout_seconds=5, retry_safe=True
            )
            with pytest.raises(Failure):
                await conversation._open()
            assert (first.requests, second.requests) == (["GET /ws"], ["GET /ws"])

    uvloop.run(main())
    assert recorder.repeated == 1


def test_the_host_that_answers_is_recorded(run: Loop) -> None:
    """So that a test can see who was asked, and who was not."""

    async def main() -> None:
        async with two(Edge(), Edge()) as make:
            session = make()
            for _ in range(3):
                await session.ask(PAGE)
            assert session.recorder.answers_by_host == {"app1": 3}
            session.recorder.end()
            summary = summarise(session.recorder, url="", connections=1)
            assert summary["by_host"]["app1"]["requests"] == 3

    run(main())
