"""Make a git repository with the app of v0.1 and the app of today, each a tag, in place of what is there.

python versions.py APP_OF_V01 APP REPOSITORY
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.harness.changes import same
from tests.harness.repository import LEFT_OUT, Repository


def main(old_app: Path, app: Path, path: Path) -> None:
    """Make both versions."""
    repository = Repository(old_app, path)
    repository.change(same)
    repository.tag("v0.1", same)
    repository.tag("today", lambda tree: shutil.copytree(app, tree, ignore=LEFT_OUT, dirs_exist_ok=True))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
