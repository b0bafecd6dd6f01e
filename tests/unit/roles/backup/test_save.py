"""What of an app's state is left out of a backup, and which of restic's errors count."""

from __future__ import annotations

import json
from pathlib import Path

from farrier_backup import save


def test_patterns_mean_what_they_say() -> None:
    """A database is saved as its copy, whatever is in its name; caches are not saved."""
    assert list(save._excluded(Path("/state"), {"a[1].db"})) == [
        "/state/cache/*",
        "/state/.cache/*",
        r"/state/a\[1\].db",
        r"/state/a\[1\].db-wal",
        r"/state/a\[1\].db-shm",
        r"/state/a\[1\].db-journal",
    ]


def test_files_that_are_gone_are_no_failure(tmp_path: Path) -> None:
    """An app goes on while it is saved; what is still there and cannot be read is one."""
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.touch()
    said = [json.dumps({"message_type": "error", "item": str(path)}) for path in (gone, there)]
    assert save.only_vanished(f"warning\n{said[0]}\n")
    assert not save.only_vanished("\n".join(said))
    assert not save.only_vanished("warning\n")
