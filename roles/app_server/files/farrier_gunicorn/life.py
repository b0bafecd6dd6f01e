"""How a worker with an event loop serves, is used up, and drains, by the orders of the master."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.drain import DrainTimes, MemoryLimit
from farrier_gunicorn.loop_lag import LoopLag
from farrier_gunicorn.shared_state import Order, SharedState, Stage

_logger = logging.getLogger("gunicorn.error")

_TICK_SECONDS = 0.05
# A look a second.
_TICKS_BETWEEN_LOOKS_AT_MEMORY = 10
# Before the drain's time is up, how long event streams have for ending between two events.
_EVENT_STREAMS_SECONDS = 1.0


class Draining(Protocol):
    """A server that accepts no more."""

    @property
    def is_busy(self) -> bool:
        """Whether requests are under way, or what the app does after them."""

    @property
    def is_connected(self) -> bool:
        """Whether connections are open, idle ones included."""


class Life:
    """Of one worker.

    Args:
        application: what the server calls.
        shared_state: shared with the master.
        times: how long the end may take.
        master_pid: process id of the master.
        max_requests: number of requests and WebSockets after which the worker is replaced.
        memory_max_mb: at which it is replaced; 0 for never.
        on_stage: is told every stage that the worker enters.
        on_loop_lag: is told the longest delay of the event loop from time to time, in seconds.
    """

    def __init__(
        self,
        *,
        application: ServedApplication,
        shared_state: SharedState,
        times: DrainTimes,
        master_pid: int,
        max_requests: int,
        memory_max_mb: int,
        on_stage: Callable[[Stage], None],
        on_loop_lag: Callable[[float], None],
    ) -> None:
        self._application = application
        self._shared_state = shared_state
        self._times = times
        self._master_pid = master_pid
        self._max_requests = max_requests
        self._memory = MemoryLimit(memory_max_mb)
        self._on_stage = on_stage
        self._loop_lag = LoopLag(on_loop_lag)
        self._told_to_go_at: float | None = None
        self.was_terminated = False
        """Whether somebody has sent SIGTERM."""
        self.was_killed = False
        """Whether it is to end at once, without a drain."""

    def begin(self) -> None:
        """Say that the worker serves."""
        self._memory.check_at_start()
        self.serve_again()

    def serve_again(self) -> None:
        """Say that the worker serves, after a drain."""
        self._application.closing = False
        self._loop_lag.restart()
        self._on_stage(Stage.READY)

    def goes_on(self, counter: int) -> bool:
        """Whether to go on serving; asks for a replacement when it is time. For ten calls a second."""
        self._loop_lag.tick()
        if self.was_killed or self._order() is not Order.SERVE:
            return False
        if self._shared_state.stage is Stage.READY and self._is_used_up(counter):
            self._on_stage(Stage.RECYCLING)
        return True

    def _is_used_up(self, counter: int) -> bool:
        if self._application.requests >= self._max_requests:
            return True
        return counter % _TICKS_BETWEEN_LOOKS_AT_MEMORY == 0 and self._memory.is_passed()

    def _order(self) -> Order:
        order = self._shared_state.order
        if os.getppid() != self._master_pid:
            return Order.STOP
        return Order.GO if self._leaves_by_itself else order

    @property
    def _leaves_by_itself(self) -> bool:
        return self.was_terminated and self._shared_state.order is Order.SERVE

    async def drain(
        self, server: Draining, on_tick: Callable[[int], Awaitable[object]] | None = None
    ) -> bool:
        """Answer what is connected or about to be, until the proxy has closed its connections.

        Args:
            server: which accepts no more.
            on_tick: what it does at every tick, told how many there were.

        Returns:
            Whether the worker has been called back meanwhile.
        """
        if self.was_killed:
            return False
        self._application.closing = True
        self._on_stage(Stage.LEAVING if self._leaves_by_itself else Stage.DRAINING)
        began = last_busy = asyncio.get_running_loop().time()
        counter = 0
        while True:
            # First of all, since a connection accepted in this very moment is not in the list yet.
            await asyncio.sleep(_TICK_SECONDS)
            counter += 1
            if on_tick:
                await on_tick(counter)
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
            if self.was_killed or (now - began >= self._times.total and order is not Order.STAND_BY):
                break
            if server.is_busy:
                last_busy = now
            # An idle connection is the proxy's to close, which may be about to use it. But one whose other
            # end has vanished must not hold up a stop, in which nobody accepts.
            is_idle_for_long = order is Order.STOP and now - last_busy >= self._times.idle_at_stop
            is_done = not (server.is_busy or server.is_connected)
            if is_idle_for_long or (is_done and order is not Order.STAND_BY):
                break
        # What lies in the kernel is read before idle connections are closed, without a pause in between.
        await asyncio.sleep(0)
        return False

    async def shut_down(self, handlers: Coroutine[Any, Any, None]) -> None:
        """Run the app's shutdown handlers, but not until the master kills the worker."""
        began = self._told_to_go_at or asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(began + self._times.end):
                await handlers
        except TimeoutError:
            _logger.error("The app's shutdown handlers take longer than request_timeout_seconds allows")
