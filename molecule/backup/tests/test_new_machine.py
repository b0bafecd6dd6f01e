"""A machine is lost with all that was on it. A new one gets its place and what users have entrusted to it."""

from __future__ import annotations

import os
import subprocess

from conftest import INVENTORY, keeper, started

from tests.harness.connections import ROOT, hang_up
from tests.harness.deploys import run

RUNS_LAST = True
NAME = "keeper13"
CARRY = started("farrier-backup-wal.service")
PASSPHRASE = "not-a-secret-in-a-lab"


def test_a_new_machine_needs_the_inventory_and_the_repository_alone() -> None:
    """Whatever number its users have; and no run of it says the passphrase, at whatever length."""
    notes = keeper(NAME)
    notes.delete_all()
    notes.write("one", "two", "three")
    notes.upload("picture.txt", "a picture")
    notes.drop_rows()
    notes.write_rows("four", "five")
    notes.save()
    notes.write_rows("six")
    notes.host.check_output(CARRY)
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
    # The package in the image has made it.
    notes.host.check_output("pg_dropcluster --stop $(pg_lsclusters --no-header | cut -d' ' -f1) main")
    site = run(INVENTORY, "site", ["--limit", NAME, "-vvv", "--diff"])
    assert not site.failed, site.output
    assert (notes.read(), notes.read_rows()) == ([], [])
    restored = run(INVENTORY, "restore", ["--limit", NAME, "-vvv"], confirm="yes")
    assert not restored.failed, restored.output
    assert notes.read() == ["one", "two", "three"]
    assert notes.read_rows() == ["four", "five", "six"]
    assert notes.served("picture.txt") == (200, "a picture")
    assert PASSPHRASE not in site.output + restored.output
