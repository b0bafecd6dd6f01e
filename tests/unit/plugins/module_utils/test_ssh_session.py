"""A connection is new or old, whatever stands between it and the program that asks."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.farrier.kit.plugins.module_utils import ssh_session

TICKS = ssh_session.TICKS_PER_SECOND


def process(proc: Path, pid: int, name: str, parent: int, started: int = 0, environment: str = "") -> None:
    """Lay out a process that root has started, some seconds after the boot."""
    (proc / str(pid)).mkdir()
    fields = ["S", str(parent), *["0"] * 17, str(started * TICKS), "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (proc / str(pid) / "status").write_text("Name:\tx\nUid:\t0\t0\t0\t0\n")
    (proc / str(pid) / "environ").write_text(environment)


def test_the_nearest_server_is_the_connection(tmp_path: Path) -> None:
    """Not the one that listens. sudo has cleared the environment, the shell before it has it."""
    process(tmp_path, 10, "sshd", 1, 5)
    process(tmp_path, 20, "sshd-session", 10, 70)
    process(tmp_path, 21, "sshd-session", 20, 71)
    process(tmp_path, 30, "sh (1)", 21, 90, "A=b\0SSH_CONNECTION=192.0.2.7 50123 192.0.2.1 2222\0")
    process(tmp_path, 31, "sudo", 30, 90, "SUDO_USER=admin\0")
    process(tmp_path, 32, "python3", 31, 90)
    assert ssh_session.current(32, tmp_path) == ssh_session.Session("root", 71.0, "192.0.2.7", 2222)


def test_a_program_that_ssh_has_not_started_has_no_connection(tmp_path: Path) -> None:
    """As one that a container's own tool has started."""
    process(tmp_path, 7, "python3", 1)
    assert ssh_session.current(7, tmp_path) is None
