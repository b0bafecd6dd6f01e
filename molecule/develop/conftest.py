"""What the tests share: a working tree, and `make develop` that serves it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import DOMAIN, OWNER, PAGE, REQUIREMENTS, START_SECONDS, STOP_SECONDS

from lab import develop


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of mkcert's authority."""
    return tmp_path_factory.mktemp("authority")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a working tree that is not root's."""
    tree = tmp_path_factory.mktemp("work") / "tiny"
    tree.mkdir()
    (tree / "main.py").write_text(PAGE)
    (tree / "requirements.txt").write_text(REQUIREMENTS)
    for path in (tree, *tree.iterdir()):
        os.chown(path, OWNER, OWNER)
    return tree


@pytest.fixture(scope="module")
def started(tree: Path, authority: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start it, as `make develop APP=…` does, and wait until it serves."""
    log = tree.parent / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.develop", str(tree)],
            cwd=develop.ROOT,
            env={**os.environ, "CAROOT": str(authority)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until = time.monotonic() + START_SECONDS
    while f"https://{DOMAIN}/ serves {tree}" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(STOP_SECONDS)
