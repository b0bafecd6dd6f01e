"""What the worker puts around a WSGI app for uWSGI, which cuts no answer into chunks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from farrier_gunicorn.wsgi import Environ, ServedWsgiApplication, StartResponse, fail

_PIECE_BYTES = 65_536
_WITHOUT_BODY = (204, 304)
# nginx would keep the connection, and uWSGI closes it.
_CLOSE = ("Connection", "close")


class UwsgiApplication:
    """The app as uWSGI calls it.

    Args:
        served: the app, with the client as the proxy saw it, the release and the access log.
    """

    def __init__(self, served: ServedWsgiApplication) -> None:
        self._served = served
        self._lock = threading.Lock()
        self.under_way = 0
        self.answered = 0

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        with self._lock:
            self.under_way += 1
            self.answered += 1
        return self._answer(environ, Answer(environ, start_response))

    def _answer(self, environ: Environ, answer: Answer) -> Iterator[bytes]:
        pieces: Iterable[bytes] = ()
        try:
            # uWSGI says 0.0.0.0 over a unix socket, and believes whoever says that he came by TLS.
            environ["REMOTE_ADDR"] = environ["REMOTE_ADDR"].replace("0.0.0.0", "")
            environ["wsgi.url_scheme"] = "http"
            pieces = self._served(environ, answer.start)
            try:
                for piece in pieces:
                    yield from answer.send(piece)
            except Exception:
                if answer.headers_sent:
                    raise
                for piece in fail(environ, answer.start):
                    yield from answer.send(piece)
            yield from answer.end()
        finally:
            self._served.log(environ, answer)
            if hasattr(pieces, "close"):
                pieces.close()
            # uWSGI would close the connection while the proxy still sends.
            with contextlib.suppress(OSError):
                while environ["wsgi.input"].read(_PIECE_BYTES):
                    pass
            with self._lock:
                self.under_way -= 1


class Answer:
    """One answer, with what `ServedWsgiApplication` wants to know of gunicorn's.

    Args:
        environ: of the request.
        start_response: of uWSGI, which can be called once.
    """

    def __init__(self, environ: Environ, start_response: StartResponse) -> None:
        self.headers_sent = False
        self.status_code: int | None = None
        self._start_response = start_response
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._knows_chunks = environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        self._is_chunked = False

    def force_close(self) -> None:
        """Each answer asks for another connection."""

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take down the header, which is sent with the first piece of the body."""
        if exc_info and self.headers_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        self.status_code = int(status.partition(" ")[0])
        self._status, self._headers = status, headers
        return self._write

    def send(self, piece: bytes) -> Iterator[bytes]:
        """Yield what is to be sent for a piece of the body."""
        if not piece:
            return
        self._send_header()
        if self._has_body:
            yield b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece

    def end(self) -> Iterator[bytes]:
        """Yield what is to be sent when the app has ended as it should."""
        self._send_header()
        if self._is_chunked:
            yield b"0\r\n\r\n"

    def _write(self, piece: bytes) -> None:
        for part in self.send(piece):
            self._write_now(part)

    @property
    def _has_body(self) -> bool:
        return not self._is_head and self.status_code not in _WITHOUT_BODY

    def _send_header(self) -> None:
        if self.headers_sent:
            return
        named = {name.lower() for name, _ in self._headers}
        # Without an end of its own, an answer that was cut would look whole.
        self._is_chunked = self._has_body and self._knows_chunks and "content-length" not in named
        added = [_CLOSE, *([("Transfer-Encoding", "chunked")] if self._is_chunked else [])]
        self._write_now = self._start_response(self._status, [*self._headers, *added])
        self.headers_sent = True
