"""The hand-over worker for ASGI: uvicorn, which drains when told to, its heartbeat up to the end."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any, ClassVar

from uvicorn.server import Server

from farrier_gunicorn.access_log import AccessLog
from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.drain import DrainTimes
from farrier_gunicorn.handover import BOOT_FAILED, Handover
from farrier_gunicorn.server import HandoverServer
from farrier_gunicorn.stock import UvicornWorker

_HEARTBEAT_MOST_SECONDS = 1.0


class HandoverWorker(Handover, UvicornWorker):
    """With uvloop and httptools where they are installed."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._application: ServedApplication | None = None
        self.config.access_log = self.config.server_header = False
        # Requests are counted, and the heartbeat is kept, here: uvicorn's ends when its shutdown begins.
        self.config.limit_max_requests = self.config.callback_notify = None

    @property
    def startup_failure(self) -> str | None:
        return self._application.startup_failure if self._application else None

    async def _serve(self) -> None:
        configuration = self.generation.configuration
        self.config.app = self.wsgi
        self.config.root_path = configuration.root_path
        self.config.headers = [("X-Release", configuration.release)]
        self.config.load()
        log = AccessLog(configuration.name)
        self._application = ServedApplication(self.config.loaded_app, configuration.release, log)
        self.config.loaded_app = self._application
        server = HandoverServer(
            self.config,
            application=self._application,
            shared_state=self.shared_state,
            times=DrainTimes.of(
                configuration.graceful_timeout_seconds, configuration.proxy_keepalive_seconds
            ),
            master_pid=self.ppid,
            max_requests=self.max_requests,
            memory_max_mb=configuration.worker_memory_max_mb,
            on_stage=self.enter_stage,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.quit)
        heartbeat = asyncio.create_task(self._keep_heart_beating(server))
        await server.serve(sockets=self.sockets)
        heartbeat.cancel()
        self._application.access_log.close()
        if not server.started:
            sys.exit(BOOT_FAILED)

    async def _keep_heart_beating(self, server: Server) -> None:
        """A task of its own, to go on in a drain. Before the worker serves, the boot timeout holds."""
        interval = min(_HEARTBEAT_MOST_SECONDS, self.generation.configuration.timeout_seconds / 4)
        while True:
            if server.started:
                self.notify()
            await asyncio.sleep(interval)


class HandoverWorkerH11(HandoverWorker):
    """With asyncio and h11, which are pure Python."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "asyncio", "http": "h11"}
