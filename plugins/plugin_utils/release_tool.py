"""`farrier-release` as the controller calls it: where it is on hosts, and how its results are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleConnectionFailure

TOOL = "/usr/local/bin/farrier-release"
# Exit code of a shell that cannot find a program.
NOT_FOUND = 127

Result = dict[str, Any]


def outcome(app: str, phase: str, returncode: int, stdout: str, stderr: str, *, check: bool) -> Result:
    """The result that Ansible gets of a call of the tool."""
    try:
        result: Result = json.loads(stdout)
    except ValueError:
        if returncode == NOT_FOUND and check:
            return {"changed": True, "new": True, "message": f"{app}: would {phase}"}
        if returncode == NOT_FOUND:
            return {
                "failed": True,
                "msg": f"{TOOL} is not installed on this host. Next: ansible-playbook farrier.kit.site",
            }
        said = (stderr or stdout).strip()
        msg = f"{app}: {phase} ended with exit code {returncode} and no result:\n{said}"
        return {"failed": True, "msg": msg}
    if result.get("failed"):
        return {**result, "msg": failure(app, phase, result)}
    return {**result, "progress": stderr.splitlines()}


def failure(app: str, phase: str, result: dict[str, Any]) -> str:
    """For an operator: what broke, the application's own lines, what still serves, what to do next."""
    error = result["error"]
    lines = [f"{app}: {phase} failed. {error['message']}"]
    if error["log"]:
        lines += ["It said:", *(f"    {line}" for line in error["log"])]
    live, trouble = result.get("live"), result.get("live_problem")
    if live and not trouble:
        lines.append(f"Still live and serving: {live}")
    elif live:
        lines.append(f"CHECK IT: {live} should be live, but {trouble}.")
    else:
        lines.append("No release of this app is live on this host.")
    if error["next_command"]:
        lines.append(f"Next: {error['next_command']}")
    return "\n".join(lines)


def reported(app: str, phase: str, work: Callable[[], Result]) -> Result:
    """Do the work of a task; a failure is returned as `problem`, and the task does not fail.

    With `unreachable_host` when the host did not answer.
    """
    try:
        found = work()
    except AnsibleConnectionFailure as error:
        return {"changed": False, "problem": f"{app}: {phase}: {error.message}", "unreachable_host": True}
    if found.get("failed"):
        found = {**found, "failed": False, "problem": found.pop("msg")}
    return found
