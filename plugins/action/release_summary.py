"""Sum up what became of the hosts of a deploy; once, whatever number of hosts the play has.

Arguments:
    app: name of the application.
    rows: what became of each host, see `farrier_fleet`.

Returns `lines`, a table. Fails where a result is neither live nor unchanged, and says in words which and why.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Ansible imports module_utils on hosts only; this runs on the controller.
sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

import farrier_fleet


class ActionModule(ActionBase):
    """Writes the table, and the failure if there is one."""

    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `lines`, and `failed` and `msg` where a host failed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "app": {"type": "str", "required": True},
                "rows": {"type": "list", "elements": "dict", "required": True},
            }
        )
        message = farrier_fleet.failure(arguments["app"], arguments["rows"])
        result |= {"changed": False, "lines": farrier_fleet.table(arguments["rows"])}
        return {**result, "failed": True, "msg": message} if message else result
