"""A phase goes on when the controller that asked for it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE_SECONDS = 20
PROGRAM = """
import pathlib, subprocess, sys, time
from farrier_release.__main__ import outlive_the_caller
outlive_the_caller()
print("begun", file=sys.stderr)
sys.stdin.read()
subprocess.run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGHUP)"], check=True)
print("nobody hears this", file=sys.stderr)
print("nor this")
pathlib.Path(sys.argv[1]).touch()
"""


def test_hang_up_and_a_reader_that_is_gone_stop_nothing(tmp_path: Path) -> None:
    """sudo's terminal goes with the connection: a hang-up for all in it, and pipes that nobody reads."""
    done = tmp_path / "done"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(done)],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == b"begun\n"
        assert os.getsid(process.pid) == process.pid
        process.stdout.close()
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        process.stdin.close()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert done.exists()
