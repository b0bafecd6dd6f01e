"""The command `save`, as a deploy calls it: what it saves, and for how long it waits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from farrier_backup import __main__ as command
from farrier_backup import postgresql, save
from farrier_backup.settings import Settings

SETTINGS = Settings("web1", "backup@192.0.2.1", 22, {"shop": "", "plain": ""}, 36, 192, databases=["shop"])


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was saved, on a host of its own."""
    done: list[str] = []
    monkeypatch.setattr(command, "STATE", tmp_path)
    monkeypatch.setattr(command, "load", lambda: SETTINGS)
    monkeypatch.setattr(save, "check_repository", lambda _: None)
    monkeypatch.setattr(save, "save", lambda app, _: done.append(f"files of {app}"))
    monkeypatch.setattr(postgresql, "reach_now", lambda: done.append("database") or "saved")
    return done


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run it; return the exit code."""
    monkeypatch.setattr(sys, "argv", ["farrier-backup", "save", *arguments])
    return command.main()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["shop"], ["files of shop", "database"]),
        (["plain"], ["files of plain"]),
        (["shop", "--database"], ["database"]),
        (["another"], []),
    ],
)
def test_what_is_on_the_host_is_saved(
    done: list[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: list[str]
) -> None:
    """Of that app alone."""
    assert call(monkeypatch, *arguments) == 0
    assert done == expected


def test_a_deploy_does_not_wait_for_a_long_backup(
    done: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full one of a large cluster takes hours. WAL needs nobody's turn."""
    monkeypatch.setattr(command, "TURN_SECONDS", 0.2)
    with command.alone():
        assert call(monkeypatch, "shop") == 1
        assert call(monkeypatch, "shop", "--database") == 0
    assert "is under way on this host. Next: wait for its end" in capsys.readouterr().err
    assert done == ["database"]
    assert call(monkeypatch, "shop") == 0
