#!/usr/bin/python3 -sP
"""Stands in for `farrier-release` on an app host: keeps what each phase says, or plays it back.

What is played back takes its time and next to no processor, as if the host had processors of its own. It is
played when there is a file `seconds.json`: how long each phase is to take, by its name.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

REAL = "/usr/local/bin/farrier-release.real"
KEPT = Path("/var/lib/farrier-stand-in")
SECONDS = KEPT / "seconds.json"


def main() -> int:
    """Keep or play one phase; return its exit status."""
    phase, *options = sys.argv[3:]
    path = Path(options[options.index("--output") + 1]) if "--output" in options else None
    result, output = KEPT / f"{phase}.json", KEPT / f"{phase}.output"
    if SECONDS.exists():
        time.sleep(json.loads(SECONDS.read_text())[phase])
        kept = json.loads(result.read_text())
        if path:
            shutil.copy(output, path)
            shutil.chown(path, path.parent.owner())
    else:
        started = time.monotonic()
        done = subprocess.run([REAL, *sys.argv[1:]], capture_output=True, text=True, check=False)
        kept = {
            "phase": phase,
            "stdout": done.stdout,
            "stderr": done.stderr,
            "returncode": done.returncode,
            "seconds": time.monotonic() - started,
        }
        KEPT.mkdir(exist_ok=True)
        result.write_text(json.dumps(kept))
        if path:
            shutil.copy(path, output)
    sys.stdout.write(kept["stdout"])
    sys.stderr.write(kept["stderr"])
    return int(kept["returncode"])


if __name__ == "__main__":
    sys.exit(main())
