"""Make one reproducible archive of an application's source, on the controller.

Arguments:
    source: key `source` of the inventory contract.
    version: git reference instead of the one in `source`; "" for that one.
    module: `package.module:attribute`; refused when its file cannot be there.
    cache_directory: where archives and git mirrors are kept.

Returns `path`, `sha256`, `version`, `bytes`, `project` (what the host has to know to build), `notes` (what
was left out, or is sent and easily overlooked; shown, too), `stamp` and `fresh`. It runs in Ansible's own
Python and writes nothing but its cache, so `changed` is always false.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.farrier.kit.plugins.plugin_utils.release_tool import Screen
from ansible_collections.farrier.kit.plugins.plugin_utils.source_archive import SourceError, make_archive


class ActionModule(ActionBase):
    """Makes the archive."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the archive, or `failed` and `msg`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "source": {"type": "dict", "required": True},
                "version": {"type": "str", "default": ""},
                "module": {"type": "str", "default": ""},
                "cache_directory": {"type": "path", "default": "~/.cache/farrier/sources"},
            }
        )
        started = time.monotonic()
        try:
            archive = make_archive(
                arguments["source"],
                Path(arguments["cache_directory"]).expanduser(),
                version=arguments["version"],
                module=arguments["module"],
            )
        except SourceError as error:
            return {**result, "failed": True, "msg": str(error)}
        except OSError as error:
            return {**result, "failed": True, "msg": f"Cannot make the archive: {error}"}
        Screen("controller").show(archive.notes, "")
        facts = asdict(archive)
        fresh = facts.pop("changed")
        return {
            **result,
            **facts,
            "fresh": fresh,
            "changed": False,
            # Of the release on every host that gets it.
            "stamp": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
            "seconds": round(time.monotonic() - started, 3),
        }
