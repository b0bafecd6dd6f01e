"""Who has apt's locks: real ones, held by another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils import apt_lock

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds tmp_path/lock as dpkg does."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process


def test_the_holder_is_named(tmp_path: Path, busy: subprocess.Popen[str]) -> None:
    """Its pid, its command and the file; a lock that nobody holds, or that is not there, has none."""
    locks = [tmp_path / "missing", tmp_path / "free", tmp_path / "lock"]
    (tmp_path / "free").touch()
    found = apt_lock.holder(locks)
    assert found is not None
    assert (found.pid, found.lock) == (busy.pid, str(tmp_path / "lock"))
    assert str(tmp_path / "lock") in found.command
    assert apt_lock.holder(locks[:2]) is None


def test_the_wait_ends_with_the_process(tmp_path: Path, busy: subprocess.Popen[str]) -> None:
    """And not before."""

    def end(_: float) -> None:
        assert busy.stdin
        busy.stdin.close()
        busy.wait()

    waited, found = apt_lock.wait(60, [tmp_path / "lock"], end)
    assert found is None
    assert waited < 60


def test_the_wait_is_limited(tmp_path: Path, busy: subprocess.Popen[str]) -> None:
    """And the holder is named at its end."""
    waited, found = apt_lock.wait(0.2, [tmp_path / "lock"], lambda _: None)
    assert waited >= 0.2
    assert found is not None
    assert found.pid == busy.pid
