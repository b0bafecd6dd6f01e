"""A throw-away git repository with versions of an app: each a tag, each made by changing what is in app/.

python -m tests.harness.repository APPLICATIONS REPOSITORIES makes one with two versions of each application.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

LEFT_OUT = shutil.ignore_patterns(".venv", ".*_cache", "__pycache__", "tests", "state")
AUTHOR = ("-c", "user.name=Farrier", "-c", "user.email=farrier@lab.test")

Change = Callable[[Path], None]


class Repository:
    """A repository in place of whatever is at `path`.

    Args:
        app: directory of the app; what git ignores and its tests are left out.
        path: of the repository's work tree.
    """

    def __init__(self, app: Path, path: Path) -> None:
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(app, path, ignore=LEFT_OUT)
        self._git("init", "--quiet", "--initial-branch=main")

    def change(self, change: Change) -> None:
        """Change what all later versions begin with."""
        change(self.path)
        self._commit("what all versions have in common")

    def tag(self, version: str, change: Change) -> None:
        """Make a version that differs from what all begin with by `change` alone."""
        change(self.path)
        (self.path / "VERSION").write_text(f"{version}\n")
        self._commit(version)
        self._git("tag", version)
        self._git("reset", "--quiet", "--hard", "HEAD~")

    def _commit(self, message: str) -> None:
        self._git("add", "--all")
        self._git(*AUTHOR, "commit", "--quiet", f"--message={message}")

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.path, check=True)


def make(common: Change, versions: Mapping[str, Change]) -> None:
    """Make a repository with a tag for each version, by a command line of APP and REPOSITORY.

    Args:
        common: what all versions begin with.
        versions: how each differs from that, by its tag.
    """
    app, path = map(Path, sys.argv[1:])
    repository = Repository(app, path)
    repository.change(common)
    for version, change in versions.items():
        repository.tag(version, change)


def make_two_versions(source: Path, path: Path) -> None:
    """Make a repository of an application: tags `first`, as it is, and `second`, a little different."""
    repository = Repository(source, path)
    repository.change(lambda _: None)
    repository.tag("first", lambda _: None)
    repository.tag("second", _add_news)


def _add_news(path: Path) -> None:
    (path / "NEWS").write_text("A second version.\n")
    # Where there are assets, they get another name.
    for asset in (path / "assets").glob("*"):
        asset.rename(asset.with_name(f"second-{asset.name}"))


def replace(path: Path, old: str, new: str) -> None:
    """Replace the one occurrence of `old`.

    Raises:
        ValueError: there is not exactly one: the app has changed.
    """
    text = path.read_text()
    if text.count(old) != 1:
        raise ValueError(f"{path} has {old!r} {text.count(old)} times, not once: the app has changed")
    path.write_text(text.replace(old, new))


def main() -> None:
    """Make a repository of each application in a directory."""
    applications, repositories = map(Path, sys.argv[1:])
    for application in sorted(path for path in applications.iterdir() if path.is_dir()):
        make_two_versions(application, repositories / application.name)


if __name__ == "__main__":
    main()
