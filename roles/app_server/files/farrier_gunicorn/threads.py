"""The hand-over worker for WSGI by gunicorn's threads."""

from __future__ import annotations

import selectors
import signal
from types import FrameType
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from farrier_gunicorn.shared_state import Stage
from farrier_gunicorn.wsgi_handover import TICK_SECONDS, WsgiHandover

if not hasattr(ThreadWorker, "set_accept_enabled"):  # before gunicorn 24
    from farrier_gunicorn.threads_23 import ThreadWorker

_PIECE_BYTES = 65_536


class HandoverThreadWorker(WsgiHandover, ThreadWorker):
    """When it drains, it answers what is connected until the proxy has closed its connections."""

    def set_accept_enabled(self, enabled: bool) -> None:
        ThreadWorker.set_accept_enabled(self, enabled)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.shared_state.stage is Stage.BOOTING:
            # Nothing has been accepted yet, and an import that hangs would never come to look at a flag.
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self.was_terminated = True

    def run(self) -> None:
        queue = self.method_queue
        self.poller.register(queue.fileno(), selectors.EVENT_READ, queue.run_callbacks)
        self.live()
        self.alive = False
        self.tpool.shutdown(wait=False)
        self.wsgi.access_log.close()
        for opened in (self.poller, queue, *self.sockets):
            opened.close()

    def turn(self) -> None:
        self.notify()
        self.wait_for_and_dispatch_events(timeout=TICK_SECONDS)
        self.murder_keepalived()
        if hasattr(self, "murder_pending"):  # since gunicorn 25
            self.murder_pending()
        self.wsgi.access_log.send()

    @property
    def busy(self) -> int:
        return int(self.nr_conns - len(self.keepalived_conns) - len(getattr(self, "pending_conns", ())))

    @property
    def connected(self) -> int:
        return int(self.nr_conns)

    @property
    def answered(self) -> int:
        return int(self.nr)

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
