"""Results of tasks as text: what an operator reads when something failed."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.output import clock, failure_text, hint_for


def test_clock() -> None:
    """Hours appear only when there are some."""
    assert [clock(seconds) for seconds in (4.9, 750, 3723)] == ["0:04", "12:30", "1:02:03"]


def test_failure_text_of_a_command() -> None:
    """Message, command, exit code, and the end of both outputs."""
    result = {
        "msg": "non-zero return code",
        "cmd": ["uv", "sync"],
        "rc": 2,
        "stdout": "\n".join(map(str, range(40))),
        "stderr": "no space left",
    }
    text = failure_text(result)
    assert text.startswith(
        "non-zero return code\ncommand: uv sync\nexit code: 2\noutput:\n  … 10 lines before\n  10\n"
    )
    assert text.endswith("  39\nerror output:\n  no space left")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"msg": ["a", "b"]}, "a\nb"),
        ({"msg": {"a": 1}}, "a: 1"),
        ({"reason": "no such file"}, "no such file"),
        ({"msg": "exited: broken", "stderr": "broken\n"}, "exited: broken"),
        ({"censored": "hidden"}, "hidden"),
        (
            {"msg": 'Task failed: no sudo. Command was: sudo -u root -- python3 -c "import sys" pZLRS+sw'},
            "no sudo.",
        ),
        ({}, "failed without a message"),
    ],
)
def test_failure_text_of_other_results(result: dict[str, object], text: str) -> None:
    """Whatever a module returns becomes text; output that the message holds already is not repeated."""
    assert failure_text(result) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "error occurred on host web1: Child start failed: [Errno 2] No such file or directory: 'sudo'.",
            "sudo is",
        ),
        ("/bin/sh: 1: sudo: not found", "sudo is missing"),
        ("error occurred on host web1: sudo password is required", "sudo asks for a password"),
        ("Missing sudo password", "sudo asks for a password"),
        ("bash: line 1: /usr/bin/python3: No such file or directory", "Python is missing"),
        ("The module interpreter '/usr/bin/python3' was not found.", "Python is missing"),
        ("SSH password was requested, but none specified", "the host rejects this user or key"),
        (
            "nobody@10.0.0.1: Permission denied (publickey,password).",
            "the host rejects this user or key",
        ),
        (
            "SSH reported an unrecognized or mismatching host key.",
            "the host's key differs from the known one",
        ),
        ("Host key verification failed.", "the host's key differs from the known one"),
        ("ssh: connect to host 10.0.0.1 port 22: Connection refused", "SSH does not answer there"),
        ("ssh: connect to host 10.0.0.1 port 22: No route to host", "SSH does not answer there"),
        ("OSError: [Errno 28] No space left on device", "a disk is full"),
    ],
)
def test_failures_outside_the_playbook_have_a_hint(text: str, hint: str) -> None:
    """The words of ssh, sudo and mitogen, as they were seen, lead to what to do."""
    assert hint_for(text, unreachable=True).startswith(hint)


def test_other_failures_have_no_hint() -> None:
    """A wrong hint costs more time than none."""
    assert hint_for("connect to 127.0.0.1:5432: Connection refused", unreachable=False) == ""
    assert hint_for("/bin/sh: python: not found", unreachable=False) == ""
    assert hint_for("ModuleNotFoundError: No module named 'observatory'", unreachable=True) == ""


def test_hints_that_need_no_unreachable_host() -> None:
    """sudo fails on a host that was reached."""
    assert hint_for("/bin/sh: 1: sudo: not found", unreachable=False).startswith("sudo is missing")
