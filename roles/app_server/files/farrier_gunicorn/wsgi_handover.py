"""What the hand-over workers for WSGI have in common: when they serve, drain and end."""

from __future__ import annotations

import os
import sys
import time
from abc import abstractmethod
from typing import Any

from farrier_gunicorn.access_log import ThreadsAccessLog
from farrier_gunicorn.drain import DrainTimes, MemoryLimit
from farrier_gunicorn.handover import Handover
from farrier_gunicorn.shared_state import Order, Stage
from farrier_gunicorn.wsgi import ServedWsgiApplication

TICK_SECONDS = 0.1
_MEMORY_EVERY_SECONDS = 1.0


class WsgiHandover(Handover):
    """Serves until it is told otherwise, then answers what is connected; can be called back meanwhile."""

    wsgi: ServedWsgiApplication
    max_requests: int

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # Looked after here: gunicorn would end, and ask for no replacement before.
        self._used_up_after, self.max_requests = int(self.max_requests), sys.maxsize
        self.was_terminated = False

    def load_wsgi(self) -> None:
        super().load_wsgi()
        configuration = self.generation.configuration
        log = ThreadsAccessLog(configuration.name)
        trusted = list(map(str, self.cfg.forwarded_allow_ips))
        self.wsgi = ServedWsgiApplication(
            self.wsgi, configuration.release, log, trusted, configuration.root_path
        )

    @abstractmethod
    def set_accept_enabled(self, enabled: bool) -> None:
        """Take new connections, or leave them to other workers."""

    @abstractmethod
    def turn(self) -> None:
        """A tenth of a second, or less when something happens."""

    @property
    @abstractmethod
    def busy(self) -> int:
        """Number of connections with a request, or about to have one."""

    @property
    @abstractmethod
    def connected(self) -> int:
        """Number of connections, idle ones included."""

    @property
    @abstractmethod
    def answered(self) -> int:
        """Number of requests so far."""

    def live(self) -> None:
        """Serve, drain, and serve again if called back, until it is time to end."""
        configuration = self.generation.configuration
        self._memory = MemoryLimit(configuration.worker_memory_max_mb)
        self._memory.check_at_start()
        self._look_at_memory_at = 0.0
        self._times = DrainTimes.of(
            configuration.graceful_timeout_seconds, configuration.proxy_keepalive_seconds
        )
        self._serve()
        while self._drain():
            self._serve()

    def _serve(self) -> None:
        """Until there is another order."""
        self.wsgi.closing = False
        self.set_accept_enabled(True)
        self.enter_stage(Stage.READY)
        while self._order() is Order.SERVE:
            self.turn()
            # More than there are threads would wait here, where other workers cannot take them.
            self.set_accept_enabled(self.busy < self.cfg.threads)
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
            self.turn()
            order = self._order()
            if order is Order.SERVE:
                return True
            if self._leaves_by_itself and self.shared_state.stage is not Stage.LEAVING:
                self.enter_stage(Stage.LEAVING)  # it was to be called back
            now = time.monotonic()
            if self.busy:
                last_busy = now
            if order is Order.STAND_BY:
                continue
            # An idle connection is the proxy's to close, which may be about to use it.
            is_idle_for_long = order is Order.STOP and now - last_busy >= self._times.idle_at_stop
            if self.connected <= 0 or is_idle_for_long or now - began >= self._times.total:
                return False

    def _order(self) -> Order:
        if os.getppid() != self.ppid:
            return Order.STOP
        return Order.GO if self._leaves_by_itself else self.shared_state.order

    @property
    def _leaves_by_itself(self) -> bool:
        return self.was_terminated and self.shared_state.order is Order.SERVE

    def _is_used_up(self) -> bool:
        if self.answered >= self._used_up_after:
            return True
        if time.monotonic() < self._look_at_memory_at:
            return False
        self._look_at_memory_at = time.monotonic() + _MEMORY_EVERY_SECONDS
        return self._memory.is_passed()
