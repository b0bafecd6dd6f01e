"""The hand-over worker: boots under the master's eyes, drains when told to, its heartbeat up to the end."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import time
import traceback
from typing import Any, ClassVar

from gunicorn import util
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from farrier_gunicorn import status
from farrier_gunicorn.access_log import AccessLog
from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.generation import Generation
from farrier_gunicorn.server import DrainTimes, HandoverServer
from farrier_gunicorn.shared_state import SharedState, Stage

_logger = logging.getLogger("gunicorn.error")

# Any code but 3 and 4, by which gunicorn would take the whole master down.
_BOOT_FAILED = 1
_INTERRUPTED = 1
_HEARTBEAT_MOST_SECONDS = 1.0
_STATES: dict[Stage, status.WorkerState] = {
    Stage.BOOTING: "booting",
    Stage.READY: "ready",
    Stage.RECYCLING: "ready",
    Stage.DRAINING: "draining",
    Stage.LEAVING: "draining",
}


class HandoverWorker(UvicornWorker):
    """With uvloop and httptools where they are installed."""

    generation: Generation
    """Set by the master before it forks."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.shared_state = SharedState()
        self.spawned_at = time.monotonic()
        self.retired_at: float | None = None
        self._phase = "import"
        self._application: ServedApplication | None = None
        self.config.server_header = False
        # Both are looked after here: uvicorn's heartbeat ends when its shutdown begins.
        self.config.callback_notify = None
        self.config.limit_max_requests = None

    def init_process(self) -> None:
        """Everything that a worker does. An error before it is ready is written down for the master."""
        try:
            super().init_process()
        except BaseException as error:
            if self.shared_state.stage is not Stage.BOOTING:
                if isinstance(error, (Exception, SystemExit)):
                    raise
                # Such as KeyboardInterrupt: gunicorn would go on as a second master, and end the siblings.
                _logger.critical("The worker was interrupted", exc_info=error)
                sys.exit(_INTERRUPTED)
            self._report_failure(error)
            for listener in self.sockets:
                listener.close()
            sys.exit(_BOOT_FAILED)

    def load_wsgi(self) -> None:
        """Import the app of the worker's own generation, whatever the master was told since."""
        faulthandler.enable()  # when the master aborts a hanging worker, the journal shows where it hung
        self.wsgi = util.import_app(self.generation.configuration.module)
        self._phase = "startup"

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
            sys.exit(_BOOT_FAILED)

    async def _keep_heart_beating(self, server: Server) -> None:
        """A task of its own, to go on in a drain. Before the worker serves, the boot timeout holds."""
        interval = min(_HEARTBEAT_MOST_SECONDS, self.generation.configuration.timeout_seconds / 4)
        while True:
            if server.started:
                self.notify()
            await asyncio.sleep(interval)

    def enter_stage(self, stage: Stage) -> None:
        """Tell the master, and whoever reads the status files, how far this worker is."""
        configuration = self.generation.configuration
        record = status.WorkerStatus(
            self.pid, self.generation.number, configuration.release, _STATES[stage], time.time()
        )
        try:
            status.write(status.worker_path(configuration.run_directory, self.pid), record)
        except OSError as error:
            _logger.warning("The status of worker %s cannot be written: %s", self.pid, error)
        if stage is Stage.READY:
            self.notify()
        self.shared_state.stage = stage
        if os.getppid() == self.ppid:
            os.kill(self.ppid, signal.SIGCHLD)  # wakes the master up

    def _report_failure(self, error: BaseException) -> None:
        startup_failure = self._application.startup_failure if self._application else None
        if startup_failure is not None:
            details = startup_failure
            summary = details.strip().rpartition("\n")[2] or "the app gave no reason"
        else:
            details = "".join(traceback.format_exception(error))
            summary = f"{type(error).__name__}: {error}"
            _logger.error("Release %s does not start:\n%s", self.generation.configuration.release, details)
        self.generation.record_failure(self.pid, self._phase, summary, details)


class HandoverWorkerH11(HandoverWorker):
    """With asyncio and h11, which are pure Python."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "asyncio", "http": "h11"}
