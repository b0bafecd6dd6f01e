"""Real server processes for the tests, and the socket that they share as under systemd."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

APP_DIRECTORY = Path(__file__).parent.parent
PORTS = range(18300, 18400)
PATIENCE_SECONDS = 30


def wait_until(true: Callable[[], Any], what: str) -> Any:
    """Wait until `true()` is, and return its value; fail after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if value := true():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")


def listen() -> socket.socket:
    """Listen on the first free port of the tests' range."""
    for port in PORTS:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen(256)
        return listener
    raise AssertionError("no free port for the tests")


def environment(state: Path, **more: str) -> dict[str, str]:
    """Environment of the application as systemd gives it: nothing of this process's own settings."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return kept | {"STATE_DIRECTORY": str(state), **more}


def migrate(state: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run alembic as an operator does: from the application's directory."""
    return subprocess.run(
        [sys.executable, "-m", "alembic", *(arguments or ("upgrade", "head"))],
        cwd=APP_DIRECTORY,
        env=environment(state, **more),
        capture_output=True,
        text=True,
        check=False,
    )


class Server:
    """The application in uvicorn, on a socket that is already open."""

    def __init__(self, listener: socket.socket, state: Path, release: str, workers: int = 1) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.release = release
        self._workers = workers
        # A connection for each request: the workers share the requests as they share connections. The pool's
        # limit is not for that: with none to keep, a thread closes what another one has just opened.
        one_use = {"Connection": "close"}
        self.http = httpx.Client(base_url=self.url, headers=one_use, timeout=PATIENCE_SECONDS)
        self.log = state / f"{release}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command(listener.fileno()), "--workers", str(workers)],
                env=environment(state, RELEASE_ID=release),
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=log,
            )

    @staticmethod
    def command(descriptor: int) -> list[str]:
        """Module of the server and its arguments, for a listening socket."""
        options = ["--no-access-log", "--timeout-graceful-shutdown", "5"]
        return ["uvicorn", "observatory.main:app", "--fd", str(descriptor), *options]

    def __enter__(self) -> Self:
        try:
            wait_until(self._ready, f"{self.release} starts, see {self.log}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ready(self) -> bool:
        assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
        return self.log.read_text().count("Application startup complete") == self._workers

    def stop(self) -> None:
        """Stop it as systemd does, and wait for its end."""
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)
        self.http.close()

    def get(self, path: str) -> httpx.Response:
        """GET a path."""
        return self.http.get(path)


class Gunicorn(Server):
    """The application in gunicorn with its uvicorn workers, on a socket that is already open."""

    @staticmethod
    def command(descriptor: int) -> list[str]:
        """Module of the server and its arguments, for a listening socket."""
        options = ["--worker-class", "uvicorn_worker.UvicornWorker", "--no-control-socket"]
        return ["gunicorn", "observatory.main:app", "--bind", f"fd://{descriptor}", *options]
