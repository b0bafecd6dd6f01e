"""Put files back as they were, and apply them. What plugins/module_utils/way_back.py keeps is read here."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path


def put_back(directory: Path) -> list[str]:
    """Take back every pending change, the last one first; return the files.

    A change stays pending until its files are back and applied. So whatever ends this early, the next one
    does it again.

    Raises:
        subprocess.CalledProcessError: A command that applies the files has failed; the others have been run.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    failure: subprocess.CalledProcessError | None = None
    done = []
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for change in sorted((directory / "pending").glob("*"), reverse=True):
            manifest = json.loads((change / "manifest.json").read_text())
            for name, copy in manifest["files"].items():
                _restore(Path(name), change / copy if copy is not None else None)
                done.append(name)
            try:
                subprocess.run(manifest["undo"], check=True)
            except subprocess.CalledProcessError as error:
                failure = error
                continue
            shutil.rmtree(change)
        if failure is not None:
            raise failure
        if (directory / "pending").exists():
            (directory / "pending").rmdir()
    finally:
        os.close(descriptor)
    return done


def _restore(path: Path, copy: Path | None) -> None:
    if copy is None:
        path.unlink(missing_ok=True)
        return
    fresh = path.with_name(f".{path.name}.old")
    shutil.copy2(copy, fresh)
    os.chown(fresh, copy.stat().st_uid, copy.stat().st_gid)
    fresh.replace(path)
