"""`ansible.builtin.apt`, asked only when a package is missing: to open its cache takes most of a second.

Arguments: those of `ansible.builtin.apt`, of which `name` is a list of packages that are to be there.
"""

from __future__ import annotations

import shlex
from typing import Any

from ansible.plugins.action import ActionBase

SHOW = ("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n")


def missing(wanted: list[str], shown: str) -> list[str]:
    """Return the packages that `dpkg-query`'s lines do not call installed."""
    installed = shown.splitlines()
    return [package for package in wanted if f"{package} installed" not in installed]


class ActionModule(ActionBase):
    """Looks at dpkg's database itself, and leaves the rest to apt's module."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what apt's module returns, or that nothing has changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        wanted = self._task.args["name"]
        shown = self._low_level_execute_command(shlex.join([*SHOW, *wanted])) if wanted else {"stdout": ""}
        if not missing(wanted, shown["stdout"]):
            return {**result, "changed": False}
        return {
            **result,
            **self._execute_module("ansible.builtin.apt", self._task.args, tmp, task_vars),
        }
