"""What the roles know of a host."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.unit.playbooks import Play

PLAYBOOK = """
- name: Ask
  hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: Gather facts both ways
      farrier.kit.host_facts:

    - name: Gather Ansible's own
      ansible.builtin.setup:
        gather_subset: ["!all", "!min", distribution, hardware]

    - name: Show both
      ansible.builtin.debug:
        msg: "{{ ansible_facts | to_json }}"
"""


@pytest.fixture
def host_facts(load_plugin: Callable[[str, str], ModuleType]) -> ModuleType:
    """Return the module."""
    return load_plugin("modules", "host_facts")


def test_facts_are_those_of_ansible(run_playbook: Play) -> None:
    """Workers are counted by them: another number would restart apps."""
    run = run_playbook(PLAYBOOK, ANSIBLE_CALLBACK_RESULT_FORMAT="json")
    assert run.returncode == 0, run.stdout + run.stderr
    line = next(line for line in run.stdout.splitlines() if '"msg":' in line)
    facts = json.loads(json.loads("{" + line + "}")["msg"])
    own = facts["farrier_host"]
    assert own["memory_mb"] == facts["memtotal_mb"]
    assert own["vcpus"] == facts["processor_vcpus"]
    assert own["version"].split(".")[0] == facts["distribution_major_version"]
    assert own["distribution"] == facts["distribution"].lower()
    root = next(mount for mount in facts["mounts"] if mount["mount"] == "/")
    assert own["free_disk_mb"] == pytest.approx(root["size_available"] / 2**20, rel=0.05)
    assert own["homes"]["root"] == "/root"


def test_distribution_is_read_as_a_shell_would(host_facts: ModuleType) -> None:
    """With and without quotes."""
    text = '# a comment\nNAME="Debian GNU/Linux"\n\nID=debian\nVERSION_ID="12"\n'
    assert host_facts.os_release(text) == {"NAME": "Debian GNU/Linux", "ID": "debian", "VERSION_ID": "12"}


def test_a_server_is_a_replica_by_the_file_that_a_promotion_removes(
    host_facts: ModuleType, tmp_path: Path
) -> None:
    """One that was never started is neither: it has no data."""
    assert host_facts.postgresql_role(tmp_path) == ""
    (tmp_path / "postmaster.opts").touch()
    assert host_facts.postgresql_role(tmp_path) == "primary"
    (tmp_path / "standby.signal").touch()
    assert host_facts.postgresql_role(tmp_path) == "replica"


def test_prometheus_has_what_is_free_and_what_it_has_taken(
    host_facts: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a disk that it fills as it may would be too small one day."""
    free = SimpleNamespace(f_bavail=100, f_frsize=2**20)
    monkeypatch.setattr(host_facts.os, "statvfs", lambda path: free)
    data = tmp_path / "metrics2"
    assert host_facts.prometheus_disk_mb(data) == 100
    (data / "block").mkdir(parents=True)
    (data / "block" / "chunk").write_bytes(os.urandom(5 * 2**20))
    assert host_facts.prometheus_disk_mb(data) == 105
