"""`python -m farrier_develop.wsgi`: what `flask --debug run` does, or gunicorn --reload without Werkzeug."""

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
    from werkzeug._reloader import run_with_reloader
    from werkzeug.debug import DebuggedApplication
    from werkzeug.serving import make_server

    debugged = DebuggedApplication(serve, evalex=True)
    debugged.trusted_hosts = [*getattr(debugged, "trusted_hosts", []), DOMAIN]
    with socket.socket(fileno=os.dup(SOCKET_DESCRIPTOR)) as held:
        address = f"unix://{held.getsockname()}"
    server = make_server(address, 0, debugged, threaded=True, fd=SOCKET_DESCRIPTOR)
    run_with_reloader(server.serve_forever)


if __name__ == "__main__":
    os.environ["FLASK_DEBUG"] = "1"
    if importlib.util.find_spec("werkzeug"):
        run_werkzeug()
        sys.exit()
    gunicorn = ["-m", "gunicorn", "--reload", "--threads", "8", "farrier_develop.wsgi:serve"]
    os.execv(sys.executable, [sys.executable, *gunicorn])
