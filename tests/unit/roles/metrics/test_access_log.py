"""Each line of the access log is read once, whatever becomes of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from farrier_metrics import access_log
from farrier_metrics.access_log import Follower
from farrier_metrics.settings import Settings


def _read(follower: Follower) -> bytes:
    return b"".join(follower.pieces())


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def log(settings: Settings) -> Path:
    settings.access_log.write_text("old\n")
    return settings.access_log


@pytest.fixture
def follower(log: Path, settings: Settings) -> Follower:
    return Follower(log, settings.state)


def test_first_one_begins_at_the_end(log: Path, follower: Follower) -> None:
    """What was before the monitor is not its business."""
    _append(log, "a\nb\n")
    assert _read(follower) == b"a\nb\n"
    assert _read(follower) == b""


def test_half_a_line_waits_for_the_rest(log: Path, follower: Follower) -> None:
    """nginx may be in the middle of it."""
    _append(log, "a\nb")
    assert _read(follower) == b"a\n"
    _append(log, "c\n")
    assert _read(follower) == b"bc\n"


def test_rotation_loses_nothing(log: Path, follower: Follower) -> None:
    """nginx goes on with the former file until it is told."""
    _append(log, "a\n")
    former = log.rename(log.with_name("access.log.1"))
    log.write_text("c\n")
    assert _read(follower) == b"a\nc\n"
    _append(former, "b\n")
    _append(log, "d\n")
    assert _read(follower) == b"b\nd\n"
    assert _read(follower) == b""


def test_restart_goes_on_where_it_was(log: Path, follower: Follower, settings: Settings) -> None:
    """Also if the log was rotated meanwhile."""
    _append(log, "a\n")
    assert _read(follower) == b"a\n"
    _append(log, "b\n")
    assert _read(Follower(log, settings.state)) == b"b\n"
    _append(log, "c\n")
    log.rename(log.with_name("access.log.1"))
    log.write_text("d\n")
    assert _read(Follower(log, settings.state)) == b"c\nd\n"


def test_emptied_log_is_read_from_its_beginning(log: Path, follower: Follower) -> None:
    """As `copytruncate` of logrotate does."""
    _append(log, "a\n" * 10)
    _read(follower)
    log.write_text("b\n")
    assert _read(follower) == b"b\n"


def test_log_that_comes_later_is_read_whole(settings: Settings) -> None:
    """nginx makes it when it starts."""
    follower = Follower(settings.access_log, settings.state)
    assert _read(follower) == b""
    settings.access_log.write_text("a\n")
    assert _read(follower) == b"a\n"


def test_round_reads_no_more_than_its_share(
    log: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest comes in the next ones; a line without an end is passed over."""
    monkeypatch.setattr(access_log, "_PIECE_BYTES", 8)
    monkeypatch.setattr(access_log, "_MOST_BYTES", 16)
    _append(log, "a234567\n" * 3 + "x" * 20 + "\nb\n")
    assert _read(follower) == b"a234567\n" * 2
    rounds = [_read(follower) for _ in range(4)]
    assert rounds[0] == b"a234567\n"
    assert b"".join(rounds).endswith(b"\nb\n")


def test_symlink_is_no_log(log: Path, settings: Settings, tmp_path: Path) -> None:
    """The directory is that of nginx's user."""
    log.unlink()
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    log.symlink_to(secret)
    follower = Follower(log, settings.state)
    _append(secret, "more\n")
    assert _read(follower) == b""


def test_no_file_stays_open(log: Path, follower: Follower) -> None:
    """After many rotations."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(5):
        log.rename(log.with_name(f"access.log.{number + 1}"))
        log.write_text("a\n")
        _read(follower)
        _read(follower)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
