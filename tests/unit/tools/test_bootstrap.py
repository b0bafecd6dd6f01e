"""`make ready` on machines that lack what it needs: it says so, and installs nothing by itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHONS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
# Answers as an interpreter does that is too old, or that Debian has split.
PYTHON = """#!/bin/sh
case "$*" in
    *--version*) echo Python 3.9.6 ;;
    *version_info*) exit {too_old} ;;
    *ensurepip*) exit 1 ;;
    *) echo "$0 $*" >>{called}; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("too_old", "said"),
    [
        (1, "Farrier needs Python 3.11 or later, and 'python3' is Python 3.9.6: install a newer one."),
        (0, "python3 lacks its module ensurepip: install it (Debian, Ubuntu: sudo apt install python3-venv)"),
    ],
)
def test_one_sentence_says_what_is_missing(tmp_path: Path, too_old: int, said: str) -> None:
    """And neither sudo nor apt-get is asked."""
    called = tmp_path / "called"
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/bootstrap", tmp_path / "tools")
    for name in (*PYTHONS, "sudo", "apt-get"):
        (tmp_path / name).write_text(PYTHON.format(too_old=too_old, called=called))
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [tmp_path / "tools/bootstrap"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not called.exists()
