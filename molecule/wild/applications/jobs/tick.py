"""Says when it ran, and in which release."""

import os
from pathlib import Path

with (Path(os.environ["STATE_DIRECTORY"]) / "ticks").open("a") as file:
    file.write(f"{os.environ['RELEASE_ID']}\n")
