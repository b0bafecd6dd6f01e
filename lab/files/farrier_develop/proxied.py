"""What production's worker tells a WSGI app about its client, from the headers that nginx sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from farrier_gunicorn.configuration import read_settings
from farrier_gunicorn.wsgi import believe_the_proxy

SOCKET_DESCRIPTOR = 3  # the first that systemd passes
DOMAIN = os.environ.get("FARRIER_DOMAIN", "")
Application = Callable[..., Iterable[bytes]]


def settings() -> dict[str, Any]:
    """The app's gunicorn.json."""
    return read_settings(Path(os.environ["FARRIER_SETTINGS"]))


class Proxied:
    """A WSGI app behind nginx, which overwrites each of these headers."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._root_path = settings()["root_path"]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO") or environ["wsgi.url_scheme"]
        believe_the_proxy(environ)
        environ["SCRIPT_NAME"] = self._root_path
        return self._application(environ, start_response)
