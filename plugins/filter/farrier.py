"""Filters for roles: the apps with every default filled in, and the number of workers with its reason."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleFilterError, AnsibleUndefinedVariable

# Ansible imports module_utils on hosts only; this runs on the controller.
sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))


def app_defaults(apps: Any) -> list[dict[str, Any]]:
    """Return the apps as plain data with every key of the contract, as docs/inventory.md lists them.

    Keys without a default are None where the inventory does not set them.

    Raises:
        AnsibleFilterError: An app breaks the contract.
    """
    # Here, since every process that runs a task loads every filter, and most use none of them.
    import farrier_contract
    from farrier_contract.resolve import Resolver

    resolver = Resolver(lambda value: value, AnsibleError, AnsibleUndefinedVariable)
    plain = resolver.resolve(apps)
    if not isinstance(plain, list):
        raise AnsibleFilterError("app_defaults expects the list apps")
    problems = []
    for index, raw in enumerate(plain):
        problems += farrier_contract.app_problems(raw, index)
    if problems:
        raise AnsibleFilterError(farrier_contract.render(problems))
    return [farrier_contract.App.model_validate(raw).model_dump() for raw in plain]


def worker_count(app: Any, vcpus: int, memory_mb: int, app_count: int = 1) -> dict[str, Any]:
    """Return {"count", "reason"} for an app on a host.

    Args:
        app: One entry of what `app_defaults` returns.
        vcpus: Processors of the host.
        memory_mb: Memory of the host in MB.
        app_count: Apps that share the host.
    """
    import farrier_contract

    result = farrier_contract.worker_count(
        app["workers"], int(vcpus), int(memory_mb), app["worker_memory_mb"], int(app_count)
    )
    return asdict(result)


def edge_locations(app: Any) -> list[dict[str, Any]]:
    """Return the places of an app's URLs that nginx has rules for, see `farrier_contract.locations`.

    Args:
        app: One entry of what `app_defaults` returns.
    """
    import farrier_contract

    return farrier_contract.locations(app)


def edge_users(app: Any) -> list[dict[str, str]]:
    """Return {"name", "content"} of each file of password hashes that nginx needs for an app."""
    return [
        {
            "name": f"{app['name']}-{place['id']}",
            "content": "".join(f"{user}:{password}\n" for user, password in sorted(place["users"].items())),
        }
        for place in edge_locations(app)
        if place["users"]
    ]


def host_addresses(hosts: Any, hostvars: Any) -> list[str]:
    """Return where Ansible reaches each host: its `ansible_host`, or its name where it has none."""
    return [str(hostvars[host].get("ansible_host", host)) for host in hosts]


class FilterModule:
    """The filters of Farrier."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "app_defaults": app_defaults,
            "edge_locations": edge_locations,
            "edge_users": edge_users,
            "host_addresses": host_addresses,
            "worker_count": worker_count,
        }
