"""The controller's half of `nginx_upstream_member`: with `defer_failure`, a silent edge is a problem."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Runs the module."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            return {
                **result,
                **self._execute_module("farrier.kit.nginx_upstream_member", self._task.args, tmp, task_vars),
            }
        except AnsibleConnectionFailure as error:
            if not self._task.args.get("defer_failure"):
                raise
            return {**result, "changed": False, "problem": f"An edge cannot be reached: {error.message}"}
