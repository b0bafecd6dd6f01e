"""The controller's half of `tls_certificates`: reads the certificates that are brought to the hosts.

Arguments:
    apps: name, domains and certificate of each app, as the inventory contract has them.
    directory, pending: as the module's.
    mkcert_cache: where certificates of the controller's mkcert are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Reads files, those of a vault too, and runs mkcert; the rest is the module's."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        # Here, since every process that runs a task loads every action, and most use none of them.
        from ansible_collections.farrier.kit.plugins.plugin_utils import mkcert
        from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import MistakeError

        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "apps": {"type": "list", "elements": "dict", "required": True},
                "directory": {"type": "path", "required": True},
                "pending": {"type": "path", "required": True},
                "mkcert_cache": {"type": "path", "default": "~/.cache/farrier/mkcert"},
            }
        )
        module: dict[str, Any] = {
            "directory": arguments["directory"],
            "pending": arguments["pending"],
            "chains": {},
            "privkeys": {},
            "self_signed": {},
            "placeholders": [],
        }
        for app in arguments["apps"]:
            name, domains, certificate = app["name"], app["domains"], app["certificate"]
            try:
                if certificate["source"] == "files":
                    self._bring(module, name, certificate)
                elif certificate["source"] == "mkcert":
                    cache = Path(arguments["mkcert_cache"]).expanduser()
                    files, note = mkcert.certificate(name, domains, cache)
                    if note:
                        self._display.warning(note)
                    self._bring(module, name, files)
                elif certificate["source"] == "self_signed":
                    module["self_signed"][name] = domains
                else:
                    module["placeholders"].append(name)
            except MistakeError as error:
                return {**result, "failed": True, "msg": f"app {name}: {error}"}
            except mkcert.MkcertError as error:
                return {**result, "failed": True, "msg": str(error)}
            except OSError as error:
                return {**result, "failed": True, "msg": f"app {name}: cannot read its certificate: {error}"}
        return {**result, **self._execute_module("farrier.kit.tls_certificates", module, tmp, task_vars)}

    def _bring(self, module: dict[str, Any], name: str, files: dict[str, Any]) -> None:
        from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.vaulted import reader

        read = reader(self._loader)
        for option, key in (("chains", "fullchain"), ("privkeys", "privkey")):
            module[option][name] = read(Path(files[key])).decode(errors="replace")
