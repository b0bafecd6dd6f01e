"""Takes jobs out of the state directory: files with their seconds. SIGTERM ends it after its job."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

STATE = Path(os.environ["STATE_DIRECTORY"])
RELEASE = os.environ["RELEASE_ID"]
HEARTBEAT = STATE / f"heartbeat-{os.getpid()}"

told_to_stop = []
signal.signal(signal.SIGTERM, lambda *_: told_to_stop.append(True))
while not told_to_stop:
    HEARTBEAT.write_text(RELEASE)
    for job in STATE.glob(sys.argv[1]):
        with suppress(FileNotFoundError):  # another one was quicker
            taken = job.rename(job.with_suffix(".taken"))
            time.sleep(int(taken.read_text()))
            taken.unlink()
            job.with_suffix(".done").write_text(RELEASE)
    time.sleep(0.2)
HEARTBEAT.unlink()
