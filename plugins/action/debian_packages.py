"""`ansible.builtin.apt`, run only if a package is missing: opening its cache takes most of a second.

Waits for the process that holds apt's locks, and names it. In check mode it installs nothing at all.

Arguments: those of `ansible.builtin.apt`, of which `name` is a list of packages that are to be there, and
`unstarted_services`: packages installed along on a host without python3-apt, their services not started;
`app`: name of the app that needs them. What is installed for it is on record, so that the last app that needs
a package takes it away with it.
"""

from __future__ import annotations

import shlex
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.farrier.kit.plugins.module_utils import app_removal

SHOW = ("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n")
RECORD = str(app_removal.PACKAGES)
OF_APT_MODULE = "python3-apt"
LOCK_TIMEOUT_SECONDS = 600


def missing(wanted: list[str], shown: str) -> list[str]:
    """Return the packages that `dpkg-query`'s lines do not call installed."""
    installed = shown.splitlines()
    return [package for package in wanted if f"{package} installed" not in installed]


def unrecorded(app: str, wanted: list[str], lacking: list[str], shown: str) -> list[str]:
    """Return the lines that a record lacks: what is brought for an app, and what was brought for another.

    Args:
        app: Name of the app.
        wanted: Its packages.
        lacking: Those of them that are installed now.
        shown: Output with the record in it.
    """
    pairs = app_removal.brought(shown)
    known = {package for _, package in pairs}
    return [
        app_removal.needs(app, one)
        for one in wanted
        if (app, one) not in pairs and (one in lacking or one in known)
    ]


class ActionModule(ActionBase):
    """Looks at dpkg's database itself, and leaves the rest to apt's module."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what apt's module returns, or that nothing has changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {"lock_timeout": LOCK_TIMEOUT_SECONDS, **self._task.args}
        services = arguments.pop("unstarted_services", [])
        app = arguments.pop("app", "")
        wanted = arguments["name"]
        asked = [*wanted, OF_APT_MODULE]
        look = shlex.join([*SHOW, *asked]) + (f"; cat {RECORD}" if app else "")
        shown = self._low_level_execute_command(look) if wanted else {"stdout": ""}
        lacking = missing(wanted, shown["stdout"])
        to_record = unrecorded(app, wanted, lacking, shown["stdout"]) if app else []
        if not lacking:
            if to_record and not self._task.check_mode:
                self._record(to_record)
            return {**result, "changed": False}
        if self._task.check_mode:
            return {**result, "changed": True, "msg": f"would install {', '.join(lacking)}"}
        host = (task_vars or {}).get("inventory_hostname", "the host")
        if problem := self._wait(int(arguments["lock_timeout"]), host, task_vars):
            return {**result, **problem}
        if missing([OF_APT_MODULE], shown["stdout"]):
            bootstrap = {
                "name": list(dict.fromkeys([OF_APT_MODULE, *wanted])),
                "unstarted_services": services,
            }
            return {
                **result,
                **self._execute_module("farrier.kit.apt_packages", bootstrap, task_vars=task_vars),
            }
        installed = self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars)
        if app and installed.get("failed"):
            fix = f"Correct packages of {app} in the inventory; `apt-cache search WORD` finds names."
            installed["msg"] = f"app {app}: packages: {installed.get('msg', '')}. {fix}"
        elif to_record:
            self._record(to_record)
        return {**result, **installed}

    def _record(self, lines: list[str]) -> None:
        self._low_level_execute_command(f"printf '%s\\n' {shlex.join(lines)} >>{RECORD}")

    def _wait(self, seconds: int, host: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Wait until apt is free; return a failure, or nothing."""
        for limit in (0, seconds):
            arguments = {"lock_timeout": limit}
            found = self._execute_module("farrier.kit.apt_packages", arguments, task_vars=task_vars)
            if found.get("failed") or not found["holder"]:
                return found if found.get("failed") else {}
            if not limit:
                Display().display(f"{host}: waiting for {found['holder']}, at most {seconds} s")
        fix = "Wait for it or inspect it there, then run again. base_apt_lock_timeout_seconds sets the limit."
        return {
            "failed": True,
            "msg": f"apt on {host} has been blocked for {seconds} s by {found['holder']}. {fix}",
        }
