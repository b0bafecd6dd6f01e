"""What the operator reads at the end of a deploy to several hosts, and where a fleet runs two releases."""

from __future__ import annotations

from typing import Any

import pytest
from farrier_fleet import failure, mixed, table

from .conftest import Play

OLD, NEW = "20261120T101500Z-3f2c1ab0", "20261121T165606Z-f9051f1a"
ROWS: list[dict[str, Any]] = [
    {"host": "web1", "from": OLD, "to": NEW, "path": "reload", "seconds": 9.04, "result": "live"},
    {"host": "web10", "from": None, "to": NEW, "path": "start", "seconds": 12, "result": "live"},
    {"host": "web2", "from": NEW, "to": NEW, "result": "unchanged"},
]
FAILED = {"host": "web3", "from": OLD, "to": NEW, "path": "restart", "seconds": 20, "result": "rolled back"}


def test_table_reads_as_intended() -> None:
    """Columns are as wide as their widest entry, numbers end in one place."""
    assert table(ROWS) == [
        "host   from                       to                         path    seconds  result",
        f"web1   {OLD}  {NEW}  reload      9.0  live",
        f"web10  -                          {NEW}  start      12.0  live",
        f"web2   {NEW}  {NEW}  -             -  unchanged",
    ]


def test_table_without_hosts_has_its_columns() -> None:
    """A deploy that reached nobody has an end, too."""
    assert table([]) == ["host  from  to  path  seconds  result"]


def test_failure_says_who_why_and_what_the_others_run() -> None:
    """The reason may have the app's own lines."""
    rows = [
        *ROWS,
        {**FAILED, "reason": "It said:\n    no such table"},
        {"host": "web4", "result": "not begun"},
    ]
    assert failure("observatory", rows) == (
        "observatory: 2 of 5 hosts failed.\n"
        f"web3: rolled back, from {OLD} to {NEW}\n"
        "    It said:\n"
        "        no such table\n"
        "web4: not begun\n"
        f"web1: live, runs {NEW}\n"
        f"web10: live, runs {NEW}\n"
        f"web2: unchanged, runs {NEW}"
    )


def test_row_without_a_result_is_a_failure() -> None:
    """A host of which nothing is known is not counted as live."""
    assert "web1: no result" in failure("observatory", [{"host": "web1"}])
    assert failure("observatory", ROWS) == ""


@pytest.mark.parametrize(
    "releases",
    [
        {},
        {"web1": None, "web2": None},
        {"web1": NEW},
        {"web1": NEW, "web2": "20261122T000000Z-f9051f1a"},
    ],
)
def test_one_version_is_not_mixed(releases: dict[str, str | None]) -> None:
    """Each host has an id of its own time for what was built there."""
    assert mixed(releases) == ""


def test_mixed_fleet_is_told_with_its_choices() -> None:
    """The part after the time says the version, hyphens in it included."""
    assert mixed({"web1": f"{OLD}-1", "web2": f"{NEW}-1"}) == (
        "The hosts do not run the same release:\n"
        f"    web1: {OLD}-1\n"
        f"    web2: {NEW}-1\n"
        "Put them on one: ansible-playbook playbooks/rollback.yml -e release=ID\n"
        "Or deploy over it: add -e mixed=accept"
    )


def test_host_without_a_release_cannot_go_back() -> None:
    """A machine that has just joined is deployed to."""
    message = mixed({"web1": NEW, "web2": None})
    assert "    web2: none\n" in message
    assert "rollback" not in message
    assert "mixed=accept" in message


PLAYBOOK = """
- name: A deploy has ended
  hosts: web
  gather_facts: false
  tasks:
    - name: Summed up
      release_summary:
        app: observatory
        rows: "{{ rows }}"
      register: summary
    - name: Shown
      ansible.builtin.debug:
        msg: "{{ summary.lines }}"
      run_once: true
"""
# Nothing listens there: a connection would fail.
HOSTS = "web: {hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 1}, web2: {}}}\n"


def test_summary_is_made_once_without_a_connection(run_playbook: Play) -> None:
    """The hosts may be gone by then."""
    rows = f"{{rows: [{{host: web1, from: {OLD}, to: {NEW}, result: %s, reason: It said no}}]}}"
    run = run_playbook(PLAYBOOK, "-e", rows % "live", hosts=HOSTS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"web1  {OLD}  {NEW}  -           -  live" in run.stdout
    run = run_playbook(PLAYBOOK, "-e", rows % "failed", hosts=HOSTS)
    assert run.returncode != 0
    assert run.stdout.count("fatal: [") == 1
    assert "observatory: 1 of 1 hosts failed." in run.stdout
    assert "It said no" in run.stdout
