"""What is live, and the results of deploys, as the release tool has written them down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from farrier_metrics import deploys
from farrier_metrics.settings import App, Settings

from tests.unit.roles.metrics.values import values

RELEASE = "20261127T101500Z-3f2c1ab"
SHOP = App("shop")


@pytest.fixture
def root(settings: Settings) -> Path:
    """Of an app with a live release."""
    root = settings.releases / "shop"
    (root / "releases" / RELEASE).mkdir(parents=True)
    (root / "current").symlink_to(f"releases/{RELEASE}")
    return root


@pytest.fixture
def record(settings: Settings) -> Path:
    """Of an app's deploys."""
    path = settings.log / "shop" / "deploys.jsonl"
    path.parent.mkdir(parents=True)
    return path


def _write(path: Path, *entries: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.writelines(
            json.dumps({"at": "2026-11-27T10:15:00Z", "what": "deploy"} | one) + "\n" for one in entries
        )


def test_live_release_and_since_when(settings: Settings, root: Path) -> None:
    """By the symlink, and by what the release says of itself."""
    (root / "releases" / RELEASE / ".farrier.json").write_text('{"activated_at": 1795774500.5}')
    assert deploys.live_release(SHOP, settings) == RELEASE
    assert values(deploys.samples(SHOP, RELEASE, settings)) == {
        f"release_info{{shop,{RELEASE}}}": 1,
        "release_live_timestamp_seconds{shop}": 1795774500.5,
        "deploy_under_way{shop}": 0,
    }


def test_nothing_is_live_before_the_first_release(settings: Settings) -> None:
    """There is no directory yet."""
    assert deploys.live_release(SHOP, settings) is None
    assert values(deploys.samples(SHOP, None, settings)) == {"deploy_under_way{shop}": 0}


def test_deploy_under_way_is_seen(settings: Settings, root: Path) -> None:
    """From its beginning to the end of its watch."""
    (root / ".state.json").write_text('{"format": 1, "transaction": {"phase": "watch"}, "last": {}}')
    assert values(deploys.samples(SHOP, None, settings))["deploy_under_way{shop}"] == 1


def test_results_are_counted_once(settings: Settings, record: Path) -> None:
    """Only what is new is read."""
    log = deploys.Record(SHOP, settings)
    _write(record, {"result": "live"}, {"result": "failed"}, {"result": "live", "what": "rollback"})
    list(log.samples())
    _write(record, {"result": "undone", "what": "watch", "at": "2026-11-27T10:16:00Z"})
    found = values(log.samples())
    counts = {key: value for key, value in found.items() if key.startswith("deploys_total")}
    assert counts == {
        "deploys_total{shop,live}": 1,
        "deploys_total{shop,rolled_back}": 1,
        "deploys_total{shop,failed}": 1,
        "deploys_total{shop,undone}": 1,
        "deploys_total{shop,abandoned}": 0,
        "deploys_total{shop,broken}": 0,
    }
    assert found["deploy_timestamp_seconds{shop,undone}"] == found["deploy_timestamp_seconds{shop,live}"] + 60


def test_restart_is_no_deploy(settings: Settings, record: Path) -> None:
    """It changes no release."""
    _write(record, {"result": "live", "what": "restart"})
    assert sum(values(deploys.Record(SHOP, settings).samples()).values()) == 0


def test_odd_lines_of_the_record_are_passed_over(settings: Settings, record: Path) -> None:
    """One that a power cut has torn, and one that is still being written."""
    record.write_bytes(b'{"at": "2026\n[]\n\xff\n' + b"x" * 200_000 + b"\n")
    _write(record, {"result": ["live"]}, {"result": "live", "at": 5}, {"result": "new"}, {"result": "failed"})
    with record.open("a") as file:
        file.write('{"what": "deploy", "result": "failed"')
    found = values(deploys.Record(SHOP, settings).samples())
    assert found["deploys_total{shop,failed}"] == 1


def test_record_that_was_begun_anew_is_counted_on(settings: Settings, record: Path) -> None:
    """A counter must not fall."""
    log = deploys.Record(SHOP, settings)
    _write(record, {"result": "live"}, {"result": "live"})
    list(log.samples())
    record.unlink()
    _write(record, {"result": "live"})
    assert values(log.samples())["deploys_total{shop,live}"] == 3
