"""All parts together, in a file that is there in whole, whatever fails."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from farrier_metrics import __main__ as program
from farrier_metrics import settings as settings_module
from farrier_metrics.collect import Collector
from farrier_metrics.exposition import METRICS, Sample, render
from farrier_metrics.settings import App, Settings

from tests.unit.roles.metrics.values import values


@pytest.fixture
def everything(settings: Settings) -> Settings:
    """Of a host that is all there is."""
    return replace(
        settings,
        apps=[App("shop"), App("bot", is_web=False)],
        is_edge=True,
        edge_apps=["shop"],
        has_postgresql=True,
        has_backups=True,
    )


@pytest.fixture(autouse=True)
def systemctl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd that knows no unit."""
    done = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)


def test_part_that_fails_is_a_metric(
    everything: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are told all the same, and the journal has it once."""
    monkeypatch.setattr("farrier_metrics.host.is_replica", lambda _: 1 / 0)
    collector = Collector(everything)
    for _ in range(2):
        found = values(collector.samples())
    assert found["metrics_errors{postgresql}"] == 1
    assert found["metrics_errors{requests}"] == found["reboot_required"] == 0
    assert capsys.readouterr().err.count("postgresql: ZeroDivisionError: division by zero") == 1


def test_host_has_the_parts_of_its_groups(settings: Settings, everything: Settings) -> None:
    """What it does not have cannot fail."""
    bare = {key for key in values(Collector(settings).samples()) if key.startswith("metrics_errors")}
    assert bare == {"metrics_errors{reboot}"}
    parts = {key for key in values(Collector(everything).samples()) if key.startswith("metrics_errors")}
    assert len(parts) == 11


def test_app_that_was_removed_is_not_told(everything: Settings) -> None:
    """Or it would be a service that is down, until the next run of site.yml."""
    (everything.releases / "shop").mkdir(parents=True)
    collector = Collector(everything)
    assert values(collector.samples())["service_active{shop,shop.service}"] == 0
    (everything.releases / "shop").rmdir()
    told = values(collector.samples())
    assert not {key for key in told if key.startswith(("service", "deploy", "release", "worker"))}
    assert told["metrics_errors{services}"] == 0


def test_pending_reboot_is_told(settings: Settings) -> None:
    """By the file that Debian leaves."""
    settings.reboot_required.parent.mkdir(parents=True, exist_ok=True)
    settings.reboot_required.touch()
    assert values(Collector(settings).samples())["reboot_required"] == 1


def test_file_is_replaced_in_one_step(everything: Settings) -> None:
    """The node exporter reads it at any moment."""
    collector = Collector(everything)
    collector.write()
    before = everything.output.stat().st_ino
    collector.write()
    assert everything.output.stat().st_ino != before
    assert everything.output.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in everything.output.parent.iterdir()] == ["farrier.prom"]


def test_text_is_what_the_node_exporter_reads() -> None:
    """Values of labels are escaped, and numbers are those of Go."""
    text = render(
        [
            Sample("farrier_release_info", 1, {"app": 'a"b\\c\nd', "release": "r"}),
            Sample("farrier_reboot_required", True),
            Sample("farrier_release_live_timestamp_seconds", 1795774500.25, {"app": "shop"}),
        ]
    )
    assert '\nfarrier_release_info{app="a\\"b\\\\c\\nd",release="r"} 1\n' in text
    assert "\nfarrier_reboot_required 1\n" in text
    assert '\nfarrier_release_live_timestamp_seconds{app="shop"} 1795774500.25\n' in text
    assert text.endswith("\n")


def test_metrics_are_documented_as_they_are() -> None:
    """docs/metrics.md has each of them, and no other."""
    rows = re.findall(
        r"^\| `(farrier_\w+)(?:\{([^}]*)\})?` \| (\w+) \| (.+) \|$", Path("docs/metrics.md").read_text(), re.M
    )
    documented = {name: (kind, labels, text) for name, labels, kind, text in rows}
    assert documented == {name: (one.kind, ", ".join(one.labels), one.help) for name, one in METRICS.items()}


def test_settings_of_the_role_are_understood(tmp_path: Path) -> None:
    """As the role writes them."""
    path = tmp_path / "settings.json"
    path.write_text(
        '{"apps": [{"name": "shop", "is_web": true, "processes": {"worker": 2}}],'
        '"certificates": {"shop": "/tls/shop"}, "is_edge": true, "edge_apps": ["shop"],'
        '"has_postgresql": false, "has_backups": true,'
        '"drained_directory": "/drained", "maintenance_directory": "/maintenance"}'
    )
    found = settings_module.load(path)
    assert found.apps == [App("shop", True, {"worker": 2})]
    assert found.certificates == {"shop": Path("/tls/shop")}
    assert found.drained_directory == Path("/drained")


def test_new_version_takes_the_place_of_the_old(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role replaces a symlink; systemd starts the program again."""
    package = tmp_path / "farrier_metrics"
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    package.symlink_to("1")
    monkeypatch.setattr(program, "_PACKAGE", package)
    monkeypatch.setattr(program, "load", lambda: settings)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            package.unlink()
            package.symlink_to("2")

    monkeypatch.setattr("time.sleep", sleep)
    mask = os.umask(0o022)
    program.main()
    os.umask(mask)
    assert slept == [10.0, 10.0]


def test_full_disk_ends_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, and tried again."""
    monkeypatch.setattr(program, "load", lambda: replace(settings, output=Path("/proc/none/farrier.prom")))

    def sleep(_: float) -> None:
        raise SystemExit

    monkeypatch.setattr("time.sleep", sleep)
    with pytest.raises(SystemExit):
        program.main()
    assert "the metrics cannot be written" in capsys.readouterr().err
