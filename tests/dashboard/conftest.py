"""What the tests share: a browser, and Prometheus with one fleet or another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.browser import Page, browser

from . import fleets
from .prometheus import prometheus

NASTY_APP = """<b>"x" & 'é'</b>"""
NASTY_RELEASE = """20261128T010000Z-<i>v2"'\\</i>"""
NOTICE: dict[str, Any] = {"alert": "ReleaseLive", "expr": "vector(1)", "labels": {"severity": "notice"}}
HOST_DOWN: dict[str, Any] = {
    "alert": "HostDown",
    "expr": 'up{job="node"} == 0',
    "labels": {"severity": "page"},
    "annotations": {
        "summary": "<u>{{ $labels.instance }}</u> does not answer.",
        "runbook_url": "javascript:alert(1)",
    },
}
APP_DOWN: dict[str, Any] = {
    "alert": "AppDown",
    "expr": "vector(1)",
    "labels": {"severity": "page", "app": "alpha", "instance": "app2", "url": "https://alpha.example.org/"},
}


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of a browser."""
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, float]]:
    """Seven hosts, behind a prefix as of a proxy; the address, and the moment for which they were made."""
    now = time.time()
    directory = tmp_path_factory.mktemp("few")
    rules = [fleets.WATCHDOG, fleets.CERTIFICATE_ENDS]
    with prometheus(directory, fleets.few(now).samples, rules, prefix="/some/prefix") as address:
        yield address, now


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Fifty hosts with ten apps each, some of whose names want to be HTML."""
    names = ["alpha", NASTY_APP, *(f"app-{number}" for number in range(7)), "omega"]
    fleet = fleets.crowd(time.time(), names, NASTY_RELEASE)
    rules = [fleets.WATCHDOG, NOTICE, HOST_DOWN, APP_DOWN]
    with prometheus(tmp_path_factory.mktemp("crowd"), fleet.samples, rules) as address:
        yield address


@pytest.fixture
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """One host with nothing on it, and the rules of the test's parameter."""
    fleet = fleets.Fleet(time.time(), 5 * fleets.MINUTE)
    fleet.host("only")
    with prometheus(tmp_path, fleet.samples, request.param) as address:
        yield address
