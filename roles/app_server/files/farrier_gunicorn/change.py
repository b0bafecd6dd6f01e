"""What has changed on disk since a master loaded it, and whether that needs a reload or a restart.

The state of the host decides, not what a run remembers: the next run finishes one that stopped half way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from farrier_gunicorn import configuration
from farrier_gunicorn.servers import WORKER_CLASSES
from farrier_gunicorn.status import MasterStatus

UNIT_VARIABLE = "FARRIER_UNIT"
"""Environment variable by which a unit tells its process what the unit says: a digest, made with the unit."""

_UNIT_LINE = re.compile(rf"^Environment={UNIT_VARIABLE}=(\w+)$", re.MULTILINE)
_LISTEN_LINE = re.compile(r"^ListenStream=(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class OnDisk:
    """What a master that starts now would be made of."""

    unit: str
    """Digest that the service's unit file names; "" for none."""
    library: str
    settings: str
    """Digest of gunicorn.json and environment.json."""
    worker_class: str
    handover: str
    listeners: tuple[str, ...]
    """Addresses of the socket unit."""


@dataclass(frozen=True)
class Change:
    """What the service of an app needs."""

    how: Literal["nothing", "reload", "restart"]
    why: str
    socket: str = ""
    """Why the socket unit has to be restarted, by an operator: it refuses connections meanwhile."""


def library_digest(directory: Path) -> str:
    """Digest of this package as it lies in `directory`."""
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*.py")):
        digest.update(f"{path.name}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def unit_of(path: Path) -> str:
    """What a unit file tells its process of itself, "" for nothing or where there is no file."""
    try:
        found = _UNIT_LINE.search(path.read_text())
    except FileNotFoundError:
        return ""
    return found[1] if found else ""


def on_disk(service: Path, socket: Path, settings: Path, library: Path) -> OnDisk:
    """Read the files of an app. Raises OSError or ConfigurationError where one cannot be read."""
    live = Path(configuration.read_settings(settings)["current"]).resolve()
    values = configuration.read_settings(configuration.brought_by(live, settings))
    environment = configuration.read_environment(
        configuration.brought_by(live, Path(values["environment_file"]))
    )
    return OnDisk(
        unit=unit_of(service),
        library=library_digest(library),
        settings=configuration.digest(values, environment),
        worker_class=configuration.worker_class(values),
        handover=values["handover"],
        listeners=tuple(_LISTEN_LINE.findall(socket.read_text())),
    )


def restart_reason(running: MasterStatus, disk: OnDisk) -> str:
    """Why a reload would not do, or ""."""
    if running.unit != disk.unit:
        return "its unit has changed"
    return server_reason(
        library=running.library,
        worker_class=running.worker_class,
        wanted_library=disk.library,
        wanted_worker_class=disk.worker_class,
    )


def server_reason(*, library: str, worker_class: str, wanted_library: str, wanted_worker_class: str) -> str:
    """Why the running master cannot be reloaded, or ""."""
    if library != wanted_library:
        return "the package farrier_gunicorn has changed"
    running, wanted = WORKER_CLASSES.get(worker_class), WORKER_CLASSES[wanted_worker_class]
    if running is None or (running.server, running.hands_over) != (wanted.server, wanted.hands_over):
        return f"worker_class was {worker_class} and is {wanted_worker_class}"
    return ""


def choose(state: str, main_pid: int, running: MasterStatus | None, disk: OnDisk) -> Change:
    """Choose whether a reload or a restart applies what is on disk.

    Args:
        state: systemd's ActiveState of the service.
        main_pid: Its main process, 0 for none.
        running: What the master says of itself.
        disk: What is on disk.
    """
    if state not in ("active", "reloading", "activating"):
        return Change("nothing", "it is not running")
    if running is None or running.pid != main_pid:
        if state == "activating":  # each attempt reads the files anew
            return Change("nothing", "it is starting")
        return Change("restart", "the running master does not report what it was started from")
    socket = _socket_reason(running.listeners, disk.listeners)
    if reason := restart_reason(running, disk):
        return Change("restart", reason, socket)
    if running.settings != disk.settings:
        how: Literal["restart", "reload"] = "restart" if disk.handover == "stop_first" else "reload"
        return Change(how, "its settings or its environment have changed", socket)
    return Change("nothing", "everything is up to date", socket)


def _socket_reason(open_now: Collection[str], wanted: Collection[str]) -> str:
    if not open_now or set(open_now) == set(wanted):  # an earlier version did not say
        return ""
    missing, surplus = sorted(set(wanted) - set(open_now)), sorted(set(open_now) - set(wanted))
    parts = [f"does not listen on {', '.join(missing)} yet"] if missing else []
    parts += [f"still listens on {', '.join(surplus)}"] if surplus else []
    return " and ".join(parts)
