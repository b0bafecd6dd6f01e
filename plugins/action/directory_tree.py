"""The controller's half of `directory_tree`: sends what differs, in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.farrier.kit.plugins.module_utils.tree_digest import file_digests


class ActionModule(ActionBase):
    """Asks the host what it has, and sends the rest as text: these are sources, small and UTF-8."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {"src": {"type": "str", "required": True}, "dest": {"type": "path", "required": True}}
        )
        source = Path(self._find_needle("files", arguments["src"]))
        wanted = file_digests(source)
        if not wanted:
            return {**result, "failed": True, "msg": f"{source} holds no files."}
        module = {"dest": arguments["dest"], "digests": wanted}
        found = self._execute_module("farrier.kit.directory_tree", module, tmp, task_vars)
        missing = found.pop("missing", [])
        if missing and not found.get("failed"):
            module["contents"] = {name: (source / name).read_text(encoding="utf-8") for name in missing}
            found = self._execute_module("farrier.kit.directory_tree", module, tmp, task_vars)
        return {**result, **found}
