"""A machine is lost with all that was on it. A new one gets its place and what users have entrusted to it."""

from __future__ import annotations

import os
import subprocess

from conftest import INVENTORY, keeper

from tests.harness.connections import ROOT, hang_up
from tests.harness.deploys import run

RUNS_LAST = True
NAME = "keeper13"
PASSPHRASE = "not-a-secret-in-a-lab"


def test_a_new_machine_needs_the_inventory_and_the_repository_alone() -> None:
    """Whatever number its users have; and no run of it says the passphrase, at whatever length."""
    notes = keeper(NAME)
    notes.delete_all()
    notes.write("one", "two", "three")
    notes.upload("picture.txt", "a picture")
    notes.save()
    hang_up(NAME)
    subprocess.run(
        [ROOT / "lab/podman", "rm", "--force", "--time", "0", NAME], check=True, capture_output=True
    )
    started = subprocess.run(
        ["ansible-playbook", "-i", INVENTORY, ROOT / "lab/up.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
    )
    assert started.returncode == 0, started.stdout
    notes = keeper(NAME)
    notes.host.check_output("useradd --system shifts-the-numbers")
    site = run(INVENTORY, "site", ["--limit", NAME, "-vvv", "--diff"])
    assert not site.failed, site.output
    assert notes.read() == []
    restored = run(INVENTORY, "restore", ["--limit", NAME, "-vvv"], confirm="yes")
    assert not restored.failed, restored.output
    assert notes.read() == ["one", "two", "three"]
    assert notes.served("picture.txt") == (200, "a picture")
    assert PASSPHRASE not in site.output + restored.output
