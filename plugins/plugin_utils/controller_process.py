"""Names the controller's process, so that a later run can tell whether it is still alive."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def describe(pid: int) -> dict[str, Any]:
    """A process of this machine: `machine`, `boot`, `pid` and `started`."""
    return {"machine": _machine(), "boot": _boot(), "pid": pid, "started": _started(pid)}


def who() -> str:
    """The person at the controller, as `user@machine`, and the address of the CI job that it runs in."""
    person = f"{os.environ.get('SUDO_USER') or getpass.getuser()}@{socket.gethostname()}"
    job = job_address(os.environ)
    return f"{person} ({job})" if job else person


def job_address(environment: Mapping[str, str]) -> str:
    """Where the log of the CI job is to be seen to which an environment belongs, or ""."""
    if run := environment.get("GITHUB_RUN_ID"):
        server, repository = (environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY"))
        return f"{server}/{repository}/actions/runs/{run}"
    # GitLab and others that speak as it does; Jenkins.
    return environment.get("CI_JOB_URL") or environment.get("BUILD_URL") or ""


def is_gone(process: dict[str, Any]) -> bool:
    """Whether a process is known to be dead. One of another machine never is: nobody here can tell."""
    if not process.get("pid") or process.get("machine") != _machine():
        return False
    return process.get("boot") != _boot() or process.get("started") != _started(int(process["pid"]))


def _machine() -> str:
    # Containers may share a machine id, and machines a name: both together say enough.
    try:
        identity = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        identity = ""
    return f"{socket.gethostname()} {identity}".strip()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process was started, in whatever form the system gives; "" when there is none."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        if Path("/proc/self").exists():
            return ""
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()
    # A zombie has ended, although nobody has taken note of it.
    return "" if fields[0] == "Z" else fields[19]
