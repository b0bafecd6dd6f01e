"""First releases of several apps on several hosts, in one run of site.yml."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from tests.unit.playbooks import run_in

ROLE = Path(__file__).resolve().parents[4] / "roles/release"
TASKS = ROLE / "tasks/first_app.yml"
HOSTS = """
all:
  vars: {ansible_connection: local}
  hosts:
    web1: {missing: [bad, good]}
    web2: {missing: [other, another]}
"""
DEPLOY = [
    {
        "name": "Deploy",
        "ansible.builtin.debug": {"msg": "{{ inventory_hostname }} got {{ __release_first }}"},
        "failed_when": "__release_first == 'bad'",
    }
]


def test_an_app_that_does_not_start_stops_none_of_another_host(tmp_path: Path) -> None:
    """Hosts may have different apps, and the play stops all of them when a task fails elsewhere."""
    shutil.copy(TASKS, tmp_path)
    (tmp_path / "deploy.yml").write_text(yaml.safe_dump(DEPLOY))
    include = {
        "name": "Deploy the first release of each app that has none",
        "ansible.builtin.include_tasks": TASKS.name,
        "loop": "{{ missing }}",
        "loop_control": {"loop_var": "__release_first"},
    }
    said = "{{ inventory_hostname }} lacks {{ release_not_started | default([]) | join }}"
    play = {
        "name": "Configure and start the apps",
        "hosts": "all",
        "gather_facts": False,
        "any_errors_fatal": True,
        "tasks": [include, {"name": "Say what is missing", "ansible.builtin.debug": {"msg": said}}],
    }
    run = run_in(tmp_path, yaml.safe_dump([play]), hosts=HOSTS)
    for text in ("web1 got good", "web2 got other", "web2 got another", "web1 lacks bad", "web2 lacks"):
        assert text in run.stdout, run.stdout + run.stderr


def test_a_host_builds_the_app_that_no_other_host_has(tmp_path: Path) -> None:
    """Though another one, of the same platform, has built an app of its own just before."""
    begun = "{{ {'new': true, 'platform': 'x', 'app': 'shop' if inventory_hostname == 'web1' else 'blog'} }}"
    tasks = yaml.safe_load((ROLE / "tasks/acquire_lease.yml").read_text())
    choose = next(task for task in tasks if task["name"].startswith("Choose"))
    play = {
        "name": "Choose who builds",
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROLE / "vars/main.yml")],
        "vars": {"release_app": {"name": "blog"}},
        "tasks": [
            {"name": "Begin", "ansible.builtin.set_fact": {"__release_begin": begun, "cacheable": False}},
            choose,
            {
                "name": "Say",
                "ansible.builtin.debug": {"msg": "{{ inventory_hostname }} has {{ __release_part }}"},
            },
        ],
    }
    run = run_in(tmp_path, yaml.safe_dump([play]), "--limit", "web1,web2", hosts=HOSTS)
    assert "web1 has {}" in run.stdout, run.stdout + run.stderr
    assert "web2 has {'builder': 'web2', 'is_shared': False, 'migrates': True}" in run.stdout, run.stdout
