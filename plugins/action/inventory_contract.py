"""Check the inventory contract of all hosts of the kit's groups before any of them is touched."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ansible.plugins.action import ActionBase
from ansible.release import __version__ as core_version
from ansible.utils.vars import load_extra_vars

# Ansible loads this file in the process that forks one for each task of each host: they need not import it.
# If it cannot be imported, the task says so.
with suppress(ImportError):
    import ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.resolve  # noqa: F401  # for later

if TYPE_CHECKING:
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import HostView, Problem


class ActionModule(ActionBase):
    """Fails with one message that lists every mistake, or returns which apps there are.

    What is not a mistake yet becomes a warning.
    """

    TRANSFERS_FILES = False
    # One look at the whole inventory, whatever number of hosts the play has.
    BYPASS_HOST_LOOP = True
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `changed: false` and the apps by name, or `failed` and `msg`; `warnings` with either."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        assert task_vars is not None
        # Here, so that a failure to import it is one of the task.
        from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

        problems = inventory_schema.core_problems(core_version)
        if problems:
            return {**result, "failed": True, "msg": inventory_schema.render(problems)}
        groups = {name: list(hosts) for name, hosts in task_vars["groups"].items()}
        known = (*inventory_schema.GROUPS, *inventory_schema.OTHER_GROUPS)
        names = dict.fromkeys(host for group in known for host in groups.get(group, []))
        hosts = {name: self._host_view(name, task_vars) for name in names}
        from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.vaulted import reader

        problems = self._extra_variable_problems(task_vars)
        problems += inventory_schema.inventory_problems(groups, hosts, reader(self._loader))
        problems += self._collection_problems(groups)
        result["warnings"] = ["; ".join(problem.lines()) for problem in problems if problem.is_warning]
        mistakes = [problem for problem in problems if not problem.is_warning]
        if mistakes:
            return {**result, "failed": True, "msg": inventory_schema.render(mistakes)}
        apps = sorted({name for view in hosts.values() for name in view.named()})
        result["apps"] = apps
        result["msg"] = f"{len(apps)} app(s) on {len(hosts)} host(s): {', '.join(apps) or 'none yet'}"
        return result

    def _extra_variable_problems(self, task_vars: dict[str, Any]) -> list[Problem]:
        """Look at the names of `-e` in a playbook of the kit's own."""
        from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
            SETTINGS,
            extra_variable_problems,
        )

        playbook = self._task.args.get("playbook")
        given = load_extra_vars(self._loader)
        if not playbook or not given:
            return []
        hosts = {host: task_vars["hostvars"].raw_get(host) for host in task_vars["groups"]["all"]}
        own = {host: {key: each[key] for key in each if key not in given} for host, each in hosts.items()}
        return extra_variable_problems(playbook, list(given), own, SETTINGS)

    def _collection_problems(self, groups: dict[str, list[str]]) -> list[Problem]:
        """Look for the collection that the role postgresql calls: ansible-core has none."""
        from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import Problem

        wanted = "community.postgresql"
        loader = self._shared_loader_obj.module_loader
        if not groups.get("database") or loader.find_plugin(f"{wanted}.postgresql_db"):
            return []
        what = f"needs the collection {wanted}, which Ansible does not find"
        fix = f"ansible-galaxy collection install {wanted}"
        return [Problem("group database", "", "", what, fix)]

    def _host_view(self, host: str, task_vars: dict[str, Any]) -> HostView:
        # Built on internals of ansible-core, hence loaded only when its version is known to fit.
        from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
            MISSING,
            SETTINGS,
            HostView,
        )
        from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.resolve import resolver_of

        variables, resolver = resolver_of(host, task_vars, self._loader)
        apps = resolver.resolve(variables["apps"]) if "apps" in variables else MISSING
        settings = {name: resolver.resolve(variables[name], name) for name in SETTINGS if name in variables}
        return HostView(apps, resolver.locations, list(variables), settings)
