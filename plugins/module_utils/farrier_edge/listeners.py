"""Who listens on a TCP port, read from /proc."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

LISTENING = "0A"
UNIT = re.compile(r"/([^/\n]+\.(?:service|scope|socket))$", re.MULTILINE)


def listeners(ports: Iterable[int], proc: Path = Path("/proc")) -> list[dict[str, str | int]]:
    """Return one entry per unit and port: {"port", "process", "pid", "unit"}.

    A process that cannot be found, say in another container, has the name "an unknown process" and the pid 0.

    Args:
        ports: TCP ports to look at.
        proc: Where procfs is mounted.
    """
    sockets = dict(_sockets(set(ports), proc))
    owners: dict[tuple[int, str], dict[str, str | int]] = {}
    for inode, pid in _owners(set(sockets), proc):
        unit = _unit(proc / pid)
        entry: dict[str, str | int] = {
            "port": sockets[inode],
            "process": _read(proc / pid / "comm").strip(),
            "pid": int(pid),
            "unit": unit,
        }
        owners.setdefault((sockets[inode], unit), entry)
    known = {port for port, _ in owners}
    for port in sorted(set(sockets.values()) - known):
        owners[port, ""] = {"port": port, "process": "an unknown process", "pid": 0, "unit": ""}
    return sorted(owners.values(), key=lambda entry: (entry["port"], entry["pid"]))


def _sockets(ports: set[int], proc: Path) -> Iterator[tuple[str, int]]:
    for table in ("tcp", "tcp6"):
        for line in _read(proc / "net" / table).splitlines()[1:]:
            fields = line.split()
            port = int(fields[1].rsplit(":", 1)[1], 16)
            if fields[3] == LISTENING and port in ports:
                yield fields[9], port


def _owners(inodes: set[str], proc: Path) -> Iterator[tuple[str, str]]:
    if not inodes:
        return
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        for target in _descriptors(process):
            inode = target.removeprefix("socket:[").removesuffix("]")
            if inode in inodes:
                yield inode, process.name


def _descriptors(process: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):  # the process ended meanwhile
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # the file was closed meanwhile
                yield str(descriptor.readlink())


def _unit(process: Path) -> str:
    found = UNIT.search(_read(process / "cgroup"))
    return found[1] if found else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
