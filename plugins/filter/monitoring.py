"""Filters for the role monitoring: whom Prometheus asks, and whom Alertmanager tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.farrier.kit.plugins.filter import inventory, needs
from ansible_collections.farrier.kit.plugins.plugin_utils import (
    alertmanager,
    exporters,
    kit_groups,
    valkey,
)


def monitoring_targets(monitor: str, groups: Any, hostvars: Any) -> dict[str, list[dict[str, str]]]:
    """Return by job what the monitor asks.

    Args:
        monitor: The host that asks. It asks itself at the loopback interface.
        groups: Hosts by group.
        hostvars: Variables by host.

    Returns:
        Each as {"instance", "address"}, the latter with its port. Of Valkey, also the name of the instance as
        "app", and its socket.
    """

    def endpoint(host: str, port: int) -> str:
        from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

        address = "127.0.0.1" if host == monitor else inventory.reachable_address(host, hostvars)
        return inventory_schema.endpoint(address, port)

    everywhere = kit_groups.hosts(groups)
    targets = {
        job: [
            {"instance": host, "address": endpoint(host, port)}
            for host in (groups.get(group, []) if group else everywhere)
        ]
        for job, (port, group) in exporters.EXPORTERS.items()
        if job != "valkey"
    }
    # One exporter for all instances of a host.
    targets["valkey"] = [
        {
            "instance": host,
            "address": endpoint(host, exporters.EXPORTERS["valkey"][0]),
            "app": one["name"],
            "socket": f"unix://{valkey.socket(one['name'])}",
        }
        for host in groups.get("cache", [])
        for one in needs.valkey_instances(host, groups.get("app", []), hostvars)
    ]
    return targets


def monitoring_probes(edge_hosts: Any, hostvars: Any) -> list[dict[str, Any]]:
    """Return how each app is asked as its users ask: {"app", "url", "status", "verified", "module"}.

    The certificate of an app is verified unless nobody trusts it by intention. Apps with one `module`
    are asked alike.

    Args:
        edge_hosts: Hosts of the group `edge`.
        hostvars: Variables by host.
    """
    apps: dict[str, dict[str, Any]] = {}
    for host in edge_hosts:
        for app in needs.plain(hostvars[host].get("apps") or []):
            apps.setdefault(str(app["name"]), app)
    return [probe for name in sorted(apps) for probe in _probes(apps[name])]


def _probes(app: dict[str, Any]) -> list[dict[str, Any]]:
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import App

    domain = next((name for name in app.get("domains") or [] if not name.startswith("*")), None)
    if domain is None:
        return []
    asked = {
        key: app.get(key, App.model_fields[key].default) for key in ("path", "health_path", "health_status")
    }
    status = asked["health_status"]
    verified = (app.get("certificate") or {}).get("source") not in ("self_signed", "mkcert")
    path = f"{asked['path'].rstrip('/')}{asked['health_path']}"
    return [
        {
            "app": app["name"],
            "url": f"https://{domain}{path}",
            "status": status,
            "verified": verified,
            "module": f"{'verified' if verified else 'unverified'}_{status}",
        }
    ]


def alertmanager_receivers(receivers: Any, heartbeat_url: str) -> list[dict[str, Any]]:
    """Return all receivers with their defaults, see `alertmanager.everyone`."""
    return alertmanager.everyone(needs.plain(receivers), str(heartbeat_url))


def silenced(host: str, groups: Any, hostvars: Any) -> list[str]:
    """Return matchers of amtool, each for a silence, of what a host takes with it when it restarts.

    Beside its own alerts, they are those of the apps that nobody serves meanwhile.
    """
    edges, app_hosts = groups.get("edge", []), groups.get("app", [])
    apps: set[str] = set()
    alone = host in app_hosts and not inventory.balancing_edges(host, edges, app_hosts, hostvars)
    if host in edges or alone:
        apps |= {str(app["name"]) for app in hostvars[host].get("apps") or []}
    for service, group in kit_groups.SERVICES.items():
        if host in groups.get(group, []):
            apps |= {
                str(app["name"])
                for each in app_hosts
                for app in hostvars[each].get("apps") or []
                if needs.need_of(app, service) is not None
            }
    matchers = [f"instance={host}", f"host={host}"]
    return [*matchers, f"app=~{'|'.join(sorted(apps))}"] if apps else matchers


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "alertmanager_configuration": alertmanager.configuration,
            "alertmanager_digests": alertmanager.digests,
            "alertmanager_receivers": alertmanager_receivers,
            "alertmanager_secret_files": alertmanager.secret_files,
            "alertmanager_secrets": alertmanager.secrets,
            "monitoring_probes": monitoring_probes,
            "monitoring_targets": monitoring_targets,
            "silenced": silenced,
        }
