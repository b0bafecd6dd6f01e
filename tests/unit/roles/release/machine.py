"""A host without systemd: a service, its workers and its sockets, kept in one process.

What a release does when it runs is said in `FakeHost.behaviours`; a release that is not named there is a
good one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from farrier_gunicorn import change
from farrier_release.__main__ import main
from farrier_release.config import Configuration
from farrier_release.host import Completed, Host, Running, Sandboxed
from farrier_release.storage import write_json

DONE = Completed(0, "", [])
PYTHON = {"version": "3.11.2", "executable": "/usr/bin/python3.11"}
PACKAGES = {"gunicorn": "27.0.1", "uvicorn": "0.54.0"}


@dataclass
class Behaviour:
    """What a release does.

    Args:
        boots: whether a worker gets through its start-up; what it says otherwise is `error`.
        hangs: never gets through it, and never fails either.
        status: of the health path.
        claims: the release that it says it is, in the header.
        body: answer's body.
        dies_when_live: whether the whole service ends when it is restarted into this release.
        stands_in: whether its stand-in starts; `stand_in_status` is what that answers then.
        rehearsal_dies: whether the rehearsal's worker is replaced after it was ready.
        queued_looks: how often systemd is seen to be busy with something else before it starts the rehearsal.
    """

    boots: bool = True
    hangs: bool = False
    error: str = "ModuleNotFoundError: No module named 'absent'"
    status: int = 200
    claims: str | None = None
    body: str = "{}"
    dies_when_live: bool = False
    stands_in: bool = True
    stand_in_status: int = 200
    rehearsal_dies: bool = False
    queued_looks: int = 0


@dataclass
class Server:
    """Answers HTTP on a unix socket as a release would.

    Args:
        path: of the socket.
        status: of every answer.
        release: that it says it is.
        body: of every answer.
        beside: status and release of another one that accepts on the same socket: they take turns.
        accepts: whether the first one does.
    """

    path: Path
    status: int = 200
    release: str = ""
    body: str = "{}"
    beside: tuple[int, str] | None = None
    accepts: bool = True
    _turn: int = 0
    _socket: socket.socket | None = None

    def start(self) -> None:
        """Listen."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._serve, args=(self._socket,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
            self.path.unlink(missing_ok=True)

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                self._turn += 1
                status, release = self.status, self.release
                if self.beside and (self._turn % 2 or not self.accepts):
                    status, release = self.beside
                head = f"HTTP/1.1 {status} X\r\nX-Release: {release}\r\nConnection: close\r\n"
                connection.sendall(f"{head}Content-Length: {len(self.body)}\r\n\r\n{self.body}".encode())


@dataclass
class FakeHost(Host):
    """Stands for systemd and for the server that it runs."""

    configuration: Configuration
    configuration_directory: Path
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    # What systemctl, tasks and detached commands were asked for, in order.
    calls: list[str] = field(default_factory=list)
    users: set[str] = field(default_factory=lambda: {"test", "test-build"})
    # Commands of tasks (their last word) that fail.
    failing_tasks: set[str] = field(default_factory=set)
    task_output: str = ""
    active: bool = False
    state: str = ""
    main_pid: int = 0
    restarts: int = 0
    need_daemon_reload: bool = False
    unit_file: Path | None = None
    build_report: dict[str, Any] | None = None
    # Called in place of the activation's process, to kill it half way.
    interrupt_reload: bool = False
    # What a command does that runs for a while, and whether it has ended by itself.
    runs_out: bool = False
    runs: Callable[[Sandboxed], contextlib.AbstractContextManager[None]] = field(
        default=lambda _: contextlib.nullcontext()
    )
    # The call of systemctl in place of which the activation's process is killed.
    killed_at: str = ""
    _rehearsed: str = ""
    _queued_looks: int = 0

    def __post_init__(self) -> None:
        self.server = Server(Path(self.configuration.socket))
        self.rehearsal = Server(self.configuration.rehearsal_directory / "http.sock")

    def close(self) -> None:
        """Stop all servers."""
        self.server.stop()
        self.rehearsal.stop()

    def behaviour(self, release: str) -> Behaviour:
        """What a release does."""
        return self.behaviours.get(release, Behaviour())

    def live(self) -> str:
        """What `current` points to."""
        return self.configuration.current.readlink().name

    def phase(self) -> str:
        """Where the transaction is that is under way, or ""."""
        state = json.loads((self.configuration.root / ".state.json").read_text())
        return str((state["transaction"] or {}).get("phase", ""))

    # The host's interface.

    def run_sandboxed(self, task: Sandboxed) -> Completed:
        self.calls.append(f"{task.unit}: {task.command[-1]}")
        if task.unit.endswith("-build"):
            return Completed(0, json.dumps(self.build_report) if self.build_report else "", [])
        failed = any(word in self.failing_tasks for word in task.command)
        return Completed(1 if failed else 0, self.task_output, [])

    @contextlib.contextmanager
    def running_sandboxed(self, task: Sandboxed) -> Iterator[Running]:
        self.calls.append(f"{task.unit}: {' '.join(task.command)}")
        with self.runs(task):
            yield Running(f"{task.unit}.service", lambda: self.runs_out)
        self.calls.append(f"{task.unit} ends")

    def start_detached(
        self,
        unit: str,
        command: Sequence[str],
        *,
        afterwards: str,
        timeout_seconds: int,
        afterwards_timeout_seconds: int,
    ) -> Completed:
        assert 0 < afterwards_timeout_seconds < timeout_seconds
        self.calls.append(f"{unit}, then {afterwards}")
        # Of its own unit; nobody reads what it prints.
        with contextlib.redirect_stdout(io.StringIO()):
            main(list(command[1:]), host=self, configuration_directory=self.configuration_directory)
        return DONE

    def run(self, command: Sequence[str], *, timeout_seconds: int) -> Completed:
        self.calls.append(" ".join(command))
        return Completed(1, "", ["it is away"]) if command[0] in self.failing_tasks else DONE

    def has_user(self, name: str) -> bool:
        return name in self.users

    def give(self, path: Path, user: str, group: str) -> None:
        self.calls.append(f"give {path.name} to {user}:{group}")

    def systemctl(self, *arguments: str, timeout_seconds: int = 60) -> Completed:
        self.calls.append(" ".join(arguments))
        if self.calls[-1] == self.killed_at:
            self.killed_at = ""
            raise KilledError
        verb, unit = arguments[0], arguments[-1]
        if "-rehearsal@" in unit:
            return self._rehearse(verb, unit)
        if "-stand-in@" in unit:
            return self._stand_in(verb, unit)
        if unit.startswith("farrier-"):
            return DONE
        action = {"start": self._start, "restart": self._start, "reload": self._reload, "stop": self._stop}
        return action[verb]() if verb in action else DONE

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        if "-rehearsal@" in unit:
            return self._show_rehearsal()
        if unit.startswith("farrier-"):
            return {"ActiveState": "inactive"}
        return {
            "LoadState": "loaded",
            "ActiveState": self.state or ("active" if self.active else "inactive"),
            "MainPID": str(self.main_pid),
            "NRestarts": str(self.restarts),
            "NeedDaemonReload": "yes" if self.need_daemon_reload else "no",
            "FragmentPath": str(self.unit_file or ""),
        }

    def journal(self, unit: str, *, since_seconds: float, until_seconds: float | None = None) -> list[str]:
        return [f"a line of {unit}"]

    # What the service does.

    def _start(self) -> Completed:
        release = self.live()
        behaviour = self.behaviour(release)
        self.need_daemon_reload = False
        if not behaviour.boots or behaviour.dies_when_live:
            self._stop()
            return Completed(1, "", [])
        self.main_pid = os.getpid() if self.main_pid != os.getpid() else os.getppid()
        self.active, self.restarts = True, 0
        self._write_master(release)
        self._serve(release)
        if self.server._socket is None:
            self.server.start()
        return DONE

    def _reload(self) -> Completed:
        if self.interrupt_reload:
            self.interrupt_reload = False
            raise KilledError
        release = self.live()
        if not self.behaviour(release).boots:
            self._fail(self.configuration.run_directory, release)
            return Completed(1, "", [])
        self._serve(release)
        return DONE

    def _stop(self) -> Completed:
        self.active, self.main_pid = False, 0
        shutil.rmtree(self.configuration.run_directory, ignore_errors=True)
        self.server.accepts = False
        if self.server.beside is None:
            self.server.stop()
        return DONE

    def _serve(self, release: str) -> None:
        behaviour = self.behaviour(release)
        self.server.release = behaviour.claims or release
        self.server.status, self.server.body = behaviour.status, behaviour.body
        self.server.accepts = True
        self._write_worker(self.configuration.run_directory, release, os.getpid())

    def _stand_in(self, verb: str, unit: str) -> Completed:
        release = unit.partition("@")[2].removesuffix(".service")
        if verb == "stop":
            if self.server.beside and release in ("*", self.server.beside[1]):
                self.server.beside = None
                if not self.active:
                    self.server.stop()
            return DONE
        behaviour = self.behaviour(release)
        if not behaviour.boots or not behaviour.stands_in:
            return Completed(1, "", [])
        directory = self.configuration.stand_in_directory / release
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / "master.json", {"workers": 1})
        self._write_worker(directory, release, os.getpid())
        self.server.beside = (behaviour.stand_in_status, release)
        if self.server._socket is None:
            self.server.start()
        return DONE

    def _write_master(self, release: str) -> None:
        master = {"pid": self.main_pid, "started_at": time.time(), "release": release, "workers": 1}
        master |= {
            "library": change.library_digest(self.configuration.library_directory / "farrier_gunicorn")
        }
        master |= {
            "unit": change.unit_of(self.unit_file) if self.unit_file else "",
            "worker_class": "handover",
        }
        master |= {"python": PYTHON["version"], "executable": PYTHON["executable"], "packages": PACKAGES}
        self.configuration.run_directory.mkdir(parents=True, exist_ok=True)
        write_json(self.configuration.run_directory / "master.json", master)

    def _write_worker(self, directory: Path, release: str, pid: int) -> None:
        (directory / "workers").mkdir(parents=True, exist_ok=True)
        for old in (directory / "workers").iterdir():
            old.unlink()
        worker = {"pid": pid, "generation": 1, "release": release, "state": "ready", "since": time.time()}
        write_json(directory / "workers" / f"{pid}.json", worker)

    def _fail(self, directory: Path, release: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        error = self.behaviour(release).error
        write_json(directory / "failure.json", {"release": release, "error": error, "at": time.time()})

    # What a rehearsal does.

    def _rehearse(self, verb: str, unit: str) -> Completed:
        directory = self.configuration.rehearsal_directory
        if verb != "start":
            self.rehearsal.stop()
            self._rehearsed = ""
            return DONE
        release = unit.partition("@")[2].removesuffix(".service")
        behaviour = self.behaviour(release)
        self._rehearsed, self._queued_looks = release, behaviour.queued_looks
        if not behaviour.boots:
            self._fail(directory, release)
        elif not behaviour.hangs:
            self.rehearsal.release = behaviour.claims or release
            self.rehearsal.status, self.rehearsal.body = behaviour.status, behaviour.body
            self._write_worker(directory, release, os.getpid())
            self.rehearsal.start()
        return DONE

    def _show_rehearsal(self) -> dict[str, str]:
        behaviour = self.behaviour(self._rehearsed)
        if behaviour.rehearsal_dies and self.phase() == "activate":
            self._write_worker(self.configuration.rehearsal_directory, self._rehearsed, os.getppid())
        if self._queued_looks:
            self._queued_looks -= 1
            return {"ActiveState": "inactive", "Job": "7", "Result": "success", "NRestarts": "0"}
        state = "active" if self._rehearsed else "inactive"
        return {"ActiveState": state, "Job": "", "Result": "success", "NRestarts": "0"}


class KilledError(BaseException):
    """Stands for a process that was killed: nothing of it runs on."""


def with_settings(host: FakeHost, **changes: Any) -> Configuration:
    """Change the settings of a host, in its file too."""
    path = host.configuration_directory / "test" / "release.json"
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(data))
    host.configuration = replace(host.configuration, **changes)
    return host.configuration
