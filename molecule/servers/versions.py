"""Make a git repository with versions of an app to deploy, each a tag, in place of what is there.

python versions.py APP REPOSITORY
"""

from __future__ import annotations

from pathlib import Path

from tests.harness.changes import MAIN, misbehaving, same
from tests.harness.repository import Change, make, replace


def common(tree: Path) -> None:
    """The app misbehaves where it is asked to, and is a WSGI app, too."""
    misbehaving(tree)
    (tree / "src/observatory/threads.py").write_text(Path(__file__).with_name("threads.py").read_text())


def broken(tree: Path) -> None:
    """An app that does not import."""
    replace(tree / MAIN, "\nimport sys\n", "\nimport sys\nimport a_module_that_nobody_installed\n")


VERSIONS: dict[str, Change] = {"green": same, "blue": same, "broken": broken}


if __name__ == "__main__":
    make(common, VERSIONS)
