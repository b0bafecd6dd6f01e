"""The threads of gunicorn 21 to 23, in the shape that those of gunicorn 24 have."""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.workers import gthread


class _Calls:
    """What other threads want the worker's own thread to do. Wakes it up."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        return self._reader

    def defer(self, call: Any) -> None:
        self._calls.put(call)
        with contextlib.suppress(BlockingIOError):  # it is about to wake up already
            os.write(self._writer, b"\0")

    def run_callbacks(self, _: Any) -> None:
        os.read(self._reader, 65_536)
        while not self._calls.empty():
            self._calls.get()()

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


class ThreadWorker(gthread.ThreadWorker):
    """All that counts connections runs in one thread; in gunicorn itself it did not, and miscounted."""

    _accepting = False

    def init_process(self) -> None:
        self.method_queue = _Calls()
        super().init_process()

    @property
    def keepalived_conns(self) -> deque[Any]:
        return self._keep  # type: ignore[no-any-return]  # gunicorn has no types

    def set_accept_enabled(self, enabled: bool) -> None:
        for listener in self.sockets if enabled != self._accepting else ():
            if enabled:
                listener.setblocking(False)
                accept = partial(self.accept, listener.getsockname())
                self.poller.register(listener, selectors.EVENT_READ, accept)
            else:
                self.poller.unregister(listener)
        self._accepting = enabled

    def _wrap_future(self, fs: Future[Any], conn: Any) -> None:
        fs.conn = conn  # type: ignore[attr-defined]  # gunicorn expects it there
        finish = super().finish_request
        fs.add_done_callback(lambda done: self.method_queue.defer(partial(finish, done)))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        for key, _ in self.poller.select(timeout):
            key.data(key.fileobj)
