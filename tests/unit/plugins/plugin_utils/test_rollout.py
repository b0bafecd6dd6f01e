"""Who goes on, who is left out and who runs what, from what the tasks of a deploy have registered."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.plugins.action import ActionBase
from ansible_collections.farrier.kit.plugins.plugin_utils.rollout import (
    PHASES,
    Choices,
    hosts_drained,
    hosts_to_drain,
    parts,
    problems,
    row,
    soak_failure,
)

from tests.unit.playbooks import ROOT, Play

OLD, OLDER, NEW = "20261120T101500Z-old", "20261101T000000Z-older", "20261121T165606Z-new"
CAREFUL = Choices()
SKIPPED = {"changed": False, "skipped": True}
BEGUN = {"__release_begin": {"new": True, "token": "t", "release": NEW, "from": OLD}}
LIVE = {
    **BEGUN,
    "__release_activation": {"changed": True, "how": "reload", "phases": {"build": 1.5, "activate": 2.0}},
}
FAILED = {**BEGUN, "__release_preparation": {"changed": False, "problem": "no compiler"}}
UNDONE = {**BEGUN, "__release_activation": {"changed": False, "problem": "did not go live"}}
GONE = {"__release_begin": {"problem": "app2: timed out", "unreachable_host": True}}
UNCHANGED = {"__release_begin": {"new": False, "release": NEW}, "__release_activation": SKIPPED}
OF_BOTH = {
    "item": {"key": "edge1", "value": ["app1", "app2"]},
    "changed": True,
    "drained_by_us": ["app1", "app2"],
}
OF_APP2 = {"item": {"key": "edge2", "value": ["app2"]}, "changed": False, "problem": "0 hosts would serve"}
REFUSED = {
    **BEGUN,
    "inventory_hostname": "app2",
    "__release_drain": {"results": [OF_BOTH, OF_APP2]},
}
NOT_REFUSED = {**REFUSED, "inventory_hostname": "app1"}
LEFT_OUT = {
    "inventory_hostname": "app1",
    "__release_rotation": {
        "results": [
            {"item": {"key": "edge1", "value": ["app1"]}, "changed": True},
            {"item": {"key": "edge2", "value": ["app1"]}, "changed": False, "problem": "edge2 is away"},
        ]
    },
}


def test_the_first_host_of_a_platform_builds_for_the_others() -> None:
    """The first of all migrates, one of an unknown platform builds its own, and some have nothing to do."""

    def begun(platform: str | None, app: str = "shop") -> dict[str, Any]:
        return {"__release_begin": {"new": True, "app": app, "platform": platform}}

    hosts = {
        "has-it": UNCHANGED,
        "elsewhere": begun("x", app="blog"),
        "away": GONE,
        "app1": begun("x"),
        "app2": begun("y"),
        "app3": begun("x"),
        "app4": begun(None),
        "app5": begun(None),
        "without": {},
    }
    assert parts(hosts, "shop") == {
        "app1": {"builder": "app1", "is_shared": True, "migrates": True},
        "app2": {"builder": "app2", "is_shared": False, "migrates": False},
        "app3": {"builder": "app1", "is_shared": True, "migrates": False},
        "app4": {"builder": "app4", "is_shared": False, "migrates": False},
        "app5": {"builder": "app5", "is_shared": False, "migrates": False},
    }


@pytest.mark.parametrize("host", [LIVE, BEGUN, UNCHANGED, {}])
def test_hosts_without_a_problem_go_on(host: dict[str, Any]) -> None:
    """What a host has skipped is no problem of it, nor is what it has not reached."""
    assert problems({"app1": LIVE, "app2": host}, CAREFUL, ["app2"]) == {}


def test_a_host_whose_turn_has_passed_has_to_be_done() -> None:
    """Ansible goes on with the next batch when it loses a host of this one."""
    assert list(problems({"app1": BEGUN, "app2": BEGUN}, CAREFUL, ["app2"])) == ["app1"]
    assert list(problems({"app1": LIVE, "app2": BEGUN}, CAREFUL)) == ["app2"]
    assert problems({"app1": LIVE, "app2": UNCHANGED}, CAREFUL) == {}


@pytest.mark.parametrize(
    ("host", "told"), [(FAILED, "no compiler"), (UNDONE, "did not go live"), (REFUSED, "0 hosts would serve")]
)
def test_one_problem_stops_them_all(host: dict[str, Any], told: str) -> None:
    """A release that is bad on one host is bad."""
    assert problems({"app1": LIVE, "app2": host}, CAREFUL) == {"app2": told}


def test_what_an_edge_says_is_of_the_hosts_that_it_was_asked_about() -> None:
    """It answers once for all of them, and each of a batch has all answers."""
    assert list(problems({"app1": NOT_REFUSED, "app2": REFUSED}, CAREFUL)) == ["app2"]


def test_edges_do_without_those_that_restart() -> None:
    """One change of each edge, however many hosts there are; and those alone come back that were taken."""
    hosts = {
        "app1": {"__release_leaves": ["edge1"]},
        "app2": {"__release_leaves": ["edge1", "edge2"]},
        "app3": {},
    }
    assert hosts_to_drain(hosts) == {"edge1": ["app1", "app2"], "edge2": ["app2"]}
    theirs = {"item": OF_BOTH["item"], "drained_by_us": ["app2"]}
    answers = {"__release_drain": {"results": [theirs, OF_APP2]}}
    hosts = {name: {**host, **answers, "inventory_hostname": name} for name, host in hosts.items()}
    assert hosts_drained(hosts) == {"edge1": ["app2"]}
    assert hosts_drained({"app1": {**hosts["app1"], "__release_drain": SKIPPED}}) == {}


def test_the_first_problem_of_a_host_is_the_one_that_is_told() -> None:
    """The others may be what it has led to."""
    host = {**FAILED, "__release_soak": {"problem": "nothing is live"}}
    assert problems({"app1": host}, CAREFUL) == {"app1": "no compiler"}


def test_each_phase_that_reports_is_looked_at() -> None:
    """A problem that is registered under a name that nobody looks at would stop nobody."""
    registered = {"soak"}  # a variable, since it is the outcome of two tasks
    for path in (ROOT / "roles" / "release" / "tasks").glob("*.yml"):
        for task in yaml.safe_load(path.read_text()) or []:
            arguments = task.get("farrier.kit.release_phase") or task.get("farrier.kit.release_copy") or {}
            if (
                "release_defer_failure" in str(arguments.get("defer_failure"))
                or "farrier.kit.nginx_upstream_member" in task
            ):
                registered.add(task.get("register", "").removeprefix("__release_"))
    assert registered - {""} == set(PHASES)


def test_a_host_that_an_edge_does_not_take_back_is_a_problem() -> None:
    """It runs the release and nobody asks it: the next host out would be the second one."""
    found = problems({"app1": {**LIVE, **LEFT_OUT}, "app2": BEGUN}, CAREFUL, ["app2"])
    assert found == {
        "app1": "edge2 is away\nNext: ansible-playbook farrier.kit.drain -e host=app1 -e drain=off"
    }


def test_a_host_that_does_not_answer_is_left_out_only_when_that_was_said() -> None:
    """It would come back with the old release, and the operator has to know."""
    found = problems({"app1": BEGUN, "app2": GONE}, CAREFUL)
    assert found["app2"].splitlines()[0] == "app2: timed out"
    assert "-e unreachable=skip" in found["app2"]
    assert problems({"app1": LIVE, "app2": GONE}, Choices(skip_unreachable=True)) == {}
    assert row("app2", GONE, Choices(skip_unreachable=True))["result"] == "skipped"
    lost = {**BEGUN, "__release_activation": {"problem": "lost", "unreachable_host": True}}
    assert problems({"app2": lost}, Choices(skip_unreachable=True)) == {"app2": "lost"}


def test_hosts_with_different_releases_are_deployed_to_only_when_that_was_said() -> None:
    """Going back would take them to different ones again."""
    other = {"__release_begin": {**BEGUN["__release_begin"], "from": OLDER}}
    assert OLDER in problems({"app1": BEGUN, "app2": other}, CAREFUL)[""]
    found = problems({"app1": BEGUN, "app2": other, "app3": FAILED}, CAREFUL)
    assert list(found) == ["", "app3"]
    assert problems({"app1": BEGUN, "app2": other}, Choices(accept_mixed=True), ["app1", "app2"]) == {}
    # A deploy that was cut short goes on where it was.
    assert problems({"app1": UNCHANGED, "app2": other}, CAREFUL, ["app1", "app2"]) == {}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (LIVE, (OLD, NEW, "reload", 3.5, "live")),
        ({**LIVE, "__release_return": {"changed": True}}, (OLD, OLD, "reload", 3.5, "rolled back")),
        ({**LIVE, "__release_return": {"problem": "x"}}, (OLD, NEW, "reload", 3.5, "NOT ROLLED BACK")),
        ({**LIVE, **LEFT_OUT}, (OLD, NEW, "reload", 3.5, "STILL DRAINED")),
        (
            {**LIVE, **LEFT_OUT, "__release_return": {"changed": True}},
            (OLD, OLD, "reload", 3.5, "STILL DRAINED"),
        ),
        (FAILED, (OLD, OLD, "-", 0, "failed")),
        (UNDONE, (OLD, OLD, "-", 0, "failed")),
        (BEGUN, (OLD, OLD, "-", 0, "not reached")),
        (UNCHANGED, (NEW, NEW, "-", 0, "unchanged")),
        # A rollback that another host has ended.
        ({"__release_plan": {"check": True, "how": "restart"}}, (None, None, "-", 0, "not reached")),
        (
            {"__release_activation": {"changed": True, "how": "restart", "release": OLDER, "from": OLD}},
            (OLD, OLDER, "restart", 0, "live"),
        ),
        (
            {"__release_activation": {"check": True, "how": "reload", "release": OLDER, "from": OLD}},
            (OLD, OLDER, "reload", 0, "would go live"),
        ),
    ],
)
def test_row_says_what_the_host_runs_at_the_end(host: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """The table is all that is left of the night."""
    found = row("app1", host, CAREFUL)
    assert found.pop("host") == "app1"
    assert tuple(found.values()) == expected


EDGES = [
    {"requests": 300, "app_errors": 2, "edge_errors": 0},
    {"requests": 100, "app_errors": 1, "edge_errors": 1},
    {},
]


@pytest.mark.parametrize(
    ("live", "most", "told"),
    [
        (NEW, None, ""),
        (NEW, 1.0, ""),
        (NEW, 0.9, "of 400 requests while it was watched, the app answered 3 with"),
        (NEW, 0.9, "gave no answer to 1 (502 or 504 from nginx); release_error_percent_max is 0.9"),
        (OLD, None, f"{NEW} did not stay live; {OLD} is live"),
        (None, 100.0, "nothing is live"),
    ],
)
def test_a_batch_that_was_watched_has_to_be_good(live: str | None, most: float | None, told: str) -> None:
    """Errors of all edges count together, since clients do not choose theirs."""
    found = soak_failure(EDGES, NEW, live, most)
    assert told in found
    assert bool(found) == bool(told)
    assert soak_failure([], NEW, NEW, 0.0) == ""


PLAYBOOK = """
- name: End a deploy
  hosts: all
  strategy: linear
  gather_facts: false
  tasks:
    - name: Evaluate the outcome
      farrier.kit.release_outcome:
        final: true
"""
SUMMARY = """
- name: End a deploy
  hosts: all
  strategy: linear
  gather_facts: false
  tasks:
    - name: Fail the deploy
      ansible.builtin.import_role: {name: farrier.kit.release, tasks_from: summary}
      vars:
        release_app: {name: shop}
"""
HOSTS = "all: {hosts: {app1: {__release_begin: {new: true, release: %s, from: %s%s}}, other: {}}}\n"


def test_outcome_is_a_table_and_a_failure_when_it_is_one(run_playbook: Play) -> None:
    """Told once, without a connection: the hosts may be gone by then. One without the app is not in it."""
    run = run_playbook(PLAYBOOK, hosts=HOSTS % (NEW, OLD, ", problem: the disk is full"))
    assert run.returncode != 0
    assert run.stdout.count("fatal: [") == 1
    assert "app1: the disk is full" in run.stdout
    assert "app1  " in run.stdout
    assert "other  " not in run.stdout.split("PLAY RECAP")[0]
    hosts = HOSTS.replace("new: true", "new: false") % (NEW, OLD, "")
    hosts = hosts.replace("other: {}", "app2: {__release_begin: {new: false}}")
    for callback in ("farrier.kit.farrier", "default"):
        run = run_playbook(SUMMARY, "--check", hosts=hosts, ANSIBLE_STDOUT_CALLBACK=callback)
        assert run.returncode == 0, run.stdout + run.stderr
        assert run.stdout.count(f"app1  {NEW}  {NEW}  -         0.0  unchanged") == 1


Outcome = Callable[..., dict[str, Any]]


@pytest.fixture
def outcome(
    load_plugin: Callable[[str, str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Return a function that runs `release_outcome` for hosts with these variables."""
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})
    plugin = load_plugin("action", "release_outcome")

    def run(hosts: dict[str, Any], **arguments: bool) -> dict[str, Any]:
        action = plugin.ActionModule.__new__(plugin.ActionModule)
        action._task = SimpleNamespace(args=arguments)
        # Ansible takes hosts that have failed out of `ansible_play_hosts`.
        names = {"ansible_play_hosts_all": list(hosts), "ansible_play_hosts": list(hosts)[:1]}
        return dict(action.run(task_vars={**names, "hostvars": SimpleNamespace(raw_get=hosts.get)}))

    return run


def test_hosts_are_tidied_up_before_the_end_is_told(outcome: Outcome) -> None:
    """A task that failed at once would leave leases behind, and hosts with the bad release."""
    found = outcome({"app1": LIVE, "app2": UNDONE})
    assert found["troubled"] is True
    assert found.keys() == {"troubled", "lines"}
    assert [line.split()[-1] for line in found["lines"]] == ["result", "live", "failed"]


def test_the_end_names_who_has_which_problem_and_what_runs_where(outcome: Outcome) -> None:
    """Of all hosts, and the table below: it is what the operator goes on from."""
    other = {"__release_begin": {**BEGUN["__release_begin"], "from": OLDER}}
    found = outcome({"app1": BEGUN, "app2": other, "app3": FAILED}, final=True)
    lines = found["msg"].splitlines()
    assert found["failed"] is True
    assert lines[0].startswith("all hosts: The hosts do not run the same release")
    assert "app3: no compiler" in lines
    assert lines[-4:] == found["lines"]
    assert outcome({"app1": BEGUN, "app2": other}, final=True, accept_mixed=True)["troubled"] is True
    assert "all hosts" not in outcome({"app1": BEGUN, "app2": other}, final=True, accept_mixed=True)["msg"]


def test_what_went_well_is_no_failure_at_the_end(outcome: Outcome) -> None:
    """The table has a line for each host that has the app."""
    found = outcome({"app1": LIVE, "app2": LIVE, "other": {}}, final=True)
    assert not found["troubled"]
    assert len(found["lines"]) == 3


UNREACHABLE_PLAYBOOK = """
- name: Begin a deploy
  hosts: all
  strategy: ansible.builtin.linear
  gather_facts: false
  tasks:
    - name: Acquire the lease
      farrier.kit.release_phase: {app: shop, phase: status, defer_failure: true}
      register: __release_begin
    - name: Show the outcome
      farrier.kit.release_outcome:
        skip_unreachable: "{{ skip }}"
        final: true
"""
# Nothing listens there.
UNREACHABLE = "all: {hosts: {app1: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_ssh_retries: 0}}}\n"


def test_a_host_that_does_not_answer_is_a_problem_and_not_the_end(run_playbook: Play) -> None:
    """Ansible would go on without it, and say so at the end."""
    run = run_playbook(
        UNREACHABLE_PLAYBOOK,
        "-e",
        "skip=false",
        hosts=UNREACHABLE,
        ANSIBLE_STDOUT_CALLBACK="farrier.kit.farrier",
    )
    assert "[Acquire the lease] PROBLEM on app1" in run.stdout
    assert run.returncode != 0
    assert "shop: status: " in run.stdout
    assert "bring app1 back" in run.stdout
    run = run_playbook(UNREACHABLE_PLAYBOOK, "-e", "skip=true", hosts=UNREACHABLE)
    assert run.returncode == 0, run.stdout + run.stderr
