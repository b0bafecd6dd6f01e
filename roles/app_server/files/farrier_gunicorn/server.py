"""uvicorn's server, taught to say when it is ready and to end without leaving anything unanswered."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

from uvicorn.config import Config
from uvicorn.server import Server

from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.drain import DrainTimes, MemoryLimit
from farrier_gunicorn.shared_state import Order, SharedState, Stage

_logger = logging.getLogger("uvicorn.error")

TICK_SECONDS = 0.05
# uvicorn's ticks: a look a second.
_TICKS_BETWEEN_LOOKS_AT_MEMORY = 10
# Before the drain's time is up, how long event streams have for ending between two events.
_EVENT_STREAMS_SECONDS = 1.0
# How long uvicorn waits, at the end of a drain that was cut, before it cancels what still runs.
_CANCEL_AFTER_SECONDS = 1


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
        memory_max_mb: int,
        on_stage: Callable[[Stage], None],
    ) -> None:
        super().__init__(config)
        self._application = application
        self._shared_state = shared_state
        self._times = times
        self._master_pid = master_pid
        self._max_requests = max_requests
        self._memory = MemoryLimit(memory_max_mb)
        self._on_stage = on_stage
        self._terminated = False
        self._told_to_go_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._listeners = sockets or []
        duplicates = self._duplicates()
        try:
            await super().startup(duplicates)
        finally:
            if not self.started:
                for duplicate in duplicates:
                    duplicate.close()
        if self.started:  # before uvicorn 0.51, a failed start-up is no exception
            self._memory.check_at_start()
            self._on_stage(Stage.READY)

    def _duplicates(self) -> list[socket.socket]:
        """To listen on: a drain closes them, and the worker may be called back after it."""
        return [listener.dup() for listener in self._listeners]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.started:
            # Nothing has been accepted yet, and a start-up that hangs would never come to look at a flag.
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        # Not passed on: uvicorn would leave out its loop, and with it the drain, if it came just before that;
        # and raise the signal again at the end, before the worker has cleaned up.
        self._terminated = True

    def quit(self) -> None:
        """End at once, without a drain."""
        self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._order() is not Order.SERVE:
            self.should_exit = True
        elif self._shared_state.stage is Stage.READY and self._is_used_up(counter):
            self._on_stage(Stage.RECYCLING)
        return await super().on_tick(counter)

    def _is_used_up(self, counter: int) -> bool:
        """Whether it is time for a replacement."""
        if self.server_state.total_requests + self._application.websockets >= self._max_requests:
            return True
        return counter % _TICKS_BETWEEN_LOOKS_AT_MEMORY == 0 and self._memory.is_passed()

    def _order(self) -> Order:
        order = self._shared_state.order
        if os.getppid() != self._master_pid:
            return Order.STOP
        return Order.GO if self._leaves_by_itself else order

    @property
    def _leaves_by_itself(self) -> bool:
        return self._terminated and self._shared_state.order is Order.SERVE

    async def main_loop(self) -> None:
        await super().main_loop()
        while not self.force_exit and await self._drain():
            await self._serve_again()
            await super().main_loop()
        self.config.timeout_graceful_shutdown = _CANCEL_AFTER_SECONDS

    async def _serve_again(self) -> None:
        def make_protocol() -> asyncio.Protocol:
            # uvicorn types it as any protocol
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(make_protocol, sock=listener, backlog=self.config.backlog)
            for listener in self._duplicates()
        ]
        self._application.closing = self.should_exit = False
        self._on_stage(Stage.READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ends_at = (self._told_to_go_at or asyncio.get_running_loop().time()) + self._times.end
        try:
            async with asyncio.timeout_at(ends_at):
                await super().shutdown(sockets)
        except TimeoutError:
            _logger.error("The app's shutdown handlers take longer than request_timeout_seconds allows")

    async def _drain(self) -> bool:
        """Answer what is connected or about to be, until the proxy has closed its connections.

        Returns whether the worker has been called back meanwhile.
        """
        self._application.closing = True
        for server in self.servers:
            server.close()
        self._on_stage(Stage.LEAVING if self._leaves_by_itself else Stage.DRAINING)
        began = last_busy = asyncio.get_running_loop().time()
        counter = 0
        while True:
            # First of all, since a connection accepted in this very moment is not in the list yet.
            await asyncio.sleep(TICK_SECONDS)
            counter += 1
            await super().on_tick(counter)
            order = self._order()
            if order is Order.SERVE:
                return True
            if self._leaves_by_itself and self._shared_state.stage is not Stage.LEAVING:
                self._on_stage(Stage.LEAVING)  # it was to be called back
            now = asyncio.get_running_loop().time()
            if order is not Order.STAND_BY:
                self._told_to_go_at = self._told_to_go_at or now
            self._application.end_websockets()
            if order is Order.STOP or now - began >= self._times.total - _EVENT_STREAMS_SECONDS:
                self._application.end_event_streams()
            # Standing by takes as long as the master says. Its requests go on meanwhile.
            if self.force_exit or (now - began >= self._times.total and order is not Order.STAND_BY):
                break
            if self.server_state.tasks:  # requests, and what the app does after them
                last_busy = now
            # An idle connection is the proxy's to close, which may be about to use it. But one whose other
            # end has vanished must not hold up a stop, in which nobody accepts.
            is_idle_for_long = order is Order.STOP and now - last_busy >= self._times.idle_at_stop
            is_done = not (self.server_state.tasks or self.server_state.connections)
            if is_idle_for_long or (is_done and order is not Order.STAND_BY):
                break
        # What lies in the kernel is read before uvicorn closes idle connections, without a pause in between.
        await asyncio.sleep(0)
        return False
