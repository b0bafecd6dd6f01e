"""Which backup is restored, to whom its files belong, and that what was there is never lost."""

from __future__ import annotations

import fcntl
import os
import pwd
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from farrier_backup import point_in_time, restore, times
from farrier_backup.errors import BackupError
from farrier_backup.restic import Snapshot
from farrier_backup.settings import Settings, write_json

FIRST = datetime(2026, 11, 25, 12, 0, 0, 700_000, tzinfo=UTC)
SNAPSHOTS = [Snapshot(f"{number:064}", FIRST + timedelta(hours=number)) for number in range(3)]
SETTINGS = Settings("web1", "backup@192.0.2.1", 22, {"shop": ""}, max_age_hours=36, proof_max_age_hours=192)
STOPPED: list[str] = []


@pytest.mark.parametrize(
    ("at", "chosen"),
    [
        (None, 2),
        (FIRST + timedelta(days=1), 2),
        (FIRST + timedelta(hours=2, seconds=-1), 1),
        (FIRST.replace(microsecond=0), 0),
    ],
)
def test_the_last_backup_until_then_is_chosen(at: datetime | None, chosen: int) -> None:
    """The newest without a moment; a backup's own second is its moment."""
    assert restore.choose("shop", SNAPSHOTS, at) is SNAPSHOTS[chosen]


def test_a_moment_before_the_first_is_refused() -> None:
    """With the moments from which to choose."""
    with pytest.raises(BackupError, match=r"as old as .* choose a moment from .* to "):
        restore.choose("shop", SNAPSHOTS, FIRST - timedelta(seconds=2))


def test_a_moment_that_has_not_come_is_refused() -> None:
    """It is a mistake, not a wish for the newest."""
    with pytest.raises(BackupError, match="has not come yet"):
        times.moment("2026-11-25 12:00:01+00:00", FIRST)
    assert times.moment("2026-11-25 12:00:00+00:00", FIRST) == FIRST.replace(microsecond=0)


@pytest.mark.parametrize("text", ["yesterday", "12:00", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(BackupError, match=f"'{text}' is not a moment"):
        times.moment(text)


def test_no_backup_is_said() -> None:
    """It is not the moment's fault."""
    with pytest.raises(BackupError, match="there is no backup of shop"):
        restore.choose("shop", [], FIRST)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with an app, and a backup that is prepared."""
    for name in ("APPS", "RELEASES", "LOCKS"):
        monkeypatch.setattr(restore, name, tmp_path / name.lower())
    monkeypatch.setattr(restore, "_running", lambda app: [f"{app}.socket", f"{app}.service"])
    monkeypatch.setattr(
        restore, "_systemctl", lambda verb, units: STOPPED.append(f"{verb} {' '.join(units)}")
    )
    STOPPED.clear()
    state = tmp_path / "apps/shop"
    state.mkdir(parents=True)
    (state / "rows").write_text("today's")
    scratch = tmp_path / "apps/.restore-shop"
    restored = scratch / state.relative_to("/")
    restored.mkdir(parents=True)
    (restored / "rows").write_text("yesterday's")
    write_json(scratch / "backup.json", {"id": "0123456789"})
    return tmp_path


def kept(host: Path) -> list[Path]:
    """What was put aside."""
    return [path for path in (host / "apps").iterdir() if path.name.startswith("shop.")]


def test_what_was_there_is_kept(host: Path) -> None:
    """And the message says where; the app does not run meanwhile, and nothing can start it."""
    (said,) = restore.swap("shop", "0123456789,")
    assert (host / "apps/shop/rows").read_text() == "yesterday's"
    assert [(path / "rows").read_text() for path in kept(host)] == ["today's"]
    assert said.endswith(str(kept(host)[0]))
    assert STOPPED == ["stop shop.socket", "stop shop.service", "start shop.socket", "start shop.service"]
    assert not (host / "apps/.restore-shop").exists()


def test_an_emptied_host_has_nothing_to_keep(host: Path) -> None:
    """A new machine, or one whose state is gone."""
    (host / "apps/shop/rows").unlink()
    (host / "apps/shop").rmdir()
    restore.swap("shop", "0123456789,")
    assert (host / "apps/shop/rows").read_text() == "yesterday's"
    assert kept(host) == []


def test_a_failure_in_between_puts_it_back(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app runs again, with what it had."""
    rename = Path.rename

    def fails(path: Path, target: Path) -> Path:
        if ".restore-shop" in str(path):
            raise OSError("the disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(BackupError, match="the disk is gone"):
        restore.swap("shop", "0123456789,")
    assert (host / "apps/shop/rows").read_text() == "today's"
    assert STOPPED[-1] == "start shop.service"


def test_only_what_was_prepared_is_restored(host: Path) -> None:
    """Not what an earlier order has left."""
    with pytest.raises(BackupError, match="is not here"):
        restore.swap("shop", "9876543210,")
    assert STOPPED == []


def test_a_deploy_under_way_is_not_disturbed(host: Path) -> None:
    """Neither one that works, nor one that waits for another host; one that only watches is over."""
    (host / "locks").mkdir()
    with (host / "locks/shop.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="a deploy of shop is under way"):
            restore.swap("shop", "0123456789,")
    write_json(host / "releases/shop/.state.json", {"transaction": {"phase": "prepared"}})
    with pytest.raises(BackupError, match="a deploy of shop is under way"):
        restore.swap("shop", "0123456789,")
    assert STOPPED == []
    write_json(host / "releases/shop/.state.json", {"transaction": {"phase": "watch"}})
    restore.swap("shop", "0123456789,")
    assert (host / "apps/shop/rows").read_text() == "yesterday's"


def test_an_app_is_held_until_its_database_is_swapped(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the controller dies in between, and all begins anew: what ran before it is started."""
    restore.stop("shop")
    monkeypatch.setattr(restore, "_running", lambda app: [])
    restore.stop("shop")
    STOPPED.clear()
    restore.start("shop")
    assert STOPPED == ["start shop.socket", "start shop.service"]
    assert list((host / "locks").glob("*.json")) == []


def test_files_stay_if_the_database_does(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are of one moment."""

    def fails(app: str) -> str:
        raise BackupError("somebody is connected", "try again")

    monkeypatch.setattr(point_in_time, "swap", fails)
    with pytest.raises(BackupError, match="somebody is connected"):
        restore.swap("shop", "0123456789,here:20261125-120000F")
    assert (host / "apps/shop/rows").read_text() == "today's"
    assert STOPPED[-1] == "start shop.service"


def test_files_belong_to_the_user_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose number may be another one on a new machine; files of others stay theirs."""
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "lchown", lambda path, uid, gid: given.update({Path(path).name: (uid, gid)}))
    owner = os.stat_result
    real = Path.lstat

    def owned(path: Path) -> os.stat_result:
        found = list(real(path))
        found[4:6] = (33, 33) if path.name == "foreign" else (990, 990)
        return owner(found)

    (tmp_path / "deep").mkdir()
    for name in ("deep/own", "foreign"):
        (tmp_path / name).touch()
    monkeypatch.setattr(Path, "lstat", owned)
    user = pwd.struct_passwd(("shop", "x", 950, 951, "", "/", "/"))
    restore._give(tmp_path, user)
    assert given == {tmp_path.name: (950, 951), "deep": (950, 951), "own": (950, 951)}
