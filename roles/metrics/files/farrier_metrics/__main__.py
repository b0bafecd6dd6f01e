"""Writes the metrics of this host every ten seconds, until it is told to end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from farrier_metrics.collect import Collector
from farrier_metrics.settings import load

_EVERY_SECONDS = 10.0
_PACKAGE = Path(__file__).parent


def main() -> None:
    """Write again and again. A disk that is full is told, and is no reason to end."""
    os.umask(0o022)
    collector, version = Collector(load()), _PACKAGE.resolve()
    while _PACKAGE.resolve() == version:  # systemd starts what has taken its place
        try:
            collector.write()
        except OSError as error:
            print(f"the metrics cannot be written: {error}", file=sys.stderr, flush=True)
        time.sleep(_EVERY_SECONDS)


if __name__ == "__main__":
    main()
