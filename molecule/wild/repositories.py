"""Make a git repository of each application, with two versions.

Usage: repositories.py APPLICATIONS REPOSITORIES.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.harness.repository import Repository


def add_news(path: Path) -> None:
    """Write what makes the second version another one; where there are assets, they get another name."""
    (path / "NEWS").write_text("A second version.\n")
    for asset in (path / "assets").glob("*"):
        asset.rename(asset.with_name(f"second-{asset.name}"))


def main() -> None:
    """Make them anew, with a tag for each version."""
    applications, repositories = map(Path, sys.argv[1:])
    for application in sorted(path for path in applications.iterdir() if path.is_dir()):
        repository = Repository(application, repositories / application.name)
        repository.change(lambda _: None)
        repository.tag("first", lambda _: None)
        repository.tag("second", add_news)


if __name__ == "__main__":
    main()
