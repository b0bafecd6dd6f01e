"""One run of the load: starts the clients, listens for marks, ends them all cleanly."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from . import control
from .observatory import ONE_IN_SO_MANY_WRITES_NOTES, OPERATIONS, note
from .pace import Pace
from .recorder import Recorder
from .session import Session
from .streams import download, watch_events
from .target import Target
from .websocket import Conversation


@dataclass(frozen=True, slots=True)
class Options:
    """How much load, and for how long.

    Attributes:
        connections: keep-alive connections with short requests.
        websockets: WebSockets beside them.
        events: streams of server-sent events beside them.
        downloads: long downloads beside them.
        seconds: the run ends after so long,
        requests: or after so many requests.
        per_second: at most so many requests a second; None for as many as it can.
        timeout_seconds: the longest wait for a connection, or for the next byte of an answer.
        notes: whether some connections write notes: hosts that share no database know only their own.
        retry_safe: whether what may be lost with a host is begun anew and counted apart, see README.md.
        control: path of the UNIX socket to listen on, see `control`.
    """

    connections: int = 64
    websockets: int = 4
    events: int = 4
    downloads: int = 2
    seconds: float = 600.0
    requests: int = 1_000_000
    per_second: float | None = None
    timeout_seconds: float = 30.0
    notes: bool = True
    retry_safe: bool = False
    control: Path | None = None


class Run:
    """A run of the load. `await run.drive()`, then read `run.recorder`."""

    def __init__(self, target: Target, options: Options) -> None:
        self.recorder = Recorder()
        self._target = target
        self._options = options
        self._pace = Pace(options.per_second)
        self._stopping = asyncio.Event()
        self._watchers: list[Session] = []
        self._error: RuntimeError | None = None

    def stop(self) -> None:
        """End the run: requests under way are waited for, event streams are given up."""
        if not self._stopping.is_set():
            self.recorder.end()
        self._stopping.set()
        for session in self._watchers:
            session.give_up()

    async def drive(self) -> None:
        """Put load on the target until time or count is up, or `stop` is called."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.set_exception_handler(self._break)
        loop.call_later(self._options.seconds, self.stop)
        path = self._options.control
        server = await control.serve(path, self._command) if path else None
        try:
            async with asyncio.TaskGroup() as group:
                for client in self._clients():
                    group.create_task(client)
        finally:
            if server is not None and path is not None:
                server.close()
                path.unlink(missing_ok=True)
        if self._error is not None:
            raise self._error

    def _break(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # uvloop's TLS writes to a connection that was just lost. Whose request was on it is told by the loss.
        if "the handler is closed" in str(context.get("exception")):
            return
        # A mistake in this client must not look like a run without failures.
        self._error = self._error or RuntimeError(context["message"])
        self._error.__cause__ = context.get("exception")
        self.stop()

    def _clients(self) -> list[Coroutine[Any, Any, None]]:
        options = self._options
        self._watchers = [self._session() for _ in range(options.events)]
        return [
            *(self._keep_busy(number) for number in range(options.connections)),
            *(watch_events(session, self._stopping) for session in self._watchers),
            *(download(self._session(), self._stopping) for _ in range(options.downloads)),
            *(
                Conversation(
                    self._target,
                    self.recorder,
                    self._pace,
                    timeout_seconds=options.timeout_seconds,
                    retry_safe=options.retry_safe,
                ).keep_up(Random(number), self._stopping)
                for number in range(options.websockets)
            ),
        ]

    async def _keep_busy(self, number: int) -> None:
        session = self._session()
        random = Random(number)
        writes_notes = self._options.notes and number % ONE_IN_SO_MANY_WRITES_NOTES == 0
        operations = {note: 1} if writes_notes else OPERATIONS
        choices, weights = list(operations), list(operations.values())
        while not self._stopping.is_set():
            await random.choices(choices, weights)[0](session, random)
            if len(self.recorder) >= self._options.requests:
                self.stop()
        session.close()

    def _session(self) -> Session:
        options = self._options
        return Session(
            self._target,
            self.recorder,
            self._pace,
            timeout_seconds=options.timeout_seconds,
            retry_safe=options.retry_safe,
        )

    def _change_rate(self, argument: str) -> None:
        per_second = float(argument)
        if not 0 < per_second < math.inf:
            raise ValueError(f"{argument!r} is no rate: give a number above 0")
        self._pace.change(per_second)

    def _command(self, command: str, argument: str) -> dict[str, Any]:
        if command == "mark" and argument:
            return {"at_seconds": self.recorder.mark(argument).at_seconds}
        if command == "rate":
            self._change_rate(argument)
        elif command == "stop":
            self.stop()
        elif command != "status":
            raise ValueError(f"{command!r}: give `mark LABEL`, `rate NUMBER`, `status` or `stop`")
        return {
            "seconds": self.recorder.now_seconds(),
            "requests": len(self.recorder),
            "failed": self.recorder.failed,
            "failed_by_method": dict(self.recorder.failed_by_method),
            "repeated": self.recorder.repeated,
            "streams_lost": self.recorder.streams_lost,
            "releases": [release for release in self.recorder.releases if release],
            "answers_by_host": dict(self.recorder.answers_by_host),
        }
