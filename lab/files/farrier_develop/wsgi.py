"""`python -m farrier_develop.wsgi`: what `flask --debug run` does, for every WSGI app; without Werkzeug, gunicorn --reload."""

from __future__ import annotations

import functools
import importlib.util
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.util import import_app

from farrier_develop.proxied import DOMAIN, SOCKET_DESCRIPTOR, Proxied, settings


@functools.cache
def application() -> Proxied:
    """The app. One that cannot be imported is tried again by the next request, which shows why."""
    return Proxied(import_app(settings()["module"]))


def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request."""
    return application()(environ, start_response)


def run_werkzeug() -> None:
    """Reload, and show exceptions in the browser."""
    from werkzeug import debug, serving

    class Debugged(debug.DebuggedApplication):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.trusted_hosts = [*getattr(self, "trusted_hosts", []), DOMAIN]

    debug.DebuggedApplication = Debugged  # type: ignore[misc]  # run_simple takes it from there
    held = socket.socket(fileno=SOCKET_DESCRIPTOR)
    serving.prepare_socket = lambda _host, _port: held
    serving.run_simple(
        f"unix://{held.getsockname()}", 0, serve, use_reloader=True, use_debugger=True, threaded=True
    )


if __name__ == "__main__":
    os.environ["FLASK_DEBUG"] = "1"
    if importlib.util.find_spec("werkzeug"):
        run_werkzeug()
    gunicorn = ["-m", "gunicorn", "--reload", "--threads", "8", "farrier_develop.wsgi:serve"]
    os.execv(sys.executable, [sys.executable, *gunicorn])
