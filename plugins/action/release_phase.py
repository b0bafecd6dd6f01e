"""The controller's half of `release_phase`: who deploys, and whether the lease's holder is alive."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Ansible imports module_utils on hosts only; this runs on the controller.
sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

import controller_process


class ActionModule(ActionBase):
    """Runs the module on the host, a second time when the lease is held by a process that has died here."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("phase") in ("begin", "rollback"):
            # This is a worker of the process that runs the playbook.
            arguments.setdefault("owner", controller_process.describe(os.getppid()))
            arguments.setdefault("who", controller_process.who())
        if arguments.get("phase") == "build" and not self._task.check_mode:
            arguments["upload"] = self._upload(arguments.pop("archive")["path"])
        found = self._execute_module("release_phase", arguments, tmp, task_vars)
        holder = found.get("holder")
        if holder and controller_process.is_gone(holder["owner"]):
            found = self._execute_module("release_phase", {**arguments, "gone": holder["id"]}, tmp, task_vars)
        return {**result, **found}

    def _upload(self, path: str) -> str:
        """Bring the source archive to the host; the module puts it where the build expects it."""
        directory = self._make_tmp_path()
        remote: str = self._connection._shell.join_path(directory, Path(path).name)
        self._transfer_file(path, remote)
        self._fixup_perms2((directory, remote), execute=False)
        return remote
