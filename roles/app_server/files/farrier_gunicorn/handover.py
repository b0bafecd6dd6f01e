"""What every worker that hands over has in common, whatever it serves: it boots under the master's eyes."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from typing import Any

from gunicorn import util
from gunicorn.workers.base import Worker

from farrier_gunicorn import interface, status
from farrier_gunicorn.generation import Generation
from farrier_gunicorn.shared_state import SharedState, Stage

_logger = logging.getLogger("gunicorn.error")

# Any code but 3 and 4, by which gunicorn would take the whole master down.
BOOT_FAILED = 1
_INTERRUPTED = 1
_STATES: dict[Stage, status.WorkerState] = {
    Stage.BOOTING: "booting",
    Stage.READY: "ready",
    Stage.RECYCLING: "ready",
    Stage.DRAINING: "draining",
    Stage.LEAVING: "draining",
}


class Handover(Worker):
    """Goes before gunicorn's own class of a worker."""

    generation: Generation
    """Set by the master before it forks."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.shared_state = SharedState()
        self.spawned_at = time.monotonic()
        self.retired_at: float | None = None
        self._phase = "import"

    @property
    def startup_failure(self) -> str | None:
        """What the app has said of its start-up, when that failed."""
        return None

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
            sys.exit(BOOT_FAILED)

    def load_wsgi(self) -> None:
        """Import the app of the worker's own generation, whatever the master was told since."""
        faulthandler.enable()  # when the master aborts a hanging worker, the journal shows where it hung
        configuration = self.generation.configuration
        self.wsgi = util.import_app(configuration.module)
        interface.check(self.wsgi, configuration.module, configuration.interface)
        self._phase = "startup"

    def enter_stage(self, stage: Stage) -> None:
        """Tell the master, and whoever reads the status files, how far this worker is."""
        release = self.generation.configuration.release
        self._publish(
            status.WorkerStatus(self.pid, self.generation.number, release, _STATES[stage], time.time())
        )
        if stage is Stage.READY:
            self.notify()
        self.shared_state.stage = stage
        if os.getppid() == self.ppid:
            os.kill(self.ppid, signal.SIGCHLD)  # wakes the master up

    def publish_loop_lag(self, seconds: float) -> None:
        """Tell whoever reads the status files by how much the event loop was late at most."""
        self._publish(replace(self._status, loop_lag_seconds=round(seconds, 3)))

    def _publish(self, record: status.WorkerStatus) -> None:
        self._status = record
        try:
            status.write(status.worker_path(self.generation.configuration.run_directory, self.pid), record)
        except OSError as error:
            _logger.warning("The status of worker %s cannot be written: %s", self.pid, error)

    def _report_failure(self, error: BaseException) -> None:
        if self.startup_failure is not None:
            details = self.startup_failure
            summary = details.strip().rpartition("\n")[2] or "the app gave no reason"
        elif isinstance(error, interface.InterfaceError):
            details, summary = "", str(error)
            _logger.error("Release %s does not start: %s", self.generation.configuration.release, summary)
        else:
            details = "".join(traceback.format_exception(error))
            summary = f"{type(error).__name__}: {error}"
            _logger.error("Release %s does not start:\n%s", self.generation.configuration.release, details)
        self.generation.record_failure(self.pid, self._phase, summary, details)
