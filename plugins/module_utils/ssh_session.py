"""The SSH connection over which a program was started."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Session:
    """A connection.

    Attributes:
        user: Who has logged in.
        started: When the server began to serve the user, in seconds since the boot. Further sessions in the
            same connection, as of ssh's ControlMaster, have the same one.
        address: Where the connection comes from; "" if it is not known.
        port: Where it has arrived; 0 if it is not known.
    """

    user: str
    started: float
    address: str
    port: int


def current(pid: int | None = None, proc: Path = PROC) -> Session | None:
    """Return the connection of a process, or None: its ancestors have no SSH server.

    Neither sudo nor mitogen hides it: they keep the ancestors, although not the environment.
    """
    pid = os.getpid() if pid is None else pid
    connection = ["", "", "", "0"]
    while pid > 1:
        process = proc / str(pid)
        name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
        fields = rest.split()
        if name.startswith("sshd"):
            uid = next(
                int(line.split()[1])
                for line in (process / "status").read_text().splitlines()
                if line.startswith("Uid:")
            )
            started = int(fields[19]) / TICKS_PER_SECOND
            return Session(pwd.getpwuid(uid).pw_name, started, connection[0], int(connection[3]))
        for variable in (process / "environ").read_text(errors="replace").split("\0"):
            if variable.startswith("SSH_CONNECTION="):
                connection = variable.removeprefix("SSH_CONNECTION=").split()
        pid = int(fields[1])
    return None
