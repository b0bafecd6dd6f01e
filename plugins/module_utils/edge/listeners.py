"""Who holds a port, read from /proc."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

# A socket's state in the tables of each protocol when it waits for anybody: of UDP there is no listening.
WAITING = {"tcp": "0A", "udp": "07"}
UNIT = re.compile(r"/([^/\n]+\.(?:service|scope|socket))$", re.MULTILINE)


def listeners(
    ports: Iterable[int], proc: Path = Path("/proc"), protocol: str = "tcp"
) -> list[dict[str, str | int]]:
    """Return one entry per unit and port: {"port", "protocol", "process", "pid", "unit"}.

    A process that cannot be found, say in another container, has the name "an unknown process" and the pid 0.

    Args:
        ports: Ports to look at.
        proc: Where procfs is mounted.
        protocol: "tcp" or "udp".
    """
    sockets = dict(_sockets(set(ports), proc, protocol))
    owners: dict[tuple[int, str], dict[str, str | int]] = {}
    for inode, pid in _owners(set(sockets), proc):
        unit = _unit(proc / pid)
        entry: dict[str, str | int] = {
            "port": sockets[inode],
            "protocol": protocol,
            "process": _read(proc / pid / "comm").strip(),
            "pid": int(pid),
            "unit": unit,
        }
        owners.setdefault((sockets[inode], unit), entry)
    known = {port for port, _ in owners}
    for port in sorted(set(sockets.values()) - known):
        owners[port, ""] = {
            "port": port,
            "protocol": protocol,
            "process": "an unknown process",
            "pid": 0,
            "unit": "",
        }
    return sorted(owners.values(), key=lambda entry: (entry["port"], entry["pid"]))


def _sockets(ports: set[int], proc: Path, protocol: str) -> Iterator[tuple[str, int]]:
    for table in (protocol, f"{protocol}6"):
        for line in _read(proc / "net" / table).splitlines()[1:]:
            fields = line.split()
            port = int(fields[1].rsplit(":", 1)[1], 16)
            if fields[3] == WAITING[protocol] and port in ports:
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
