"""Who holds a port, from what `ss` says."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from pathlib import Path

SHOW = ["ss", "--listening", "--tcp", "--udp", "--processes", "--numeric", "--no-header"]
PROCESS = re.compile(r'\("([^"]*)",pid=(\d+)')
UNIT = re.compile(r"/([^/\n]+\.(?:service|scope|socket))$", re.MULTILINE)


def listeners(
    said: str, ports: Mapping[str, Collection[int]], proc: Path = Path("/proc")
) -> list[dict[str, str | int]]:
    """Return one entry per unit and port: {"port", "protocol", "process", "pid", "unit"}.

    A process that cannot be found, say in another container, has the name "an unknown process" and the pid 0.

    Args:
        said: What `SHOW` prints.
        ports: Ports to look at, by protocol: "tcp", "udp".
        proc: Where procfs is mounted.
    """
    found: dict[tuple[int, str, str], dict[str, str | int]] = {}
    for line in said.splitlines():
        protocol, _, _, _, address = line.split()[:5]
        number = address.rpartition(":")[2]
        port = int(number) if number.isdigit() else 0
        if port not in ports.get(protocol, ()):
            continue
        processes = [(int(pid), process) for process, pid in PROCESS.findall(line)]
        for pid, process in sorted(processes) or [(0, "an unknown process")]:
            unit = _unit(proc / str(pid))
            entry = {"port": port, "protocol": protocol, "process": process, "pid": pid, "unit": unit}
            found.setdefault((port, protocol, unit), entry)
    return sorted(found.values(), key=lambda entry: (entry["port"], entry["pid"]))


def _unit(process: Path) -> str:
    with contextlib.suppress(OSError):  # the process ended meanwhile
        if found := UNIT.search((process / "cgroup").read_text()):
            return found[1]
    return ""
