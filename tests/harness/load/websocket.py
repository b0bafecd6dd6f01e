"""A WebSocket that is talked over all the time, and made anew when the server restarts."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from random import Random

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from .addresses import first_to_connect
from .connection import has_gone_away
from .failures import Failure, Kind
from .pace import Pace
from .recorder import Recorder, Route
from .session import PAUSE_AFTER_FAILURE_SECONDS
from .target import Target

OPEN = Route("WS", "/ws (open)")
ECHO = Route("WS", "/ws (echo)")

SERVICE_RESTART = 1012
RESTARTS_PER_MESSAGE = 3
# A proxy has idle connections to workers that are about to go, and may take one of these twice in a moment.
PAUSE_BEFORE_THE_LAST_TRY_SECONDS = 1.0
PAUSE_BETWEEN_MESSAGES_SECONDS = 0.05


class Conversation:
    """One client: opens /ws, sends a message, waits for its echo, pauses; arguments as `Session`."""

    def __init__(
        self,
        target: Target,
        recorder: Recorder,
        pace: Pace,
        *,
        timeout_seconds: float,
        retry_safe: bool = False,
    ) -> None:
        self._target = target
        self._recorder = recorder
        self._pace = pace
        self._timeout_seconds = timeout_seconds
        self._retry_safe = retry_safe
        self._websocket: ClientConnection | None = None

    async def keep_up(self, random: Random, stopping: asyncio.Event) -> None:
        """Talk until `stopping`."""
        while not stopping.is_set():
            await self._pace.turn()
            at_seconds = self._recorder.now_seconds()
            try:
                release = await self._echo(f"{random.getrandbits(128):032x}")
                self._recorder.add(ECHO, at_seconds, status=0, release=release)
            except Failure as failure:
                # What failed to open is recorded as such already.
                if failure.kind is not Kind.REFUSED:
                    self._recorder.fail(ECHO, at_seconds, failure)
                self._drop()
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
            await asyncio.sleep(PAUSE_BETWEEN_MESSAGES_SECONDS)
        if self._websocket is not None:
            await self._websocket.close()

    async def _echo(self, text: str) -> str:
        """Send `text`, once more after each service restart or loss; return the release that answered."""
        for number in range(1, RESTARTS_PER_MESSAGE + 1):
            if number == RESTARTS_PER_MESSAGE:
                await asyncio.sleep(PAUSE_BEFORE_THE_LAST_TRY_SECONDS)
            websocket = self._websocket or await self._open()
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await websocket.send(text)
                    answer = await websocket.recv()
            except TimeoutError:
                raise Failure(Kind.TIMEOUT, f"no echo within {self._timeout_seconds:g} s") from None
            except ConnectionClosed as closed:
                self._websocket = None
                if closed.rcvd is None and self._retry_safe:
                    self._recorder.streams_lost += 1
                    await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                    continue
                if closed.rcvd is None or closed.rcvd.code != SERVICE_RESTART:
                    raise Failure(Kind.WEBSOCKET_CLOSED, _closing(closed)) from None
                self._recorder.counters["websocket_restart_closes"] += 1
                continue
            return _release_of_echo(answer, text)
        raise Failure(Kind.WEBSOCKET_CLOSED, f"closed {RESTARTS_PER_MESSAGE} times for one message")

    async def _open(self) -> ClientConnection:
        at_seconds = self._recorder.now_seconds()
        try:
            self._websocket = await self._connect(self._target.in_turn())
        except Failure as failure:
            self._recorder.fail(OPEN, at_seconds, failure)
            raise Failure(Kind.REFUSED, failure.detail) from None
        self._recorder.add(OPEN, at_seconds, status=101, release=self._release_of_handshake())
        return self._websocket

    async def _connect(self, addresses: Sequence[str]) -> ClientConnection:
        target = self._target
        raw = await first_to_connect(addresses, self._reach, timeout_seconds=self._timeout_seconds)
        address = raw.getpeername()[0]
        try:
            # With a socket of ours the library neither resolves a name nor follows a redirect to elsewhere.
            return await connect(
                f"{'wss' if target.tls else 'ws'}://{target.authority}/ws",
                sock=raw,
                ssl=target.tls,
                server_hostname=target.host if target.tls else None,
                proxy=None,
                compression=None,
                open_timeout=self._timeout_seconds,
                ping_interval=None,
            )
        except InvalidStatus as error:
            raw.close()
            status = error.response.status_code
            raise Failure(Kind.STATUS, f"status {status} instead of 101", status) from None
        except (OSError, TimeoutError, EOFError, InvalidHandshake, InvalidMessage) as error:
            raw.close()
            others = [other for other in addresses if other != address]
            if not (self._retry_safe and others and await has_gone_away(target, address)):
                raise Failure(Kind.REFUSED, f"{type(error).__name__}: {error}") from None
            self._recorder.repeated += 1
            return await self._connect(others)

    async def _reach(self, address: str) -> socket.socket:
        raw = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            raw.setblocking(False)
            await asyncio.get_running_loop().sock_connect(raw, (address, self._target.port))
        except BaseException:
            raw.close()
            raise
        return raw

    def _release_of_handshake(self) -> str:
        response = self._websocket.response if self._websocket is not None else None
        return response.headers.get("X-Release", "") if response is not None else ""

    def _drop(self) -> None:
        if self._websocket is not None:
            self._websocket.transport.abort()
            self._websocket = None


def _release_of_echo(answer: str | bytes, text: str) -> str:
    try:
        value = json.loads(answer)
        echo, release = value["echo"], value["release"]
    except (ValueError, KeyError, TypeError):
        raise Failure(Kind.WRONG, f"no echo: {answer[:200]!r}") from None
    if echo != text:
        raise Failure(Kind.WRONG, f"echo is {echo!r}, should be {text!r}")
    return str(release)


def _closing(closed: ConnectionClosed) -> str:
    if closed.rcvd is None:
        return "ended without a close frame (1006)"
    return f"closed with {closed.rcvd.code} {closed.rcvd.reason!r}"
