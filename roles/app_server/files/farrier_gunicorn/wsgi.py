"""What the worker puts around a WSGI app: the client as the proxy saw it, the release, the access log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from farrier_gunicorn.access_log import ThreadsAccessLog, entry
from farrier_gunicorn.trust import Trust

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_logger = logging.getLogger("gunicorn.error")

_STARTED = "farrier.started"
_LENGTH_OR_WISH = {"content-length", "x-accel-buffering"}


class ServedWsgiApplication:
    """The app as gunicorn calls it.

    Args:
        application: the app's own.
        release: id of its release.
        access_log: of the worker.
        trusted_proxies: whose X-Forwarded-* headers are believed: addresses and networks, or `*`.
        root_path: the app's URL prefix, which the proxy takes away, or "".
    """

    def __init__(
        self,
        application: Application,
        release: str,
        access_log: ThreadsAccessLog,
        trusted_proxies: list[str],
        root_path: str,
    ) -> None:
        self._application = application
        self._release = release
        self._root_path = root_path
        self._trust = Trust(trusted_proxies)
        self.access_log = access_log
        self.closing = False
        """Whether answers ask the proxy not to use the connection again."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ[_STARTED] = time.perf_counter()
        if self._root_path:
            environ["SCRIPT_NAME"] = self._root_path
        if self._trust.believes(environ["REMOTE_ADDR"]):
            believe_the_proxy(environ)
        response = start_response.__self__  # type: ignore[attr-defined]  # gunicorn's

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], object]:
            if self.closing:
                response.force_close()
            added = [("X-Release", self._release)]
            # Made piece by piece: nginx passes each piece on at once.
            if _LENGTH_OR_WISH.isdisjoint(name.lower() for name, _ in headers):
                added.append(("X-Accel-Buffering", "no"))
            return start_response(status, [*headers, *added], exc_info)

        try:
            return self._application(environ, start)
        except Exception:
            if response.headers_sent:
                raise
            return fail(environ, start)

    def log(self, environ: Environ, response: Any) -> None:
        """One line; an exception may be on its way."""
        if _STARTED not in environ:  # gunicorn has refused it
            return
        status = response.status_code if response.headers_sent else None
        if status is None and not isinstance(sys.exc_info()[1], OSError | None):
            status = 500
        self.access_log.write(
            entry(
                environ.get("HTTP_X_REQUEST_ID", ""),
                environ.get("REMOTE_ADDR") or None,
                environ["REQUEST_METHOD"],
                _path(environ),
                status,
                environ[_STARTED],
                self._release,
            )
        )


def believe_the_proxy(environ: Environ) -> None:
    """Put in place what nginx has said of the client; gunicorn has done so for the scheme."""
    if environ.get("HTTP_X_FORWARDED_PROTO") == "https":
        environ["wsgi.url_scheme"] = "https"
    client = environ.get("HTTP_X_FORWARDED_FOR", "").partition(",")[0].strip()
    if not client:
        return
    environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client, "0"
    host, _, port = environ.get("HTTP_HOST", "").rpartition(":")
    if not port.isdecimal():
        host, port = environ.get("HTTP_HOST", ""), ""
    default_port = "443" if environ["wsgi.url_scheme"] == "https" else "80"
    environ["SERVER_NAME"] = host or environ["SERVER_NAME"]
    environ["SERVER_PORT"] = port or environ.get("HTTP_X_FORWARDED_PORT") or default_port


def fail(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 500. The connection stays open: gunicorn would close it."""
    request = f"request {environ.get('HTTP_X_REQUEST_ID', '')}: {environ['REQUEST_METHOD']} {_path(environ)}"
    error = sys.exc_info()
    _logger.error("Exception in WSGI application, %s", request, exc_info=error)
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "21")]
    start_response("500 Internal Server Error", headers, error)
    return [b"Internal Server Error"]


def _path(environ: Environ) -> str:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return str(path).encode("latin-1").decode(errors="replace")
