"""A host that does not answer: the others are looked after, and nobody overlooks it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = Path(__file__).resolve().parents[1]
RUN_SECONDS = 300.0
UNREACHABLE = 4


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Return an inventory that adds a host to the scenario's, at an address of the lab that nobody has."""
    ghost = {
        "ansible_host": "10.77.77.29",
        "ansible_timeout": 5,
        "lab_edge_domains": ["a.lab.test", "b.lab.test"],
    }
    groups = {name: {"hosts": {"ghost": ghost}} for name in ("app", "edge")}
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"children": groups}}))
    return path


def run(inventory: Path, playbook: str, *options: str) -> tuple[int, str]:
    """Run a playbook against the scenario's inventory and another one; return its exit status and output."""
    done = subprocess.run(
        [
            "ansible-playbook",
            f"--inventory={SCENARIO / 'inventory'}",
            f"--inventory={inventory}",
            *options,
            playbook,
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_SECONDS,
    )
    return done.returncode, done.stdout


def tasks_that_ran(output: str) -> dict[str, int]:
    """Return how many tasks were ok on each host, as the recap says."""
    return {host: int(count) for host, count in re.findall(r"^(\S+) +: ok=(\d+)", output, re.MULTILINE)}


def test_status_reports_the_others(inventory: Path, tmp_path: Path) -> None:
    """At night, when a host is down, it is the others of which one has to know."""
    file = tmp_path / "status.json"
    returncode, output = run(inventory, "playbooks/status.yml", f"--extra-vars=release_status_file={file}")
    assert returncode == UNREACHABLE, output
    assert "On debian12\n" in output
    assert "On debian13\n" in output
    assert "No answer from: ghost." in output
    assert set(json.loads(file.read_text())) == {"debian12", "debian13"}


def test_site_goes_on_where_it_is_told_to(inventory: Path) -> None:
    """A host in repair must not keep the others from what the inventory says; by default it stops the run."""
    options = ["--check", "--tags=base"]
    returncode, output = run(inventory, "site.yml", *options)
    assert returncode == UNREACHABLE, output
    stopped = tasks_that_ran(output)
    returncode, output = run(inventory, "site.yml", *options, "--extra-vars=unreachable=skip")
    assert returncode == UNREACHABLE, output
    went_on = tasks_that_ran(output)
    assert all(went_on[host] > stopped[host] + 5 for host in ("debian12", "debian13")), (stopped, went_on)
