"""What a deploy or a rollback has come to on all hosts of the play: a table, and a failure when it is one.

Arguments:
    final: fail when there was a problem. Without, that is returned as `troubled`, and nothing is said then.
    accept_mixed, skip_unreachable: what the operator has decided, see `rollout.Choices`.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.farrier.kit.plugins.plugin_utils import rollout


class ActionModule(ActionBase):
    """Looks at what the tasks before it have registered, on all hosts at once."""

    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `troubled` and `lines`, or a failure that ends with the table."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        assert task_vars is not None
        _, arguments = self.validate_argument_spec(
            {
                "final": {"type": "bool", "default": False},
                "accept_mixed": {"type": "bool", "default": False},
                "skip_unreachable": {"type": "bool", "default": False},
            }
        )
        choices = rollout.Choices(arguments["accept_mixed"], arguments["skip_unreachable"])
        # Untemplated: templating a result warns of all that ansible-core has deprecated in it.
        registered = task_vars["hostvars"].raw_get
        names = task_vars["ansible_play_hosts_all"]
        hosts = {name: host for name in names if rollout.takes_part(host := registered(name))}
        problems = rollout.problems(hosts, choices)
        lines = rollout.table([rollout.row(name, host, choices) for name, host in hosts.items()])
        result |= {"troubled": bool(problems), "lines": lines}
        if problems and arguments["final"]:
            told = [f"{name or 'all hosts'}: {problem}" for name, problem in problems.items()]
            return {**result, "failed": True, "msg": "\n".join([*told, *lines])}
        return result
