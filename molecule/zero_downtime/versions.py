"""Make a git repository with versions of an app to deploy, each a tag, in place of what is there.

python versions.py APP REPOSITORY
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.harness.changes import MAIN, another, misbehaving, same
from tests.harness.repository import Change, Repository, replace

PAGE = Path("src/observatory/static/index.html")


def slow_import(tree: Path) -> None:
    """An app that takes three seconds to import."""
    replace(tree / MAIN, "\nimport sys\n", "\nimport sys\nimport time\n")
    replace(tree / MAIN, "\nlog = ", "\ntime.sleep(3)\nlog = ")


VERSIONS: dict[str, Change] = {
    "green": same,
    "blue": same,
    # The app imports it, the master does not.
    "dependencies": another("prometheus-client"),
    # The master is made of it.
    "server": another("gunicorn"),
    "slow": slow_import,
}


def main(app: Path, path: Path) -> None:
    """Make all versions; the page of each says which one it is."""
    repository = Repository(app, path)
    repository.change(misbehaving)
    for version, change in VERSIONS.items():

        def make(tree: Path, version: str = version, change: Change = change) -> None:
            replace(tree / PAGE, "<h1>Observatory</h1>", f"<h1>Observatory {version}</h1>")
            change(tree)

        repository.tag(version, make)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
