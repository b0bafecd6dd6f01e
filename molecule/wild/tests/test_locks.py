"""Locks of several tools: kept as they are, and refused when they no longer match their project."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.harness.deploys import ROOT, run
from tests.harness.repository import AUTHOR, replace

INVENTORY = Path(__file__).resolve().parents[1] / "inventory"
REFUSALS = {
    "poetry": ("pyproject.toml", "pyproject.toml changed significantly since poetry.lock was last generated"),
    "pdm": ("pyproject.toml", "Lockfile doesn't satisfy the project requirements"),
    "pipenv": ("Pipfile", "Pipfile.lock is out-of-date"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_lock_that_is_out_of_date_is_refused(host: Host, name: str) -> None:
    """In the words of its tool; what is live stays so."""
    live = host.check_output(f"readlink /srv/{name}/current")
    repository = ROOT / "build" / "wild" / name
    file, words = REFUSALS[name]
    replace(repository / file, "0.41.3", "0.41.2")
    for arguments in (
        (*AUTHOR, "commit", "--quiet", "--all", "--message=stale"),
        ("tag", "--force", "stale"),
        ("reset", "--quiet", "--hard", "HEAD~"),
    ):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    deployed = run(INVENTORY, "deploy", app=name, version="stale")
    assert deployed.failed
    assert words in deployed.output
    assert host.check_output(f"readlink /srv/{name}/current") == live


def test_what_a_list_leaves_open_is_chosen_once(host: Host) -> None:
    """All releases of the app have the same packages; a completion of another list would be none."""
    assert not run(INVENTORY, "deploy", app="half-pinned", version="second").failed
    manifests = host.check_output(
        "cat /srv/half-pinned/releases/*/.farrier.json | jq --compact-output .packages"
    )
    first, *others = map(json.loads, manifests.splitlines())
    assert {"starlette", "anyio", "idna"} <= set(first)
    assert others
    assert all(packages == first for packages in others)
