"""Make a git repository with versions of an app to deploy, each a tag, in place of what is there.

python versions.py APP REPOSITORY
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from shared.repository import Change, Repository, replace

MAIN = Path("src/observatory/main.py")
PAGE = Path("src/observatory/static/index.html")
LOCK = Path("requirements.txt")


def same(tree: Path) -> None:
    """The app as it is."""


def another(package: str) -> Change:
    """Another version of a package in the lock than the one that is there; the others stay."""
    return lambda tree: lock_another(tree, package)


def slow_import(tree: Path) -> None:
    """An app that takes three seconds to import."""
    replace(tree / MAIN, "\nimport sys\n", "\nimport sys\nimport time\n")
    replace(tree / MAIN, "\nlog = ", "\ntime.sleep(3)\nlog = ")


def lock_another(tree: Path, package: str) -> None:
    """Lock another version of a package than the one that is locked.

    Raises:
        ValueError: it is not locked.
        subprocess.CalledProcessError: pyproject.toml allows no other version.
    """
    found = re.search(rf"^{package}==(\S+)", (tree / LOCK).read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{tree / LOCK} does not lock {package}")
    subprocess.run(
        [
            *("uv", "--system-certs", "pip", "compile", "--quiet", "--universal", "--python-version=3.11"),
            *("--generate-hashes", "--no-emit-index-url", "--no-header", "--constraints=-"),
            *(f"--output-file={LOCK}", "pyproject.toml"),
        ],
        cwd=tree,
        input=f"{package}!={found[1]}\n",
        text=True,
        stdout=subprocess.DEVNULL,
        check=True,
    )


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
    repository.change(same)
    for version, change in VERSIONS.items():

        def make(tree: Path, version: str = version, change: Change = change) -> None:
            replace(tree / PAGE, "<h1>Observatory</h1>", f"<h1>Observatory {version}</h1>")
            change(tree)

        repository.tag(version, make)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
