"""Make a git repository of each application, with two versions.

Usage: repositories.py APPLICATIONS REPOSITORIES.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.harness.repository import make_two_versions


def main() -> None:
    """Make them anew, with a tag for each version."""
    applications, repositories = map(Path, sys.argv[1:])
    for application in sorted(path for path in applications.iterdir() if path.is_dir()):
        make_two_versions(application, repositories / application.name)


if __name__ == "__main__":
    main()
