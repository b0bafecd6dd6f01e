"""Results of tasks as text for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

OUTPUT_LINES_SHOWN = 30

# What Ansible, mitogen, ssh and sudo say → what an operator does about it.
_NO_PYTHON = "Python is missing on the host. As root there: apt-get install python3"
HINTS = {
    r"No such file or directory: 'sudo'|sudo: (command )?not found": (
        "sudo is missing on the host. As root there: apt-get install sudo"
    ),
    r"sudo password is required|Missing sudo password|sudo: a password is required": (
        "sudo asks for a password. Add --ask-become-pass, or let the user use sudo without one (NOPASSWD)"
    ),
    r"interpreter '\S+' was not found": _NO_PYTHON,
    r"No space left on device": "a disk is full. `df -h` on the host shows which",
}
# These words mean this only if a host is unreachable: an app may print them too.
HINTS_FOR_UNREACHABLE = {
    r"python[\d.]*: (not found|No such file)": _NO_PYTHON,
    r"SSH password was requested|Permission denied|Authentication failure": (
        "the host rejects this user or key. Check ansible_user and ansible_ssh_private_key_file"
    ),
    r"[Hh]ost key|HOST IDENTIFICATION HAS CHANGED": (
        "the host's key differs from the known one. Compare it on the host's console; if it is right, "
        "`ssh-keygen -R ADDRESS` and `ssh ADDRESS` make it known"
    ),
    r"Connection refused|No route to host|timed out|Connection closed|Could not resolve hostname": (
        "SSH does not answer there. Check that the host is up, its ansible_host and ansible_port"
    ),
}


def clock(seconds: float) -> str:
    """Write a time since the start: 0:04, 12:30 or 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plain_text(value: object) -> str:
    """Write a value for a person: text as it is, a list one entry a line, a mapping one key a line."""
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(str(item) for item in value)
    return str(value)


def indented(text: str, prefix: str = "    ") -> str:
    """Indent every line that is not empty."""
    return "\n".join(f"{prefix}{line}" if line.strip() else "" for line in text.rstrip().splitlines())


def hint_for(text: str, *, unreachable: bool) -> str:
    """Return what to do about a failure that has nothing to do with the playbook, or ""."""
    hints = {**HINTS, **(HINTS_FOR_UNREACHABLE if unreachable else {})}
    return next((hint for pattern, hint in hints.items() if re.search(pattern, text)), "")


def failure_text(result: Mapping[str, Any]) -> str:
    """Say why a task failed: message, command, exit code and the end of its output, each as text.

    Args:
        result: The task's result; without content where no_log hides it.
    """
    # Of a loop whose host was lost, Ansible says only that all items are completed.
    if result.get("unreachable"):
        result = next((item for item in result.get("results", ()) if item.get("unreachable")), result)
    reason = result.get("msg") or result.get("reason") or result.get("censored")
    message = plain_text(reason or "failed without a message").removeprefix("Task failed: ")
    # mitogen appends the program that it sends to the host.
    parts = [re.sub(r" Command was: \w+ -.*", "", message, flags=re.DOTALL)]
    for key, title in [("assertion", "assertion"), ("cmd", "command"), ("rc", "exit code")]:
        if result.get(key) is not None:
            value = result[key]
            parts.append(f"{title}: {' '.join(map(str, value)) if isinstance(value, list) else value}")
    for key, title in [
        ("stdout", "output"),
        ("stderr", "error output"),
        ("module_stdout", "output of the module"),
        ("module_stderr", "error output of the module"),
    ]:
        output = str(result.get(key) or "").strip("\n")
        if output.strip() and output.strip() not in parts[0]:
            parts.append(f"{title}:\n{indented(_end_of(output), '  ')}")
    return "\n".join(parts)


def _end_of(output: str) -> str:
    lines = output.splitlines()
    left_out = len(lines) - OUTPUT_LINES_SHOWN
    shown = [f"… {left_out} lines before"] if left_out > 0 else []
    return "\n".join([*shown, *lines[-OUTPUT_LINES_SHOWN:]])
