"""The controller's half: who holds a lease, and what an operator reads when a phase fails."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.farrier.kit.plugins.action import release_phase
from ansible_collections.farrier.kit.plugins.plugin_utils import controller_process, release_tool


def test_a_living_process_is_not_gone() -> None:
    """This one."""
    assert controller_process.is_gone(controller_process.describe(os.getpid())) is False


def test_a_dead_process_is_gone() -> None:
    """Killed, and buried."""
    with subprocess.Popen(["sleep", "60"]) as process:
        described = controller_process.describe(process.pid)
        assert controller_process.is_gone(described) is False
        process.kill()
    assert controller_process.is_gone(described) is True


def test_a_zombie_is_gone() -> None:
    """A parent that does not look after its children must not lock everybody out."""
    process = subprocess.Popen(["sleep", "60"])
    described = controller_process.describe(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert controller_process.is_gone(described) is True
    process.wait()


@pytest.mark.parametrize("changes", [{"boot": "another"}, {"started": "1"}])
def test_another_process_of_the_same_number_is_another(changes: dict[str, Any]) -> None:
    """After a reboot, or when the numbers have come round."""
    assert controller_process.is_gone({**controller_process.describe(os.getpid()), **changes}) is True


@pytest.mark.parametrize("owner", [{}, {"machine": "elsewhere", "pid": 1}])
def test_of_another_machine_nobody_can_tell(owner: dict[str, Any]) -> None:
    """It is left alone until its time is up."""
    assert controller_process.is_gone(owner) is False


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, ""),
        ({"CI_JOB_URL": "https://git.example.org/shop/-/jobs/7"}, "https://git.example.org/shop/-/jobs/7"),
        ({"BUILD_URL": "https://ci.example.org/job/shop/7/"}, "https://ci.example.org/job/shop/7/"),
        (
            {
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_REPOSITORY": "ann/shop",
                "GITHUB_RUN_ID": "7",
            },
            "https://github.com/ann/shop/actions/runs/7",
        ),
    ],
)
def test_the_job_of_a_runner(environment: dict[str, str], address: str) -> None:
    """The machine's name of a runner that is gone says nothing; its job still has a log."""
    assert controller_process.job_address(environment) == address


CALLER = {"who": "ann", "owner": {"pid": 1}}


def arguments(**changes: Any) -> dict[str, Any]:
    """Arguments of the task."""
    return {
        "app": "shop",
        "archive": {
            "sha256": "aa",
            "version": "v1",
            "project": {"lock": {}},
            "seconds": 0.1,
            "path": "/secret",
        },
        "release_stamp": "20261121T165606Z",
        "lease": "token",
        "release": "",
        "force": False,
        "undo": False,
        "migrate": False,
        "wait_seconds": 3600,
        "upload_to": "",
        "inventory": {"python": "3.13", "subdir": "web"},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"phase": "prepare"}, ["prepare", "--json", "--token", "token"]),
        ({"phase": "prepare", "migrate": True}, ["prepare", "--json", "--token", "token", "--migrate"]),
        ({"phase": "status"}, ["status", "--json"]),
        ({"phase": "measure", "path": "/items"}, ["measure", "--json", "--path", "/items"]),
        ({"phase": "unlock"}, ["unlock", "--json"]),
        ({"phase": "restart"}, ["restart", "--json", "--owner", '{"pid": 1}', "--who", "ann"]),
        ({"phase": "unlock", "force": True}, ["unlock", "--json", "--force"]),
        (
            {"phase": "rollback", "release": "r1", "force": True},
            [
                *("rollback", "--json", "--release", "r1"),
                *("--owner", '{"pid": 1}', "--who", "ann", "--force"),
            ],
        ),
        (
            {"phase": "rollback", "undo": True},
            ["rollback", "--json", "--owner", '{"pid": 1}', "--who", "ann", "--undo"],
        ),
    ],
)
def test_the_command_of_a_phase(changes: dict[str, Any], expected: list[str]) -> None:
    """As the tool on the host understands it."""
    argv = release_phase.command(arguments(**changes), CALLER, check=False)
    assert argv == [release_tool.TOOL, "--app", "shop", *expected]


@pytest.mark.parametrize("phase", ["rollback", "unlock"])
def test_a_phase_is_foreseen_in_check_mode(phase: str) -> None:
    """The host says what it would do, and does nothing."""
    argv = release_phase.command(arguments(phase=phase), CALLER, check=True)
    assert argv[-1] == "--check"


def test_the_request_of_begin() -> None:
    """What the host needs, and nothing about the controller's files."""
    argv = release_phase.command(arguments(phase="begin"), CALLER, check=True)
    assert argv[-1] == "--check"
    request = json.loads(argv[-2])
    assert request["wait_seconds"] == 3600
    assert request["release_stamp"] == "20261121T165606Z"
    assert request["inventory"] == {"python": "3.13", "subdir": "web"}
    assert request["settings"] == "stdin"
    assert (request["who"], request["owner"], request["archive_sha256"]) == ("ann", {"pid": 1}, "aa")
    assert "/secret" not in argv[-2]


def test_settings_go_by_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on a host may read command lines, and secrets are among the settings."""
    action = release_phase.ActionModule.__new__(release_phase.ActionModule)
    given: list[tuple[str, bytes]] = []

    def execute(command: str, in_data: bytes, executable: str) -> dict[str, Any]:
        given.append((command, in_data))
        return {"rc": 0, "stdout": '{"phase": "begin", "new": false}', "stderr": ""}

    monkeypatch.setattr(action, "_low_level_execute_command", execute)
    action._host, action._connection = "app1", SimpleNamespace(reset=None)
    action._task = SimpleNamespace(check_mode=False)
    settings = {"environment": {"KEY": "hunter2"}}
    action._phase(arguments(phase="deploy", settings=settings), check=False)
    assert [json.loads(data) for _, data in given] == [settings]
    assert not any("hunter2" in command for command, _ in given)


def test_what_came_of_a_phase() -> None:
    """What the tool says is what Ansible is told."""
    told = release_tool.outcome("shop", "build", 0, '{"changed": true}', "one\ntwo\n", check=False)
    assert told == {"changed": True}


def test_a_phase_without_a_result() -> None:
    """Killed, or not even started: what there is of its words is shown."""
    told = release_tool.outcome("shop", "build", 137, "", "Killed\n", check=False)
    assert told["failed"]
    assert told["msg"] == "shop: build ended with exit code 137 and no result:\nKilled"


def test_a_host_that_was_never_prepared() -> None:
    """The deploy says what is to be run before it; check mode goes on as if it had been."""
    told = release_tool.outcome("shop", "begin", 127, "", "sh: not found", check=False)
    assert told == {
        "failed": True,
        "msg": f"{release_tool.TOOL} is not installed on this host. Next: ansible-playbook farrier.kit.site",
    }
    assert release_tool.outcome("shop", "begin", 127, "", "sh: not found", check=True)["new"] is True


def test_a_failure_of_the_tool_is_one_of_the_task() -> None:
    """With the words for people, and the rest for whoever wants more."""
    stdout = json.dumps({"failed": True, "changed": False, **failed()})
    told = release_tool.outcome("shop", "rehearse", 1, stdout, "", check=False)
    assert told["failed"]
    assert told["msg"] == release_tool.failure("shop", "rehearse", failed())


def failed(**changes: Any) -> dict[str, Any]:
    """A result of the tool."""
    error = {"message": "It does not live.", "log": ["ImportError: x"], "next_command": "deploy again"}
    return {"error": error, "live": "r1", "live_problem": "", **changes}


def test_a_failure_at_three_in_the_morning() -> None:
    """What broke, in the application's own words, what still serves, what to do next; in this order."""
    assert release_tool.failure("shop", "rehearse", failed()).splitlines() == [
        "shop: rehearse failed. It does not live.",
        "It said:",
        "    ImportError: x",
        "Still live and serving: r1",
        "Next: deploy again",
    ]


def test_a_failure_that_has_left_something_broken() -> None:
    """It must not look like the harmless ones."""
    text = release_tool.failure("shop", "activate", failed(live_problem="shop.service is not running"))
    assert "CHECK IT: r1 should be live, but shop.service is not running." in text


def test_a_failure_of_the_first_deploy() -> None:
    """There is nothing that could serve."""
    assert "No release of this app is live" in release_tool.failure("shop", "build", failed(live=None))


@pytest.mark.parametrize(("phase", "calls"), [("begin", 2), ("rollback", 2), ("unlock", 1), ("prepare", 1)])
def test_a_dead_holder_is_pushed_aside_by_who_takes_the_lease(
    phase: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other phases have no say in whose lease it is; unlock says what it finds."""
    monkeypatch.setattr(release_phase.controller_process, "is_gone", lambda owner: True)
    action = release_phase.ActionModule.__new__(release_phase.ActionModule)
    seen: list[list[str]] = []

    def call(before: str, argv: list[str], *_: object) -> dict[str, Any]:
        seen.append(argv)
        return {"holder": {"id": "1.5", "owner": {}}}

    monkeypatch.setattr(action, "_call", call)
    monkeypatch.setattr(action, "_upload", lambda arguments: "")
    action._host, action._connection = "app1", SimpleNamespace(reset=None)
    action._phase(arguments(phase=phase), check=False)
    assert len(seen) == calls
    assert all(argv[-2:] == ["--gone", "1.5"] for argv in seen[1:])


@pytest.mark.parametrize("phase", ["deploy", "prepare"])
def test_what_completed_a_list_is_kept_for_other_hosts(
    phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the archives of the sources, where the next deploy looks; it is no part of the result."""
    sha256 = "0" * 64
    completion = {"by": "r1", "sha256": sha256, "python": "3.12.4", "packages": {"dep": "1.0"}}
    found = {"changed": True, "new": True, "upload_to": "/there", "completion": completion}
    action = release_phase.ActionModule.__new__(release_phase.ActionModule)
    monkeypatch.setattr(action, "_upload", lambda arguments: "")
    action._host, action._connection = "app1", SimpleNamespace(reset=None)
    archive = {**arguments()["archive"], "path": str(tmp_path / "aa.tar.gz")}
    monkeypatch.setattr(action, "_call", lambda *call, **options: dict(found))
    assert "completion" not in action._phase(arguments(phase=phase, archive=archive), check=False)
    kept = json.loads((tmp_path / "completions" / f"{sha256}.json").read_text())
    assert kept == {"3.12": {"by": "r1", "packages": {"dep": "1.0"}}}


class Ending:
    """A transaction that is asked about; each call returns or raises the next of `answers`."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []
        self.shown: list[tuple[list[str], str]] = []
        self.reconnected = 0

    def ask(self, arguments: list[str]) -> dict[str, Any]:
        """The next one."""
        self.asked.append(arguments)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reconnect(self) -> None:
        """Count."""
        self.reconnected += 1

    def follow(self) -> dict[str, Any]:
        """From its start to its end."""
        begun = running(["build r2"], 9)
        return release_tool.followed(begun, self.ask, lambda *told: self.shown.append(told), self.reconnect)


def running(lines: list[str], offset: int) -> dict[str, Any]:
    """What the tool says of a transaction that goes on."""
    return {"running": True, "step": "build", "order": "o1", "lines": lines, "offset": offset}


def test_a_transaction_is_followed_to_its_end() -> None:
    """Every line is shown once, and the end is what counts."""
    ending = Ending(running([], 9), {"changed": True, "message": "live", "lines": ["live"], "offset": 14})
    assert ending.follow() == {"changed": True, "message": "live"}
    assert ending.asked == [["follow", "--json", "--order", "o1", "--offset", "9"]] * 2
    assert ending.shown == [(["build r2"], "build"), ([], "build"), (["live"], "")]


def test_a_connection_that_is_cut_does_not_end_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host goes on, and is asked again from where the progress was known."""
    monkeypatch.setattr(release_tool, "RECONNECT_EVERY_SECONDS", 0.0)
    ending = Ending(AnsibleConnectionFailure("cut"), AnsibleConnectionFailure("cut"), {"changed": True})
    assert ending.follow() == {"changed": True}
    assert ending.reconnected == 2
    assert ending.asked == [["follow", "--json", "--order", "o1", "--offset", "9"]] * 3


def test_a_connection_that_was_dead_for_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """ssh may notice after a quarter of an hour; only then does the time begin to get a new one."""
    monkeypatch.setattr(release_tool, "RECONNECT_EVERY_SECONDS", 0.0)
    seconds_of_calls, now = iter([1000.0, 1.0, 1.0]), [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    ending = Ending(AnsibleConnectionFailure("cut"), AnsibleConnectionFailure("cut"), {"changed": True})

    def ask(arguments: list[str]) -> dict[str, Any]:
        now[0] += next(seconds_of_calls)
        return ending.ask(arguments)

    found = release_tool.followed(running([], 9), ask, lambda *told: None, ending.reconnect)
    assert found == {"changed": True}


def test_a_host_that_stays_out_of_reach_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a word on what it does without its controller."""
    monkeypatch.setattr(release_tool, "RECONNECT_SECONDS", -1.0)
    with pytest.raises(AnsibleConnectionFailure, match=r"cut The deploy goes on .* farrier\.kit\.status"):
        Ending(AnsibleConnectionFailure("cut")).follow()
