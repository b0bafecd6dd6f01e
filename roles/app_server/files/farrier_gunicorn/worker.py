"""The hand-over worker for ASGI: uvicorn, which drains when told to, its heartbeat up to the end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.server import Server

from farrier_gunicorn.access_log import AccessLog
from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.drain import DrainTimes
from farrier_gunicorn.handover import BOOT_FAILED, Handover
from farrier_gunicorn.server import HandoverServer

_HEARTBEAT_MOST_SECONDS = 1.0


class HandoverWorker(Handover):
    """With uvloop and httptools where they are installed."""

    CONFIG_KEYWORDS: ClassVar[dict[str, Any]] = {}

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._application: ServedApplication | None = None
        log = logging.getLogger("uvicorn.error")
        log.handlers, log.propagate = self.log.error_log.handlers, False
        log.setLevel(self.log.error_log.level)
        logging.getLogger("uvicorn.access").handlers = []
        # Requests are counted, and the heartbeat is kept, here: uvicorn's ends when its shutdown begins.
        self.config = Config(
            None,  # type: ignore[arg-type]  # known when it is imported
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=self.cfg.backlog,
            timeout_keep_alive=self.cfg.keepalive,
            forwarded_allow_ips=self.cfg.forwarded_allow_ips,
            **self.CONFIG_KEYWORDS,
        )

    def init_signals(self) -> None:
        """Leave them to the system until the server runs: a start-up that hangs can be ended."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, self.handle_usr1)
        signal.siginterrupt(signal.SIGUSR1, False)

    def run(self) -> None:
        new_loop = None
        if hasattr(self.config, "get_loop_factory"):
            new_loop = self.config.get_loop_factory()
        else:  # before uvicorn 0.36
            self.config.setup_event_loop()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._serve())

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

    CONFIG_KEYWORDS: ClassVar[dict[str, Any]] = {"loop": "asyncio", "http": "h11"}
