"""Whatever happens in between, a host goes by what it had, or by what a new connection has confirmed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils import way_back
from farrier_guard.put_back import put_back


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a host with one file, and the directory of what it keeps."""
    (tmp_path / "rules").write_text("open")
    (tmp_path / "rules").chmod(0o600)
    return tmp_path


def change(host: Path, undo: str = "true") -> None:
    """Write two files, one of which is new, after they are kept."""
    paths = [host / "rules", host / "new"]
    applies = ["sh", "-c", f"cat {host}/rules >> {host}/applied; {undo}"]
    way_back.keep(paths, applies, host / "guard")
    for path in paths:
        path.write_text("shut")


def applied(host: Path) -> str:
    """Return what has been applied, one after the other."""
    return (host / "applied").read_text()


def test_a_change_is_put_back_and_applied(host: Path) -> None:
    """A file that was there is as it was, one that is new is gone. Nothing is left to put back."""
    change(host)
    assert put_back(host / "guard") == [str(host / "rules"), str(host / "new")]
    assert (host / "rules").read_text() == "open"
    assert (host / "rules").stat().st_mode & 0o777 == 0o600
    assert not (host / "new").exists()
    assert applied(host) == "open"
    assert put_back(host / "guard") == []
    assert not (host / "guard" / "pending").exists()


def test_two_changes_are_put_back_in_reverse(host: Path) -> None:
    """The first one knows what was there before any."""
    change(host)
    change(host)
    put_back(host / "guard")
    assert (host / "rules").read_text() == "open"
    assert applied(host) == "shutopen"


def test_what_cannot_be_applied_stays_pending(host: Path) -> None:
    """So the next one, of a boot, tries again. The other change is taken back all the same."""
    change(host)
    change(host, undo="false")
    with pytest.raises(subprocess.CalledProcessError):
        put_back(host / "guard")
    assert (host / "rules").read_text() == "open"
    assert [path.name for path in (host / "guard/pending").iterdir()] == ["000001"]


def test_a_run_that_was_killed_while_it_kept_leaves_nothing_pending(host: Path) -> None:
    """What is half kept has changed nothing."""
    (host / "guard/new").mkdir(parents=True)
    (host / "guard/new/0").write_text("half")
    assert put_back(host / "guard") == []
    change(host)
    assert len(list((host / "guard/pending").iterdir())) == 1


def test_a_confirmed_change_stays(host: Path) -> None:
    """By a connection that was made after it, or by one that is none of SSH's."""
    for connected in (1e12, None):
        change(host)
        way_back.confirm(connected, host / "guard")
        assert put_back(host / "guard") == []
        assert (host / "rules").read_text() == "shut"


def test_a_connection_from_before_confirms_nothing(host: Path) -> None:
    """A firewall would not close it."""
    change(host)
    with pytest.raises(way_back.UnconfirmedError, match="older than the change"):
        way_back.confirm(1.0, host / "guard")
    put_back(host / "guard")
    assert (host / "rules").read_text() == "open"


def test_a_confirmation_that_comes_too_late_is_refused(host: Path) -> None:
    """The run must not think that the host goes by its change."""
    change(host)
    put_back(host / "guard")
    with pytest.raises(way_back.UnconfirmedError, match="too late"):
        way_back.confirm(1e12, host / "guard")
