"""Apps that come and go: one that does not start stops no other, one that leaves is said and removed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

from tests.harness.deploys import run

INVENTORY = Path(__file__).resolve().parents[1] / "inventory"
# Most apps have left afterwards.
RUNS_LAST = True
STAY = ("plain", "uploads")
ARRIVALS = {"broken": "nowhere:app", "guest": "main:app", "guest-two": "main:app"}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inventory with few of the apps: a run takes its time for each."""
    return inventory_of(tmp_path_factory.mktemp("few"), [])


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with apps that the host does not have yet; one of them cannot start."""
    arrivals = [
        {"name": name, "domains": [f"{name}.lab.test"], "module": module} for name, module in ARRIVALS.items()
    ]
    arrivals[1]["packages"] = ["hello", "libmagic1"]  # uploads has the second one, too
    return inventory_of(tmp_path_factory.mktemp("more"), arrivals)


def inventory_of(directory: Path, arrivals: list[dict[str, Any]]) -> Path:
    """Copy the inventory with the apps that stay and others, which are made of the first one's source."""
    inventory = directory / "inventory"
    shutil.copytree(INVENTORY, inventory)
    path = inventory / "group_vars/all/apps.yml"
    content = yaml.safe_load(path.read_text())
    stay = [app for app in content["apps"] if app["name"] in STAY]
    path.write_text(yaml.safe_dump({**content, "apps": [*stay, *({**stay[0], **app} for app in arrivals)]}))
    return inventory


def test_an_app_that_does_not_start_stops_no_other(host: Host, more: Path) -> None:
    """The run fails at its end, by name, after the other releases and the certificates."""
    site = run(more, "site")
    assert site.failed
    assert "broken did not start" in site.output
    assert "Obtain certificates on the edges" in site.output
    assert not host.file("/srv/broken/current").exists
    assert host.package("hello").is_installed
    for name in ("guest", "guest-two"):
        assert host.service(f"{name}.service").is_running


def test_an_app_that_has_left_is_said_with_the_command_that_removes_it(
    host: Host, few: Path, more: Path
) -> None:
    """It goes on running until an operator says otherwise, and cannot be removed while it is wanted."""
    early = run(more, "remove", app="guest")
    assert "is in `apps` of" in early.output
    site = run(few, "site")
    assert not site.failed, site.output
    for name in ARRIVALS:
        assert f"farrier.kit.remove -e app={name}" in " ".join(site.output.split())
    assert host.service("guest.service").is_running


def test_it_is_removed_and_its_state_is_kept(host: Host, few: Path) -> None:
    """Nothing is left but the archive, whose owner alone may read it; and once more changes nothing."""
    host.check_output("runuser -u guest -- sh -c 'echo data >/var/lib/farrier/guest/app.db'")
    host.check_output("rm -f /var/backups/farrier/guest-*")
    for name in ARRIVALS:
        removed = run(few, "remove", app=name)
        assert not removed.failed, removed.output
        assert host.run(f"systemctl is-active {name}.service {name}.socket").rc != 0
    assert not host.package("hello").is_installed
    assert host.package("libmagic1").is_installed
    archive = host.check_output("ls /var/backups/farrier/guest-*.tar.gz")
    assert host.check_output(f"tar -xzOf {archive} guest/app.db") == "data"
    assert host.check_output(f"stat -c %a {archive}") == "600"
    left = host.check_output(
        "find / -xdev \\( -name 'guest*' -o -name 'broken*' -o -nouser \\) "
        "-not -path '/proc/*' -not -path '/usr/*' -not -path '/var/backups/*'"
    )
    assert left == ""
    assert host.run("getent passwd guest guest-build").rc != 0
    again = run(few, "remove", app="guest")
    assert not again.failed, again.output
