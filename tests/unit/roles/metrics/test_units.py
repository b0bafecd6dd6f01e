"""What systemd says of the units of an app."""

from __future__ import annotations

import subprocess

import pytest
from farrier_metrics.settings import App, Settings
from farrier_metrics.units import Units

from tests.unit.roles.metrics.values import values


def block(unit: str, state: str = "active", restarts: int = 0) -> str:
    """Return what `systemctl show` prints of a unit."""
    return f"NRestarts={restarts}\nId={unit}\nActiveState={state}\nControlGroup=/system.slice/{unit}\n"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What systemctl prints next."""
    shown: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[command.index("--") + 1 :] == ["shop.service", "shop-worker@*.service"]
        return subprocess.CompletedProcess(command, 0, "\n".join(shown), "")

    monkeypatch.setattr(subprocess, "run", run)
    return shown


@pytest.fixture
def units() -> Units:
    """Of an app with two copies of a process."""
    return Units(Settings(apps=[App("shop", processes={"worker": 2})]))


def _found(units: Units) -> dict[str, float]:
    units.look()
    return values(units.samples(["shop"]))


def test_process_is_active_if_all_copies_are(shown: list[str], units: Units) -> None:
    """Copies of a former release, which end, do no harm."""
    shown[:] = [
        block("shop.service"),
        block("shop-worker@r2.1.service"),
        block("shop-worker@r1.1.service", "deactivating"),
    ]
    assert _found(units)["service_active{shop,shop-worker@.service}"] == 0
    shown.append(block("shop-worker@r2.2.service"))
    found = _found(units)
    assert (
        found["service_active{shop,shop-worker@.service}"] == found["service_active{shop,shop.service}"] == 1
    )


def test_service_that_reloads_is_active(shown: list[str], units: Units) -> None:
    """It serves meanwhile."""
    shown[:] = [block("shop.service", "reloading")]
    assert _found(units)["service_active{shop,shop.service}"] == 1
    shown[:] = [block("shop.service", "failed")]
    assert _found(units)["service_active{shop,shop.service}"] == 0


def test_restarts_do_not_vanish_with_an_instance(shown: list[str], units: Units) -> None:
    """A counter that falls would be taken for a new beginning."""
    shown[:] = [block("shop-worker@r1.1.service", restarts=3)]
    assert _found(units)["service_restarts_total{shop,shop-worker@.service}"] == 3
    shown[:] = [block("shop-worker@r2.1.service", restarts=1)]
    assert _found(units)["service_restarts_total{shop,shop-worker@.service}"] == 4
    assert _found(units)["service_restarts_total{shop,shop-worker@.service}"] == 4


def test_unit_that_systemd_does_not_know_is_not_active(shown: list[str], units: Units) -> None:
    """The output has no block for it."""
    shown[:] = ["odd\n\n=\n"]
    assert _found(units)["service_active{shop,shop.service}"] == 0
