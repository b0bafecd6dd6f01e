#!/usr/bin/python3 -sP
"""Stands before `farrier-release` on an app host and records what the controller calls."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

REAL = "/usr/local/bin/farrier-release.real"
RECORD = Path("/var/lib/farrier-record")


def main() -> int:
    """Make one call and return its exit status."""
    arguments = sys.argv[1:]
    if "--json" not in arguments:  # a unit of the host's own
        os.execv(REAL, [REAL, *arguments])
    began_at = time.time()
    done = subprocess.run([REAL, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    call = {
        "arguments": arguments,
        "began_at": began_at,
        "seconds": time.time() - began_at,
        "stdout": done.stdout,
    }
    RECORD.mkdir(exist_ok=True)
    if "--output" in arguments:
        shutil.copy(arguments[arguments.index("--output") + 1], RECORD / f"{arguments[2]}.output")
    with (RECORD / "calls.jsonl").open("a") as file:
        file.write(f"{json.dumps(call)}\n")
    sys.stdout.write(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
