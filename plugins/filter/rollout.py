"""Filters for the role release: how a deploy or a rollback over several hosts goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.farrier.kit.plugins.plugin_utils import rollout


def release_problems(hosts: Any, batch: Any, accept_mixed: bool, skip_unreachable: bool) -> dict[str, str]:
    """Return why a rollout must not go on, by host, see `rollout.problems`.

    Args:
        hosts: Variables of each host of the rollout, by name, in the order of the batches.
        batch: Names of those whose turn it is.
        accept_mixed: Whether the hosts may run several releases.
        skip_unreachable: Whether hosts that do not answer are left out.
    """
    names = list(hosts)
    choices = rollout.Choices(bool(accept_mixed), bool(skip_unreachable))
    return rollout.problems(hosts, choices, names[names.index(batch[0]) :])


def soak_failure(answers: Any, release: str, live: Any, error_percent_max: Any) -> str:
    """Return why a host that was watched is not good enough, see `rollout.soak_failure`."""
    most = None if error_percent_max is None else float(error_percent_max)
    return rollout.soak_failure(answers, release, live, most)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "hosts_drained": rollout.hosts_drained,
            "hosts_to_drain": rollout.hosts_to_drain,
            "release_parts": rollout.parts,
            "release_problems": release_problems,
            "soak_failure": soak_failure,
        }
