"""A settings file is applied until it has been, whichever run has written it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils import applied

CONTENT = "# a comment\n[Journal]\nSystemMaxUse=1G\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a machine that has booted at second 1000."""
    (tmp_path / "1").mkdir()
    os.utime(tmp_path / "1", (1000, 1000))
    return tmp_path


def is_applied(machine: Path, content: str) -> bool:
    """Ask of the machine's one file."""
    return applied.is_applied(machine / "a.conf", content, machine / "records", machine / "1")


def write(machine: Path, content: str, at: float) -> None:
    """Write the file at a time."""
    applied.replace(machine / "a.conf", content, 0o644)
    os.utime(machine / "a.conf", (at, at))


def test_a_file_that_was_written_and_no_more_is_still_to_be_applied(machine: Path) -> None:
    """The run was cut short between the two; the next one finds the file as it is to be."""
    assert not is_applied(machine, CONTENT)
    write(machine, CONTENT, 2000)
    assert not is_applied(machine, CONTENT)
    applied.record(machine / "a.conf", CONTENT, machine / "records")
    assert is_applied(machine, CONTENT)


def test_a_boot_applies_what_it_finds(machine: Path) -> None:
    """Nothing is kept across it, and nothing has to be."""
    write(machine, CONTENT, 500)
    assert is_applied(machine, CONTENT)
    assert not is_applied(machine, CONTENT.replace("1G", "2G"))


def test_comments_are_not_applied(machine: Path) -> None:
    """Nothing restarts for them; what is said is."""
    applied.record(machine / "a.conf", CONTENT, machine / "records")
    assert is_applied(machine, CONTENT.replace("a comment", "other words") + "\n; more\n")
    assert not is_applied(machine, CONTENT + "SystemKeepFree=1G\n")


def test_a_file_is_replaced_in_one_step_and_once(tmp_path: Path) -> None:
    """And has the mode that was asked for."""
    path = tmp_path / "a.conf"
    assert applied.replace(path, CONTENT, 0o644)
    assert not applied.replace(path, CONTENT, 0o644)
    path.chmod(0o600)
    assert applied.replace(path, CONTENT, 0o644)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.conf"]
