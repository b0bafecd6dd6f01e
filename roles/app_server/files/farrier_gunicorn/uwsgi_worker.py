"""The hand-over worker for WSGI by uWSGI, which takes over the process, without a master of its own."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from importlib import import_module
from typing import Any

from farrier_gunicorn.uwsgi_answer import UwsgiApplication
from farrier_gunicorn.wsgi_handover import TICK_SECONDS, WsgiHandover

_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
# Between the accept of a connection and the call of the app.
_UNSEEN_SECONDS = 0.5
_HEADER_BYTES = 65_535


class UwsgiWorker(WsgiHandover):
    """uWSGI has the main thread; another one looks after the worker."""

    running: UwsgiWorker
    """The only one in its process, for `uwsgi_module`."""

    def load_wsgi(self) -> None:
        # Before the app, so that a release without it says so.
        self._uwsgi = import_module("pyuwsgi")
        super().load_wsgi()
        self.application = UwsgiApplication(self.wsgi)

    def init_signals(self) -> None:
        """Until it serves, a signal ends the worker at once."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def run(self) -> None:
        """Never return."""
        UwsgiWorker.running = self
        self._listeners = {listener.fileno(): os.dup(listener.fileno()) for listener in self.sockets}
        self._nobody = socket.socket(socket.AF_UNIX)
        self._nobody.bind("")
        self._nobody.listen()
        self._nobody.setblocking(False)
        self._is_accepting = True
        self._seen_idle_turns = 0
        options: dict[str, Any] = {
            "module": "farrier_gunicorn.uwsgi_module",
            "threads": self.cfg.threads,
            "socket-timeout": self.cfg.timeout,
            "buffer-size": _HEADER_BYTES,
            "worker-reload-mercy": self.generation.configuration.graceful_timeout_seconds,
        }
        flags = [
            *("enable-threads", "single-interpreter", "disable-logging", "need-app"),
            *("ignore-sigpipe", "ignore-write-errors", "disable-write-exception"),
        ]
        # What it is and where it runs, in thirty lines for each worker.
        self._stderr = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        self._uwsgi.run(
            [
                *(f"--http-socket=fd://{number}" for number in self._listeners),
                *(f"--{name}={value}" for name, value in options.items()),
                *(f"--{flag}" for flag in flags),
            ]
        )

    def begin(self) -> None:
        """Called by uWSGI in its main thread, which is about to accept; uWSGI has set signals by now."""
        os.dup2(self._stderr, 2)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        threading.Thread(target=self._look_after, name="farrier", daemon=True).start()

    def _look_after(self) -> None:
        self.live()
        # uWSGI ends when its threads have nothing to do.
        os.kill(os.getpid(), signal.SIGHUP)
        while True:
            self.turn()

    def end(self) -> None:
        """Called by uWSGI when nothing is served any more."""
        self.wsgi.access_log.close()
        sys.stdout.flush()

    def set_accept_enabled(self, enabled: bool) -> None:
        """uWSGI goes on to accept, but from a socket to which nobody connects."""
        if enabled == self._is_accepting:
            return
        for number, listener in self._listeners.items():
            os.dup2(listener if enabled else self._nobody.fileno(), number, inheritable=False)
        self._is_accepting = enabled
        self._seen_idle_turns = 0

    def turn(self) -> None:
        self.notify()
        self.wsgi.access_log.send()
        if signal.sigtimedwait(_SIGNALS, TICK_SECONDS):
            self.was_terminated = True
        self._seen_idle_turns = 0 if self.busy else self._seen_idle_turns + 1

    @property
    def busy(self) -> int:
        return self.application.under_way

    @property
    def connected(self) -> int:
        is_idle = not self._is_accepting and self._seen_idle_turns * TICK_SECONDS >= _UNSEEN_SECONDS
        return 0 if is_idle else 1

    @property
    def answered(self) -> int:
        return self.application.answered
