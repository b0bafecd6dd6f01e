"""uvicorn's server, taught to say when it is ready and to end without leaving anything unanswered."""

from __future__ import annotations

import asyncio
import signal
import socket
from types import FrameType

from uvicorn.config import Config
from uvicorn.server import Server

from farrier_gunicorn.life import Life

# How long uvicorn waits, at the end of a drain that was cut, before it cancels what still runs.
_CANCEL_AFTER_SECONDS = 1


class HandoverServer(Server):
    """Serves until it is told otherwise, then drains, then shuts down as uvicorn does."""

    def __init__(self, config: Config, life: Life) -> None:
        super().__init__(config)
        self._life = life

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
            self._life.begin()

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
        self._life.was_terminated = True

    def quit(self) -> None:
        """End at once, without a drain."""
        self.should_exit = self.force_exit = self._life.was_killed = True

    @property
    def is_busy(self) -> bool:
        """Whether requests are under way, or what the app does after them."""
        return bool(self.server_state.tasks)

    @property
    def is_connected(self) -> bool:
        """Whether connections are open."""
        return bool(self.server_state.connections)

    async def on_tick(self, counter: int) -> bool:
        if not self._life.goes_on(counter):
            self.should_exit = True
        return await super().on_tick(counter)

    async def main_loop(self) -> None:
        await super().main_loop()
        while await self._drain():
            await self._serve_again()
            await super().main_loop()
        self.config.timeout_graceful_shutdown = _CANCEL_AFTER_SECONDS

    async def _drain(self) -> bool:
        for server in self.servers:
            server.close()
        return await self._life.drain(self, super().on_tick)

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
        self.should_exit = False
        self._life.serve_again()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._life.shut_down(super().shutdown(sockets))
