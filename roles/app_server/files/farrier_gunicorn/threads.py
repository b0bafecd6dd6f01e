"""The hand-over worker for WSGI: gunicorn's threads, which drain when told to, and can be called back."""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from types import FrameType
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from farrier_gunicorn.access_log import ThreadsAccessLog
from farrier_gunicorn.drain import DrainTimes, MemoryLimit
from farrier_gunicorn.handover import Handover
from farrier_gunicorn.shared_state import Order, Stage
from farrier_gunicorn.wsgi import ServedWsgiApplication

if not hasattr(ThreadWorker, "set_accept_enabled"):  # before gunicorn 24
    from farrier_gunicorn.threads_23 import ThreadWorker

TICK_SECONDS = 0.1
_MEMORY_EVERY_SECONDS = 1.0
_PIECE_BYTES = 65_536


class HandoverThreadWorker(Handover, ThreadWorker):
    """Serves until it is told otherwise, then answers what is connected until the proxy has closed it."""

    wsgi: ServedWsgiApplication
    max_requests: int

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # Looked after here: gunicorn would end, and ask for no replacement before.
        self._used_up_after, self.max_requests = int(self.max_requests), sys.maxsize
        self._terminated = False

    def load_wsgi(self) -> None:
        super().load_wsgi()
        configuration = self.generation.configuration
        log = ThreadsAccessLog(configuration.name)
        trusted = list(map(str, self.cfg.forwarded_allow_ips))
        self.wsgi = ServedWsgiApplication(
            self.wsgi, configuration.release, log, trusted, configuration.root_path
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.shared_state.stage is Stage.BOOTING:
            # Nothing has been accepted yet, and an import that hangs would never come to look at a flag.
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self._terminated = True

    def run(self) -> None:
        configuration = self.generation.configuration
        self._memory = MemoryLimit(configuration.worker_memory_max_mb)
        self._memory.check_at_start()
        self._look_at_memory_at = 0.0
        self._times = DrainTimes.of(
            configuration.graceful_timeout_seconds, configuration.proxy_keepalive_seconds
        )
        queue = self.method_queue
        self.poller.register(queue.fileno(), selectors.EVENT_READ, queue.run_callbacks)
        self._serve()
        while self._drain():
            self._serve()
        self.alive = False
        self.tpool.shutdown(wait=False)
        self.wsgi.access_log.close()
        for opened in (self.poller, queue, *self.sockets):
            opened.close()

    def _serve(self) -> None:
        """Until there is another order."""
        self.wsgi.closing = False
        self.set_accept_enabled(True)
        self.enter_stage(Stage.READY)
        while self._order() is Order.SERVE:
            self._turn()
            # More than there are threads would wait here, where other workers cannot take them.
            self.set_accept_enabled(self._busy < self.cfg.threads)
            if self.shared_state.stage is Stage.READY and self._is_used_up():
                self.enter_stage(Stage.RECYCLING)

    def _drain(self) -> bool:
        """Answer what is connected until the proxy has closed its connections.

        Returns whether the worker has been called back meanwhile.
        """
        self.wsgi.closing = True
        self.set_accept_enabled(False)
        self.enter_stage(Stage.LEAVING if self._leaves_by_itself else Stage.DRAINING)
        began = last_busy = time.monotonic()
        while True:
            self._turn()
            order = self._order()
            if order is Order.SERVE:
                return True
            if self._leaves_by_itself and self.shared_state.stage is not Stage.LEAVING:
                self.enter_stage(Stage.LEAVING)  # it was to be called back
            now = time.monotonic()
            if self._busy:
                last_busy = now
            if order is Order.STAND_BY:
                continue
            # An idle connection is the proxy's to close, which may be about to use it.
            is_idle_for_long = order is Order.STOP and now - last_busy >= self._times.idle_at_stop
            if self.nr_conns <= 0 or is_idle_for_long or now - began >= self._times.total:
                return False

    def _turn(self) -> None:
        """A tenth of a second, or less when something happens."""
        self.notify()
        self.wait_for_and_dispatch_events(timeout=TICK_SECONDS)
        self.murder_keepalived()
        if hasattr(self, "murder_pending"):  # since gunicorn 25
            self.murder_pending()
        self.wsgi.access_log.send()

    @property
    def _busy(self) -> int:
        """Number of connections with a request, or about to have one."""
        return int(self.nr_conns - len(self.keepalived_conns) - len(getattr(self, "pending_conns", ())))

    def _order(self) -> Order:
        if os.getppid() != self.ppid:
            return Order.STOP
        return Order.GO if self._leaves_by_itself else self.shared_state.order

    @property
    def _leaves_by_itself(self) -> bool:
        return self._terminated and self.shared_state.order is Order.SERVE

    def _is_used_up(self) -> bool:
        if self.nr >= self._used_up_after:
            return True
        if time.monotonic() < self._look_at_memory_at:
            return False
        self._look_at_memory_at = time.monotonic() + _MEMORY_EVERY_SECONDS
        return self._memory.is_passed()

    def handle_request(self, req: Any, conn: Any) -> bool:
        is_kept = super().handle_request(req, conn)
        try:
            # Of a long body that the app has not read: gunicorn would close the connection without notice.
            conn.sock.settimeout(self.cfg.timeout)
            while req.body.read(_PIECE_BYTES):
                pass
            conn.sock.settimeout(None)
        except Exception:  # too late for another answer
            return False
        return bool(is_kept)
