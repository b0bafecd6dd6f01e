"""A host in a directory: releases with virtual environments, settings, and a real gunicorn master."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from farrier_gunicorn import status

LIBRARY = Path(status.__file__).parent.parent
EXAMPLE_APP = (Path(__file__).parent / "example_app.py").read_text()
# Where gunicorn and uvicorn are; the releases' own virtual environments point there.
SITE_PACKAGES = next(path for path in sys.path if path.endswith("site-packages"))
# For what should take a second or less; long enough for a machine that does something else.
PATIENCE_SECONDS = 30.0


class Host:
    """One app on one host. Use as a context manager: nothing of it is left running."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.current = directory / "current"
        self.run_directory = directory / "run"
        self.socket = directory / "http.sock"
        self.log = directory / "log"
        self.master: subprocess.Popen[bytes] | None = None
        self.settings = {
            "name": "example",
            "module": "example:app",
            "current": str(self.current),
            "run_directory": str(self.run_directory),
            "environment_file": str(directory / "environment.json"),
            "worker_class": "handover",
            "workers": 2,
            "threads": 4,
            "timeout_seconds": 10,
            "graceful_timeout_seconds": 10,
            "keepalive_seconds": 30,
            "proxy_keepalive_seconds": 1,
            "backlog": 512,
            "max_requests": 0,
            "max_requests_jitter": 0,
            "worker_memory_max_mb": 0,
            "boot_timeout_seconds": 10,
            "subdir": "project",
            **settings,
        }
        self.run_directory.mkdir()
        (directory / "releases").mkdir()
        self.write_settings()
        self.write_environment({})

    def write_settings(self, **changes: Any) -> None:
        self.settings.update(changes)
        (self.directory / "gunicorn.json").write_text(json.dumps(self.settings))

    def write_environment(self, environment: dict[str, str]) -> None:
        (self.directory / "environment.json").write_text(json.dumps(environment))

    # Releases

    def add_release(
        self,
        name: str,
        *,
        code: str = EXAMPLE_APP,
        prologue: str = "",
        startup: str = "pass",
        shutdown: str = "pass",
    ) -> Path:
        """A release whose module begins with `prologue`, and whose handlers run `startup` and `shutdown`."""
        release = self.directory / "releases" / name
        project = release / "source" / "project"
        project.mkdir(parents=True)
        code = code.replace("@RELEASE@", name)
        for handler, body in (("startup", startup), ("shutdown", shutdown)):
            code = code.replace(f"async def {handler}():\n    pass", f"async def {handler}():\n    {body}")
        (project / "example.py").write_text(f"{prologue}\n{code}")
        (project / "imported_late.py").write_text(f"RELEASE = {name!r}\n")
        virtual_environment = release / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", virtual_environment], check=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site_packages = virtual_environment / "lib" / version / "site-packages"
        (site_packages / "main.pth").write_text(f"{SITE_PACKAGES}\n")
        (site_packages / "dependency.py").write_text(f"RELEASE = {name!r}\n")
        return release

    def activate(self, name: str) -> None:
        """Point `current` to the release, by a rename."""
        link = self.directory / "current.new"
        link.symlink_to(f"releases/{name}")
        link.rename(self.current)

    # The master

    def start(
        self,
        *,
        wait: bool = True,
        command: list[str] | None = None,
        pass_fds: Sequence[int] = (),
        **environment: str,
    ) -> None:
        """Start a master as the unit does, but for the socket."""
        self.master = subprocess.Popen(
            command or self.command,
            cwd="/",
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        if wait:
            self.wait_until_serving()

    @property
    def command(self) -> list[str]:
        settings = str(LIBRARY / "farrier_gunicorn" / "settings.py")
        return [
            f"{self.current}/.venv/bin/python",
            "-W",
            "error::ResourceWarning",
            "-m",
            "gunicorn",
            "-c",
            settings,
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(LIBRARY),
            "FARRIER_SETTINGS": str(self.directory / "gunicorn.json"),
            "FARRIER_BIND": f"unix:{self.socket}",
        }

    def wait_until_serving(self) -> None:
        wait_for(
            lambda: len(self.ready()) >= self.settings["workers"] and self.has_taken_over(),
            "the workers are ready",
            self,
        )

    def has_taken_over(self) -> bool:
        """Whether the master counts on its workers: until then, one that goes is a failed start."""
        master = status.read_master(self.run_directory)
        is_stock = self.settings["worker_class"].startswith("stock")
        return is_stock or (master is not None and master.candidate is None)

    def wait_until_one_is_replaced(self) -> None:
        """Call it when one worker is about to end."""
        before = {worker.pid for worker in self.ready()}
        wait_for(lambda: len({w.pid for w in self.ready()} - before) == 1, "a worker is replaced", self)

    def signal(self, number: int) -> None:
        assert self.master is not None
        self.master.send_signal(number)

    def reload(self, python: str | None = None) -> subprocess.CompletedProcess[str]:
        """What systemctl reload runs; returns when it is done."""
        assert self.master is not None
        return subprocess.run(
            [python or f"{self.current}/.venv/bin/python", "-m", "farrier_gunicorn.reload"],
            env={
                **os.environ,
                "PYTHONPATH": str(LIBRARY),
                "MAINPID": str(self.master.pid),
                "RUNTIME_DIRECTORY": str(self.run_directory),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    def deploy(self, name: str) -> subprocess.CompletedProcess[str]:
        self.activate(name)
        return self.reload()

    def stop(self) -> int:
        """SIGTERM, as systemctl stop; the master's exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        assert self.master is not None
        return self.master.wait(PATIENCE_SECONDS)

    def ready(self) -> list[status.WorkerStatus]:
        return [w for w in status.read_workers(self.run_directory) if w.state == "ready"]

    def failure(self) -> status.Failure:
        """Of the last worker that did not start."""
        failure = status.read_failure(self.run_directory)
        assert failure is not None
        return failure

    def processes(self) -> list[int]:
        """Every process of the master's session, it included."""
        assert self.master is not None
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                fields = (directory / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.master.pid and fields[0] != "Z":
                found.append(int(directory.name))
        return found

    # Requests

    def get(self, path: str = "/", timeout_seconds: float = PATIENCE_SECONDS) -> Any:
        with self.connection(timeout_seconds) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            return json.loads(response.read())

    @contextmanager
    def connection(self, timeout_seconds: float = PATIENCE_SECONDS) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout_seconds)
        connection.sock.connect(str(self.socket))
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def websocket(self, path: str) -> Iterator[tuple[BinaryIO, list[bytes]]]:
        """A connection that has asked for a WebSocket, byte by byte, and the lines of the answer's head."""
        with socket.socket(socket.AF_UNIX) as client, client.makefile("rwb") as stream:
            client.settimeout(5)
            client.connect(str(self.socket))
            key = base64.b64encode(bytes(16)).decode()
            stream.write(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            stream.flush()
            head = []
            while (line := stream.readline()) not in (b"\r\n", b""):
                head.append(line)
            yield stream, head

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        if self.master is not None:
            while processes := self.processes():
                for pid in processes:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            self.master.wait()


def wait_for(condition: Callable[[], Any], description: str, host: Host | None = None) -> Any:
    """The condition's value, once it is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        if host is not None and host.master is not None and host.master.poll() is not None:
            break
        time.sleep(0.02)
    log = host.log.read_text()[-5000:] if host is not None and host.log.exists() else ""
    raise AssertionError(f"waited in vain until {description}\n{log}")
