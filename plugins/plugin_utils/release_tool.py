"""`farrier-release` as the controller calls it: where it is on hosts, and how its results are read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display

TOOL = "/usr/local/bin/farrier-release"
# Exit code of a shell that cannot find a program.
NOT_FOUND = 127
# For how long a host may be out of reach while a transaction goes on there.
RECONNECT_SECONDS = 300.0
RECONNECT_EVERY_SECONDS = 2.0

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
    return result


def followed(
    found: Result,
    ask: Callable[[list[str]], Result],
    show: Callable[[list[str], str], None],
    reconnect: Callable[[], None],
) -> Result:
    """Ask about a transaction until it has ended, through connections that are cut meanwhile.

    Args:
        found: what the call has returned that started it.
        ask: calls the tool with these arguments.
        show: told the lines that it has said since, and the step that it is at.
        reconnect: called before the tool is asked once more over a connection that was cut.

    Returns:
        What came of the transaction.

    Raises:
        AnsibleConnectionFailure: the host was not reached for RECONNECT_SECONDS after that was noticed.
    """
    given_up_at: float | None = None
    while found.get("running"):
        show(found["lines"], found["step"])
        again = ["follow", "--json", "--order", found["order"], "--offset", str(found["offset"])]
        try:
            found = ask(again)
            given_up_at = None
        except AnsibleConnectionFailure as error:
            now = time.monotonic()
            given_up_at = given_up_at or now + RECONNECT_SECONDS
            if now > given_up_at:
                raise AnsibleConnectionFailure(
                    f"{error.message} The deploy goes on on the host without its controller."
                    " Next: ansible-playbook farrier.kit.status"
                ) from None
            time.sleep(RECONNECT_EVERY_SECONDS)
            reconnect()
    show(found.pop("lines", []), "")
    return {key: value for key, value in found.items() if key not in ("order", "offset")}


class Screen:
    """Shows the progress of a transaction as it comes.

    Args:
        host: on which it runs.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._began = time.monotonic()
        self._is_used = False

    def show(self, lines: list[str], step: str) -> None:
        """Show lines, or that it is still at a step which says nothing."""
        seconds = time.monotonic() - self._began
        told = lines or ([f"still at {step}"] if step else [])
        if told and not self._is_used:
            self._is_used = True
            Display().display("")  # ends the line of the task's name
        for line in told:
            Display().display(f"  {self._host} {seconds:3.0f} s  {line}")


def failure(app: str, phase: str, result: dict[str, Any]) -> str:
    """For an operator: what broke, the application's own lines, what still serves, what to do next."""
    error = result["error"]
    lines = [f"{app}: {error.get('step') or phase} failed. {error['message']}"]
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
