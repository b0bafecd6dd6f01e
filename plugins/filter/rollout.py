"""Filters for the role release: how a deploy or a rollback over several hosts goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def release_problems(hosts: Any, batch: Any, accept_mixed: bool, skip_unreachable: bool) -> dict[str, str]:
    """Return why a rollout must not go on, by host, see `rollout.problems`.

    Args:
        hosts: Variables of each host of the rollout, by name, in the order of the batches.
        batch: Names of those whose turn it is.
        accept_mixed: Whether the hosts may run several releases.
        skip_unreachable: Whether hosts that do not answer are left out.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils.rollout import Choices, problems

    names = list(hosts)
    return problems(
        hosts, Choices(bool(accept_mixed), bool(skip_unreachable)), names[names.index(batch[0]) :]
    )


def release_fault(answers: Any, release: str, live: Any, error_percent_max: Any) -> str:
    """Return why a host that was watched is not good enough, see `rollout.fault`."""
    from ansible_collections.farrier.kit.plugins.plugin_utils.rollout import fault

    return fault(answers, release, live, None if error_percent_max is None else float(error_percent_max))


def release_leaving(hosts: Any) -> dict[str, list[str]]:
    """Return which hosts each edge must do without, see `rollout.leaving`."""
    from ansible_collections.farrier.kit.plugins.plugin_utils.rollout import leaving

    return leaving(hosts)


def release_taken(hosts: Any) -> dict[str, list[str]]:
    """Return which hosts were taken from each edge, see `rollout.taken`."""
    from ansible_collections.farrier.kit.plugins.plugin_utils.rollout import taken

    return taken(hosts)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "release_fault": release_fault,
            "release_leaving": release_leaving,
            "release_problems": release_problems,
            "release_taken": release_taken,
        }
