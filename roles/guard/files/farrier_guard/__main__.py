"""What farrier-guard.service runs."""

from __future__ import annotations

import sys
from pathlib import Path

from farrier_guard.put_back import put_back

DIRECTORY = Path("/var/lib/farrier-guard")


def main() -> int:
    """Put back what is pending, and say so in the journal."""
    if (DIRECTORY / "pending").exists():
        files = put_back(DIRECTORY)
        print(f"No new connection has confirmed the last change. Put back: {', '.join(files)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
