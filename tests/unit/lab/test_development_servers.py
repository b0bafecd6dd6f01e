"""The development servers of WSGI: behind nginx, on a socket that others hold, and with code as saved."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOMAIN = "shop.develop.test"
PATIENCE_SECONDS = 30
FORWARDED = {
    "Host": DOMAIN,
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Host": DOMAIN,
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
}
SETTINGS = {
    "name": "shop",
    "module": "main:app",
    "current": "/srv/shop/current",
    "root_path": "/api",
    "subdir": "",
    "run_directory": "/run/farrier/shop",
    "environment_file": "/etc/farrier/shop/environment.json",
    "worker_class": "handover_wsgi",
    **dict.fromkeys(("workers", "threads", "timeout_seconds", "graceful_timeout_seconds"), 1),
    **dict.fromkeys(("boot_timeout_seconds", "keepalive_seconds", "proxy_keepalive_seconds", "backlog"), 1),
    **dict.fromkeys(("max_requests", "max_requests_jitter", "worker_memory_max_mb"), 0),
    "handover": "stop_first",
}
FLASK = """
from flask import Flask, request
app = Flask(__name__)
@app.get("/")
def page():
    return {"word": "one", "client": request.remote_addr, "url": request.url}
"""
PLAIN = """
import json
from wsgiref.util import request_uri
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    told = {"word": "one", "client": environ["REMOTE_ADDR"], "url": request_uri(environ)}
    return [json.dumps(told).encode()]
"""
DJANGO = """
import os, sys
from django.http import JsonResponse
from django.urls import path
DEBUG, SECRET_KEY, ROOT_URLCONF = True, "x", "manage"
def page(request):
    client, url = request.META["REMOTE_ADDR"], request.build_absolute_uri()
    return JsonResponse({"word": "one", "client": client, "url": url})
urlpatterns = [path("", page)]
def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "manage")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
# Hides Werkzeug as an environment without it would.
WITHOUT_WERKZEUG = """
import importlib.util as u
find = u.find_spec
u.find_spec = lambda name: name != "werkzeug" and find(name)
"""


class UnixConnection(http.client.HTTPConnection):
    """To a server on a unix socket, as nginx makes it."""

    def __init__(self, path: Path) -> None:
        super().__init__(DOMAIN, timeout=PATIENCE_SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(self._path)


Serve = Callable[..., Callable[[], dict[str, str]]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts a server and returns one that asks it for its page."""
    path = tmp_path / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    (tmp_path / "gunicorn.json").write_text(json.dumps(SETTINGS))
    library = f"{ROOT}/lab/files:{ROOT}/roles/app_server/files:{tmp_path}"
    environment = {
        **os.environ,
        "FARRIER_DOMAIN": DOMAIN,
        "FARRIER_SETTINGS": str(tmp_path / "gunicorn.json"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": library,
        "LISTEN_FDS": "1",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> Callable[[], dict[str, str]]:
        # As systemd: the socket is descriptor 3, and LISTEN_PID the server's own.
        script = 'exec 3<&"$0"; export LISTEN_PID=$$; exec "$@"'
        command = ["bash", "-c", script, str(listener.fileno()), sys.executable, "-m", *arguments]
        started.append(
            subprocess.Popen(
                command,
                cwd=tmp_path,
                env=environment,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        )
        return ask

    def ask() -> dict[str, str]:
        for _ in range(PATIENCE_SECONDS * 5):
            connection = UnixConnection(path)
            try:
                connection.request("GET", "/", headers=FORWARDED)
                answer: dict[str, str] = json.loads(connection.getresponse().read())
            except (OSError, ValueError, http.client.HTTPException):
                time.sleep(0.2)  # the process that had accepted is gone
            else:
                return answer
            finally:
                connection.close()
        raise AssertionError("no answer")

    yield start
    for process in started:
        os.killpg(process.pid, 9)
        process.wait()
    assert path.is_socket()
    listener.close()


@pytest.mark.parametrize(
    ("file", "content", "arguments"),
    [
        ("main.py", FLASK, ["farrier_develop.wsgi"]),
        ("main.py", PLAIN, ["farrier_develop.wsgi"]),
        ("manage.py", DJANGO, ["farrier_develop.runserver", "runserver"]),
    ],
    ids=["flask", "plain", "django"],
)
def test_the_app_is_told_of_its_client_and_a_saved_file_is_seen(
    serve: Serve, tmp_path: Path, file: str, content: str, arguments: list[str]
) -> None:
    """As production's worker tells it: address, scheme, host and prefix."""
    (tmp_path / file).write_text(content)
    if content == PLAIN:
        (tmp_path / "sitecustomize.py").write_text(WITHOUT_WERKZEUG)
    ask = serve(*arguments)
    assert ask() == {"word": "one", "client": "192.0.2.7", "url": f"https://{DOMAIN}/api/"}
    time.sleep(1.5)  # the servers compare times of files, which they must have read once
    (tmp_path / file).write_text(content.replace('"one"', '"another"'))
    until = time.monotonic() + PATIENCE_SECONDS
    while ask()["word"] != "another":
        assert time.monotonic() < until
        time.sleep(0.1)


def test_an_app_that_cannot_be_imported_is_tried_again(serve: Serve, tmp_path: Path) -> None:
    """A mistake in a saved file is shown, and ends when it is corrected."""
    file = tmp_path / "main.py"
    file.write_text("syntax error\n" + FLASK)
    ask = serve("farrier_develop.wsgi")
    time.sleep(1.5)
    file.write_text(FLASK)
    assert ask()["word"] == "one"
