"""The start-up and shutdown handlers of an app, for servers that run none, or not as uvicorn does."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from farrier_gunicorn.answer import Message
from farrier_gunicorn.application import ServedApplication

_logger = logging.getLogger("gunicorn.error")


class StartupError(Exception):
    """The app has said that its start-up failed."""


class Lifespan:
    """Of one app in one worker. An app that raises before it has said anything has no such handlers."""

    def __init__(self, application: ServedApplication) -> None:
        self._application = application
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}
        """What the start-up leaves for the requests, each of which gets a copy."""

    async def startup(self) -> None:
        """Wait until the app has started.

        Raises:
            StartupError: it has not.
        """
        self._task = asyncio.create_task(self._run())
        if await self._tell("startup") == "lifespan.startup.failed":
            raise StartupError(self._application.startup_failure)

    async def shutdown(self) -> None:
        """Wait until the app has ended."""
        if self._task and not self._task.done() and await self._tell("shutdown") != "ended":
            await self._task

    async def _tell(self, event: str) -> str:
        await self._to_app.put({"type": f"lifespan.{event}"})
        return await self._from_app.get()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        said: list[str] = []

        async def send(message: Message) -> None:
            said.append(message["type"])
            await self._from_app.put(message["type"])

        try:
            await self._application(scope, self._to_app.get, send)
        except Exception as error:
            if said[-1:] == ["lifespan.startup.complete"]:
                _logger.error("Exception in the app's shutdown handlers", exc_info=error)
        finally:
            self._from_app.put_nowait("ended")
