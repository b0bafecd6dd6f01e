"""uvicorn's server, taught to say when it is ready and to end without leaving anything unanswered."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server

from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.shared_state import Order, SharedState, Stage

TICK_SECONDS = 0.05
# The proxy's clock and ours: it closes its idle connections first.
PROXY_MARGIN_SECONDS = 1.0
# Nobody accepts during a stop, so that it is short: what the proxy holds idle by then it holds without need.
STOP_IDLE_SECONDS = 0.5
# Of the graceful timeout, what is kept for cancelling the app's tasks and for its shutdown handlers.
_SHUTDOWN_SHARE = 0.2
_SHUTDOWN_MOST_SECONDS = 5.0
# How long uvicorn waits, at the end of a drain that was cut, before it cancels what still runs.
_CANCEL_AFTER_SECONDS = 1


@dataclass(frozen=True)
class DrainTimes:
    """How long a drain may take, in seconds."""

    total: float
    proxy_idle: float

    @classmethod
    def of(cls, graceful_timeout_seconds: float, proxy_keepalive_seconds: float) -> DrainTimes:
        reserve = min(_SHUTDOWN_MOST_SECONDS, graceful_timeout_seconds * _SHUTDOWN_SHARE)
        return cls(graceful_timeout_seconds - reserve, proxy_keepalive_seconds + PROXY_MARGIN_SECONDS)


class HandoverServer(Server):
    """Serves until it is told otherwise, then drains, then shuts down as uvicorn does."""

    def __init__(
        self,
        config: Config,
        *,
        application: ServedApplication,
        shared_state: SharedState,
        times: DrainTimes,
        master_pid: int,
        max_requests: int,
        on_stage: Callable[[Stage], None],
    ) -> None:
        super().__init__(config)
        self._application = application
        self._shared_state = shared_state
        self._times = times
        self._master_pid = master_pid
        self._max_requests = max_requests
        self._on_stage = on_stage

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # Duplicates: a drain closes them, long before uvicorn closes the originals by their numbers.
        await super().startup([listener.dup() for listener in sockets or ()])
        self._on_stage(Stage.READY)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.started:
            # Nothing has been accepted yet, and a start-up that hangs would never come to look at a flag.
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        # Not remembered: uvicorn would raise it again and die of it before the worker has cleaned up.
        self.should_exit = True

    def quit(self) -> None:
        """End at once, without a drain."""
        self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._shared_state.order is not Order.SERVE or os.getppid() != self._master_pid:
            self.should_exit = True
        elif (
            self.server_state.total_requests >= self._max_requests and self._shared_state.stage is Stage.READY
        ):
            self._on_stage(Stage.RECYCLING)
        return await super().on_tick(counter)

    async def main_loop(self) -> None:
        await super().main_loop()
        if not self.force_exit:
            await self._drain()
        self.config.timeout_graceful_shutdown = _CANCEL_AFTER_SECONDS

    async def _drain(self) -> None:
        """Answer what is connected or about to be, until the proxy has let go of its connections."""
        self._application.closing = True
        for server in self.servers:
            server.close()
        self._on_stage(Stage.DRAINING)
        began = last_busy = asyncio.get_running_loop().time()
        counter = 0
        while True:
            # First of all, since a connection accepted in this very moment is not in the list yet.
            await asyncio.sleep(TICK_SECONDS)
            counter += 1
            await super().on_tick(counter)
            now = asyncio.get_running_loop().time()
            self._close_websockets()
            if self.force_exit or now - began >= self._times.total:
                break
            if self.server_state.tasks:  # requests, and what the app does after them
                last_busy = now
            elif not self.server_state.connections or now - last_busy >= self._idle_seconds():
                break
        # What lies in the kernel is read before uvicorn closes idle connections, without a pause in between.
        await asyncio.sleep(0)

    def _idle_seconds(self) -> float:
        return self._times.proxy_idle if self._shared_state.order is Order.RETIRE else STOP_IDLE_SECONDS

    def _close_websockets(self) -> None:
        """Close with 1012, "service restart", whatever has finished its handshake."""
        connections: list[Any] = list(self.server_state.connections)
        for connection in connections:
            is_websocket = not isinstance(connection, self.config.http_protocol_class)
            if is_websocket and connection.handshake_complete and not connection.transport.is_closing():
                connection.shutdown()
