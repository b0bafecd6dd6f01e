"""What users have entrusted to an app comes back, as it was at a moment, and nothing else is lost for it."""

from __future__ import annotations

import re

import pytest
from conftest import INVENTORY, Notes, side_by_side

from tests.harness.deploys import run

BEFORE = [f"before-{number}" for number in range(500)]


@pytest.fixture(scope="module")
def moments(keepers: list[Notes]) -> list[str]:
    """A moment with notes and a file, one with more of them, and one when somebody has deleted them all."""
    found = []
    for step in ("first", "more", "nothing"):
        for notes in keepers:
            if step == "first":
                notes.delete_all()
                notes.write(*BEFORE)
                notes.upload("picture.txt", "a picture")
            elif step == "more":
                notes.write("later")
            else:
                notes.delete_all()
        found.append(max(side_by_side(Notes.save, keepers)))
    return found


def test_without_the_order_nothing_changes(keepers: list[Notes], moments: list[str]) -> None:
    """A live app goes on; the run says which backup it would restore, its size, and what that replaces."""
    before = [(notes.read(), notes.host.check_output("ls /var/lib/farrier")) for notes in keepers]
    dry = run(INVENTORY, "restore", ["-e", f"at={moments[0]}"])
    assert not dry.failed, dry.output
    assert f"as it was at {moments[0]}" in dry.output  # there is a space in it
    for notes in keepers:
        assert re.search(
            rf"{notes.name}: notes: the backup of \S+ \S+ UTC \(\w{{8}}, [\d.]+ kB\) would replace what is in"
            r" /var/lib/farrier/notes",
            dry.output,
        ), dry.output
    assert [(notes.read(), notes.host.check_output("ls /var/lib/farrier")) for notes in keepers] == before


def test_a_moment_without_a_backup_is_refused(moments: list[str]) -> None:
    """Although the order is given."""
    refused = run(INVENTORY, "restore", at="2020-01-01", confirm="yes")
    assert refused.failed
    assert "there is no backup of PostgreSQL as old as" in refused.output
    assert "Nothing was changed" in refused.output


def test_what_was_there_at_a_moment_is_there_again(keepers: list[Notes], moments: list[str]) -> None:
    """All rows that were written before it, and none of later; what was there before the restore is kept."""
    for notes in keepers:
        notes.write("after-the-last-backup")
    restored = run(INVENTORY, "restore", at=moments[0], confirm="yes")
    assert not restored.failed, restored.output
    for notes in keepers:
        assert notes.read() == BEFORE
        assert notes.served("picture.txt") == (200, "a picture")
        kept = re.search(rf"{notes.name}: .* is in (/var/lib/farrier/notes\.\w+)", restored.output)
        assert kept, restored.output
        database = f"sqlite3.connect('{kept[1]}/data/notes.data')"
        script = f"import sqlite3; print({database}.execute('SELECT * FROM notes').fetchall())"
        assert notes.host.check_output(f'python3 -c "{script}"') == "[('after-the-last-backup',)]"
        notes.write("it goes on")


def test_any_moment_can_be_restored(keepers: list[Notes], moments: list[str]) -> None:
    """Also a later one, after an earlier one."""
    restored = run(INVENTORY, "restore", at=moments[1], confirm="yes")
    assert not restored.failed, restored.output
    assert [notes.read() for notes in keepers] == [[*BEFORE, "later"]] * 2
