"""What is found of an app on a host, and nothing of its neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.app_removal import DIRECTORIES, PACKAGES, App
from farrier_release.application import Application
from farrier_release.config import parse
from farrier_release.host import Host

UNITS = "etc/systemd/system"


def add(root: Path, name: str, *jobs: str) -> None:
    """Install an app with its jobs as `site.yml` does."""
    for directory in DIRECTORIES:
        (root / directory / name).mkdir(parents=True)
    units = root / UNITS
    for wants in ("multi-user.target.wants", "sockets.target.wants", "timers.target.wants"):
        (units / wants).mkdir(parents=True, exist_ok=True)
    service = f"[Service]\nUser={name}\nSlice=farrier-{name.replace('-', '_')}.slice\n"
    for stem in (name, f"{name}-rehearsal@", f"{name}-stand-in@", *(f"{name}-{job}" for job in jobs)):
        (units / f"{stem}.service").write_text(service)
    (units / f"{name}.socket").write_text("[Socket]\n")
    for job in jobs:
        (units / f"{name}-{job}.timer").write_text("[Timer]\n")
        (units / f"timers.target.wants/{name}-{job}.timer").symlink_to(f"/{UNITS}/{name}-{job}.timer")
    (units / f"multi-user.target.wants/{name}.service").symlink_to(f"/{UNITS}/{name}.service")
    recovery = units / f"multi-user.target.wants/farrier-recover@{name}.service"
    recovery.symlink_to(f"/{UNITS}/farrier-recover@.service")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with an app, and one whose name begins alike."""
    add(tmp_path, "shop", "digest")
    add(tmp_path, "shop-admin")
    users = tmp_path / "etc/sysusers.d/farrier.conf"
    users.parent.mkdir(parents=True)
    users.write_text('u shop-admin - "Runs shop-admin" /var/lib/farrier/shop-admin\n')
    return tmp_path


def test_an_app_is_removed_with_its_units_and_a_neighbour_stays(root: Path) -> None:
    """Names that begin alike are the trap: shop-admin is no process of shop."""
    before = {path for path in root.rglob("*") if "shop-admin" in str(path)}
    App("shop", root).remove_files()
    left = {path for path in root.rglob("*") if "shop" in str(path.relative_to(root))}
    assert left == before
    App("shop", root).remove_files()  # also after one that was interrupted


def test_packages_go_with_the_last_app_that_needs_them(root: Path) -> None:
    """Of those that the kit has brought; the record says which these are."""
    assert App("shop", root).packages() == ([], [])
    record = root / PACKAGES.relative_to("/")
    record.parent.mkdir(parents=True)
    others = ["shop-admin needs libpq5", "shop-admin needs git"]
    record.write_text("\n".join(["shop needs libpq5", *others, "shop needs libpango-1.0-0", ""]))
    assert App("shop", root).packages() == (["libpango-1.0-0"], others)


def test_units_are_those_of_the_slice_with_their_timers_and_sockets(root: Path) -> None:
    """What could start the app again is stopped with it."""
    named = ["digest.service", "digest.timer", "rehearsal@.service", "stand-in@.service"]
    assert App("shop", root).units() == [*(f"shop-{name}" for name in named), "shop.service", "shop.socket"]


def test_an_app_that_the_last_run_knew_is_declared(root: Path) -> None:
    """Its user would come back with the next boot."""
    assert [App(name, root).is_declared for name in ("shop", "shop-admin")] == [False, True]


def test_only_state_that_is_there_is_saved(root: Path) -> None:
    """An empty archive would look like data."""
    app = App("shop", root)
    assert not app.has_state
    (app.state / "app.db").write_text("data")
    assert app.has_state
    assert app.archive().parent == root / "var/backups/farrier"


def test_a_deploy_under_way_is_looked_for_where_the_release_tool_runs_it() -> None:
    """Else an app would be removed in the middle of a deploy."""
    application = Application(parse({"name": "shop"}, "here"), Host())
    assert App("shop").transaction == f"{application.transaction_unit}.service"
