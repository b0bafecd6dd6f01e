"""What may happen to a keep-alive connection between two requests, and what must not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.harness.load.connection import Connection, request_head
from tests.harness.load.failures import Failure, Kind
from tests.harness.load.pace import Pace
from tests.harness.load.recorder import Recorder, Route
from tests.harness.load.session import Session

from .servers import Behaviour, answer, kinds, read_request, reset, session_against, target_at

Loop = Callable[[Coroutine[Any, Any, None]], None]
Tls = tuple[ssl.SSLContext, ssl.SSLContext]
GOOD = answer(b"{}")
FORM = Route("POST", "/echo")


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Loop:
    """Both event loops: they report the end of a connection in different orders."""
    loop: Loop = request.param
    return loop


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def secured(request: pytest.FixtureRequest, tls: Tls) -> Tls | None:
    """With and without TLS, whose own closing message comes before that of TCP."""
    return tls if request.param else None


def ask_twice(run: Loop, behave: Behaviour, secured: Tls | None, *, pause: bool = True) -> Recorder:
    """Ask, let the server do what it does to the idle connection, ask again."""
    recorders = []

    async def main() -> None:
        async with session_against(behave, tls=secured) as session:
            await session.ask(FORM, body=b"1")
            if pause:
                await asyncio.sleep(0.3)
            await session.ask(FORM, body=b"2")
            recorders.append(session.recorder)

    run(main())
    return recorders[0]


def counted(recorder: Recorder) -> dict[str, int]:
    return {name.removeprefix("connections_"): count for name, count in recorder.counters.items()}


def test_a_polite_close_is_no_failure(run: Loop, secured: Tls | None) -> None:
    """HTTP allows a server to close an idle connection: nothing was sent, the next request connects anew."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(GOOD)

    recorder = ask_twice(run, behave, secured)
    assert kinds(recorder) == []
    assert len(recorder) == 2
    assert counted(recorder) == {"opened": 2, "closed_while_idle": 1}


def test_a_close_that_has_arrived_is_seen_before_writing(run: Loop) -> None:
    """The closing may be in the socket while the event loop was busy elsewhere: it must be looked for."""
    answered, closed = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(GOOD)
                answered.wait()
            closed.set()

    async def main(port: int) -> None:
        session = Session(target_at(port), Recorder(), Pace(None), timeout_seconds=5)
        await session.ask(FORM, body=b"1")
        answered.set()
        closed.wait()  # Blocks the event loop, which so cannot have read the closing.
        await session.ask(FORM, body=b"2")
        assert kinds(session.recorder) == []
        assert counted(session.recorder) == {"opened": 2, "closed_while_idle": 1}

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        run(main(listener.getsockname()[1]))
        server.join()


def test_a_request_is_written_at_once(
    run: Loop, secured: Tls | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look into the socket and the writing no closing may slip in unseen."""
    received = threading.Event()
    if secured:
        # TLS 1.3's tickets come after the handshake: a look that finds them takes another turn of the loop.
        monkeypatch.setattr(secured[0], "num_tickets", 0)

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with secured[0].wrap_socket(connection, server_side=True) if secured else connection as stream:
            stream.recv(65536)
            received.set()
            stream.sendall(GOOD)

    async def main(port: int) -> None:
        target = target_at(port, secured[1] if secured else None)
        connection = await Connection.open(target, target.addresses, timeout_seconds=5)
        answered = asyncio.create_task(
            connection.request(request_head("GET", "/", target.authority), timeout_seconds=5)
        )
        waited: list[bool] = []
        # Blocks the event loop in the same turn, so that it cannot write later.
        asyncio.get_running_loop().call_soon(lambda: waited.append(received.wait(2)))
        assert (await answered).status == 200
        assert waited == [True]
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        run(main(listener.getsockname()[1]))
        server.join()


def test_an_announced_close_is_no_failure(run: Loop, secured: Tls | None) -> None:
    """`Connection: close` is heeded: the next request never goes to that connection."""
    answered = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(await read_request(reader))
        writer.write(answer(b"{}", "Connection: keep-alive", "Connection: close"))
        await writer.drain()
        await asyncio.sleep(1)

    recorder = ask_twice(run, behave, secured, pause=False)
    assert kinds(recorder) == []
    assert len(answered) == 2
    assert counted(recorder) == {"opened": 2, "closed_as_announced": 2}


def test_a_close_after_the_request_was_written_is_a_lost_request(run: Loop, secured: Tls | None) -> None:
    """The server may have read it or not: the client cannot know, and must not repeat a POST."""
    received = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        while True:
            await read_request(reader)
            received += 1
            if received == 2:
                return
            writer.write(GOOD)

    recorder = ask_twice(run, behave, secured, pause=False)
    assert kinds(recorder) == ["unanswered"]
    assert received == 2
    assert "reused connection (1 answers" in recorder.failures[0]["detail"]


def test_a_reset_while_idle_is_a_failure_of_its_own(run: Loop, secured: Tls | None) -> None:
    """A server that closes properly sends no RST to a client that has nothing on the way."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(GOOD)
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    recorder = ask_twice(run, behave, secured)
    assert kinds(recorder) == ["idle_reset"]
    assert recorder.failures[0]["request"] == "CONNECTION -"
    assert len(recorder) == 3


def test_bytes_that_nobody_asked_for_are_a_failure(run: Loop, secured: Tls | None) -> None:
    """An answer without a request would be taken for the answer to the next one."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(GOOD)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(GOOD)
        await asyncio.sleep(1)

    recorder = ask_twice(run, behave, secured)
    assert kinds(recorder) == ["protocol"]


def test_a_new_connection_that_is_closed_at_once_is_a_failure(run: Loop, secured: Tls | None) -> None:
    """Accepted and closed without a request is a refusal: trying on and on would hide it."""
    closed = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with secured[0].wrap_socket(connection, server_side=True) if secured else connection:
            pass
        closed.set()

    async def main(port: int) -> None:
        target = target_at(port, secured[1] if secured else None)
        connection = await Connection.open(target, target.addresses, timeout_seconds=5)
        await asyncio.to_thread(closed.wait)
        with pytest.raises(Failure, match="before its first request") as caught:
            await connection.request(request_head("GET", "/", target.authority), timeout_seconds=5)
        assert caught.value.kind == Kind.UNANSWERED

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        run(main(listener.getsockname()[1]))
        server.join()


def test_giving_up_ends_without_a_record(run: Loop) -> None:
    """At the end of a run a stream that has not begun is neither an answer nor a failure."""

    async def behave(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(60)

    async def give_up(session: Session) -> None:
        await asyncio.sleep(0.1)
        session.give_up()

    async def main() -> None:
        async with session_against(behave) as session:
            asked, _ = await asyncio.gather(session.ask(FORM, body=b"1"), give_up(session))
            assert asked is None
            assert len(session.recorder) == 0

    run(main())
