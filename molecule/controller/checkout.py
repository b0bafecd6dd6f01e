"""Pack this checkout, and a repository of the app with a tag for each version; called with a directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.harness.changes import same
from tests.harness.repository import Repository

ROOT = Path(__file__).resolve().parents[2]


def pack(target: Path) -> None:
    """Pack the files that git knows, and those that it would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    with tarfile.open(target, "w") as archive:
        for name in listed.stdout.split("\0"):
            if name and (ROOT / name).is_symlink() | (ROOT / name).exists():
                archive.add(ROOT / name, name)


def main() -> None:
    """Write farrier.tar and observatory.tar."""
    build = Path(sys.argv[1])
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    pack(build / "farrier.tar")
    repository = Repository(ROOT / "app", build / "observatory")
    repository.change(same)
    for version in ("v1", "v2"):
        repository.tag(version, same)
    with tarfile.open(build / "observatory.tar", "w") as archive:
        archive.add(repository.path, "observatory")


main()
