"""Filters for the role firewall: what the hosts of an inventory let in, and from where."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ansible_collections.farrier.kit.plugins.filter import inventory, needs
from ansible_collections.farrier.kit.plugins.plugin_utils import firewall, postgresql
from ansible_collections.farrier.kit.plugins.plugin_utils.exporters import EXPORTERS
from ansible_collections.farrier.kit.plugins.plugin_utils.firewall import Rule


def firewall_rules(
    inventory_hostname: str, groups: Any, hostvars: Any, apps: Any, has_http3: bool = False
) -> list[dict[str, Any]]:
    """Return what a host lets in beside SSH, as the role firewall takes it.

    Args:
        inventory_hostname: The host.
        groups: Hosts by group.
        hostvars: Variables by host.
        apps: What `app_defaults` returns for the host; only those of an app host are looked at.
        has_http3: Whether nginx answers HTTP/3 on the host.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import Allowed

    rules: list[Rule] = []
    if inventory_hostname in groups.get("edge", []):
        rules += [Rule(80, "nginx"), Rule(443, "nginx")]
        rules += [Rule(443, "nginx, HTTP/3", "udp")] if has_http3 else []
    if inventory_hostname in groups.get("app", []):
        edges = _edges_of_apps(inventory_hostname, groups.get("edge", []), hostvars)
        rules += [
            Rule(app["port"], f"app {app['name']}", addresses=edges[app["name"]])
            for app in apps
            if edges.get(app["name"])
        ]
    if inventory_hostname in groups.get("database", []):
        users = [host for host in groups.get("app", []) if _needs_postgresql(hostvars[host])]
        clients = _addresses([*users, *groups["database"]], inventory_hostname, hostvars)
        rules += [Rule(postgresql.PORT, "PostgreSQL", addresses=clients)] if clients else []
    if inventory_hostname in groups.get("cache", []):
        rules += [
            Rule(instance["port"], f"Valkey of {instance['name']}", addresses=instance["clients"])
            for instance in needs.valkey_instances(inventory_hostname, groups.get("app", []), hostvars)
            if instance["clients"]
        ]
    rules += _exporters(inventory_hostname, groups, hostvars)
    allowed = hostvars[inventory_hostname].get("firewall_allow") or []
    rules += [Rule(**Allowed.model_validate(needs.plain(one)).model_dump()) for one in allowed]
    return [rule.as_dict() for rule in rules]


def firewall_ssh_clients(inventory_hostname: str, groups: Any, hostvars: Any) -> list[str]:
    """Return the addresses of the hosts that reach a host by SSH, which are those that save to it."""
    if inventory_hostname not in groups.get("backup", []):
        return []
    clients = [host for group in ("app", "database") for host in groups.get(group, [])]
    return _addresses(clients, inventory_hostname, hostvars)


def firewall_statements(rules: Any) -> list[str]:
    """Return the statements of nft of the rules, see `firewall.statements`."""
    return firewall.statements(rules)


def firewall_public_ports(rules: Any, published: Any) -> dict[str, list[int]]:
    """Return by protocol the ports that everyone is let in to, see `firewall.public_ports`."""
    return firewall.public_ports(rules, published)


def firewall_sources(addresses: Any) -> list[str]:
    """Return what matches packets from addresses, see `firewall.sources`."""
    return list(firewall.sources(addresses))


def firewall_problems(facts: Any, rules: Any, closed: Any, ssh_from: Any) -> list[str]:
    """Return why the rules must not be loaded, see `firewall.problems`."""
    return firewall.problems(facts, rules, closed, ssh_from)


def _exporters(inventory_hostname: str, groups: Any, hostvars: Any) -> list[Rule]:
    """Return what lets the monitor ask the exporters of a host; it asks its own by the loopback interface."""
    monitors = _addresses(groups.get("monitor", []), inventory_hostname, hostvars)
    return [
        Rule(port, f"{name} exporter", addresses=monitors)
        for name, (port, group) in EXPORTERS.items()
        if monitors and (not group or inventory_hostname in groups.get(group, []))
    ]


def _edges_of_apps(inventory_hostname: str, edge_hosts: Any, hostvars: Any) -> dict[str, list[str]]:
    """Return by app the addresses of the edges on other machines that serve it."""
    own = inventory.sites_of(inventory_hostname, hostvars)
    found: dict[str, list[str]] = {}
    for edge in edge_hosts:
        for name, _ in own & inventory.sites_of(edge, hostvars) if edge != inventory_hostname else ():
            found.setdefault(name, []).append(needs.private_address(edge, hostvars))
    return found


def _needs_postgresql(variables: Any) -> bool:
    return any(needs.need_of(app, "postgresql") is not None for app in variables.get("apps") or [])


def _addresses(hosts: Iterable[str], but: str, hostvars: Any) -> list[str]:
    """Return the addresses of hosts; one without any has no use for it, or the contract has told so."""
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    addresses = set()
    for host in hosts:
        with suppress(inventory_schema.MistakeError):
            if host != but:
                addresses.add(inventory_schema.resolved_address(host, hostvars[host]))
    return sorted(addresses)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "firewall_problems": firewall_problems,
            "firewall_public_ports": firewall_public_ports,
            "firewall_rules": firewall_rules,
            "firewall_sources": firewall_sources,
            "firewall_ssh_clients": firewall_ssh_clients,
            "firewall_statements": firewall_statements,
        }
