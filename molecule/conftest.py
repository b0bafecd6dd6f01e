"""What the tests of every scenario share: the hosts of the scenario's inventory, reached over SSH as root."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from tests.harness.connections import reached

ROOT = Path(__file__).resolve().parents[1]


@functools.cache
def inventory(scenario: Path) -> dict[str, Any]:
    """Return the scenario's inventory as `ansible-inventory --list` prints it."""
    listed = subprocess.run(
        ["ansible-inventory", "--inventory", str(scenario / "inventory"), "--list"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(listed.stdout)


def scenario_of(path: Path) -> Path:
    """Return the scenario's directory of a test file."""
    return next(parent for parent in path.parents if (parent / "molecule.yml").exists())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `host` on every host of the group that its module names in `GROUP`."""
    if "host" in metafunc.fixturenames:
        group = getattr(metafunc.module, "GROUP", "app")
        names = inventory(scenario_of(metafunc.definition.path))[group]["hosts"]
        metafunc.parametrize("host", names, indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of modules that say `RUNS_LAST = True` behind all others; pytest then sorts by host."""
    items.sort(key=lambda item: getattr(getattr(item, "module", None), "RUNS_LAST", False))


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> Host:
    """Return one host of the module's group."""
    return reached(request.param)


@pytest.fixture
def variables(request: pytest.FixtureRequest, host: Host) -> dict[str, Any]:
    """Return the host's inventory variables; values that are templates come as they are written."""
    name = request.node.callspec.params["host"]
    return inventory(scenario_of(request.path))["_meta"]["hostvars"][name]
