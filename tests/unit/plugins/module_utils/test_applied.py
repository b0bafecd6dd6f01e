"""Files become what they are to be, and are applied until they have been, whichever run has written them."""

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
    applied.write(applied.File(machine / "a.conf", content))
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
    write(machine, CONTENT, 2000)
    applied.record(machine / "a.conf", CONTENT, machine / "records")
    assert is_applied(machine, CONTENT.replace("a comment", "other words") + "\n; more\n")
    assert not is_applied(machine, CONTENT + "SystemKeepFree=1G\n")


def test_what_somebody_changed_or_removed_is_applied_again(machine: Path) -> None:
    """The service may have taken up what they wrote."""
    applied.record(machine / "a.conf", CONTENT, machine / "records")
    assert not is_applied(machine, CONTENT)
    write(machine, "[Journal]\n", 2000)
    assert not is_applied(machine, CONTENT)


def made(file: applied.File) -> bool:
    """Make a path what it is to be; return whether that was due. Then it no longer is."""
    differed = applied.differs(file)
    if differed:
        applied.write(file)
    assert not applied.differs(file)
    return differed


def test_a_file_is_replaced_in_one_step_and_once(tmp_path: Path) -> None:
    """And has the mode that was asked for."""
    path = tmp_path / "new" / "a.conf"
    file = applied.File(path, CONTENT, mode="0640")
    assert made(file)
    assert not made(file)
    path.chmod(0o600)
    assert made(file)
    assert path.stat().st_mode & 0o777 == 0o640
    path.write_bytes(b"\xff")
    assert made(file)
    assert path.read_text() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["a.conf"]


def test_a_secret_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while it is written."""
    group, modes = tmp_path.group(), []

    def chown(path: Path, group: str) -> None:
        modes.append(path.stat().st_mode & 0o777)
        assert path.read_text() == "secret"

    monkeypatch.setattr(applied.shutil, "chown", chown)
    made(applied.File(tmp_path / "key", "secret", mode="0600", group=group))
    assert modes == [0o600]


def test_a_link_takes_the_place_of_whatever_file_is_there(tmp_path: Path) -> None:
    """In one step, like a file."""
    file = applied.File(tmp_path / "a.service", link="/etc/a.service")
    (tmp_path / "a.service").write_text("old")
    assert made(file)
    assert not made(file)
    assert (tmp_path / "a.service").readlink() == Path("/etc/a.service")
    assert made(applied.File(tmp_path / "a.service", "a file again"))


def test_a_file_without_content_is_removed(tmp_path: Path) -> None:
    """If there is one."""
    file = applied.File(tmp_path / "a.conf")
    assert not made(file)
    (tmp_path / "a.conf").write_text(CONTENT)
    assert made(file)
    assert not (tmp_path / "a.conf").exists()


def test_a_directory_is_made_or_kept(tmp_path: Path) -> None:
    """With what is in it."""
    file = applied.File(tmp_path / "a" / "b", directory=True)
    assert made(file)
    (tmp_path / "a" / "b" / "kept").touch()
    (tmp_path / "a" / "b").chmod(0o700)
    assert made(file)
    assert (tmp_path / "a" / "b" / "kept").exists()


def test_what_is_there_stays_without_force(tmp_path: Path) -> None:
    """Somebody else's file."""
    file = applied.File(tmp_path / "policy", CONTENT, force=False)
    assert made(file)
    (tmp_path / "policy").write_text("another")
    assert not made(file)
