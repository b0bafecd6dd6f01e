"""Filters for roles: apps and fleet with every default filled in, and what is computed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleError, AnsibleFilterError, AnsibleUndefinedVariable
from ansible_collections.farrier.kit.plugins.filter import needs
from ansible_collections.farrier.kit.plugins.plugin_utils import kit_groups


def app_defaults(apps: Any) -> list[dict[str, Any]]:
    """Return the apps as plain data with every key of the contract, as docs/inventory.md lists them.

    Keys without a default are None where the inventory does not set them.

    Raises:
        AnsibleFilterError: An app breaks the contract.
    """
    # Here, since every process that runs a task loads every filter, and most use none of them.
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.resolve import Resolver

    resolver = Resolver(lambda value: value, AnsibleError, AnsibleUndefinedVariable)
    plain = resolver.resolve(apps)
    if not isinstance(plain, list):
        raise AnsibleFilterError("app_defaults expects the list apps")
    problems = []
    for index, raw in enumerate(plain):
        problems += inventory_schema.app_problems(raw, index)
    if problems:
        raise AnsibleFilterError(inventory_schema.render(problems))
    return [inventory_schema.App.model_validate(raw).model_dump() for raw in plain]


def running_settings(app: Any) -> dict[str, Any]:
    """Return what of an app a deploy compares with the host, see `inventory_schema.running_settings`.

    Args:
        app: One entry of what `app_defaults` returns.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    return inventory_schema.running_settings(app)


def worker_count(app: Any, vcpus: int, memory_mb: int, app_count: int = 1) -> dict[str, Any]:
    """Return {"count", "reason"} for an app on a host.

    Args:
        app: One entry of what `app_defaults` returns.
        vcpus: Processors of the host.
        memory_mb: Memory of the host in MB.
        app_count: Apps that share the host.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    result = inventory_schema.worker_count(
        app["workers"],
        int(vcpus),
        int(memory_mb),
        app["worker_memory_mb"],
        int(app_count),
        app["memory_max_mb"],
    )
    return asdict(result)


def worker_class(app: Any) -> str:
    """Return which of the kit's worker classes serves an app.

    Args:
        app: One entry of `apps`, with its defaults.
    """
    if app["server"] != "gunicorn":
        return f"handover_{app['server']}"
    return str(app["worker_class"]) + ("_wsgi" if app["interface"] == "wsgi" else "")


def server_requirements(app: Any) -> str:
    """Return the name of the file with what an app's server needs.

    Args:
        app: One entry of `apps`, with its defaults.
    """
    kind = app["server"]
    if kind == "gunicorn" and app["interface"] == "wsgi":
        kind = "wsgi"
    return "server.txt" if kind == "gunicorn" else f"server-{kind}.txt"


def edge_locations(app: Any) -> list[dict[str, Any]]:
    """Return the places of an app's URLs that nginx has rules for, see `inventory_schema.locations`.

    Args:
        app: One entry of what `app_defaults` returns.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    return inventory_schema.locations(app)


def edge_places(apps: Any, app: Any) -> list[dict[str, Any]]:
    """Return the places of all apps that share an app's domains, each with its `app`, longer prefixes first.

    None, if another of these apps brings the certificate and with it nginx's `server`.

    Args:
        apps: What `app_defaults` returns for the edge.
        app: One of them.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    sharing = inventory_schema.site_apps(apps, app)
    if sharing[0]["name"] != app["name"]:
        return []
    places = [{**place, "app": one} for one in sharing for place in inventory_schema.locations(one)]
    return sorted(places, key=lambda place: -len(place["prefix"]))


def certificate_apps(apps: Any) -> list[dict[str, Any]]:
    """Return the apps that bring the certificate of their domains, for others with the same domains too."""
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    return inventory_schema.leading_apps(apps)


def app_id(app: Any) -> str:
    """Return what stands for an app in names that have no hyphen, and stays the same."""
    return str(app["name"]).replace("-", "_")


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


def acme_peers(inventory_hostname: str, edge_hosts: Any, hostvars: Any) -> list[str]:
    """Return the addresses of the other edges that serve a site of an edge, as nginx reads them.

    Raises:
        AnsibleFilterError: One of them has no address; the contract has told so.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    own = sites_of(inventory_hostname, hostvars)
    peers = [host for host in edge_hosts if host != inventory_hostname and own & sites_of(host, hostvars)]
    try:
        addresses = [inventory_schema.resolved_address(host, hostvars[host]) for host in peers]
    except inventory_schema.MistakeError as mistake:
        raise AnsibleFilterError(f"private_address {mistake}") from None
    return [f"[{address}]" if ":" in address else address for address in addresses]


def reachable_address(host: str, hostvars: Any) -> str:
    """Return the IP address at which other hosts reach a host.

    Raises:
        AnsibleFilterError: It has none; the contract has told so.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    try:
        return inventory_schema.resolved_address(host, hostvars[host])
    except inventory_schema.MistakeError as mistake:
        raise AnsibleFilterError(f"private_address {mistake}") from None


def fleet_defaults(variables: Any) -> dict[str, Any]:
    """Return what docs/inventory.md lists as the same for all app hosts, with every default filled in.

    Args:
        variables: The variables of an app host, as `hostvars[host]`.

    Raises:
        AnsibleFilterError: One of them breaks the contract.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.resolve import Resolver

    resolver = Resolver(lambda value: value, AnsibleError, AnsibleUndefinedVariable)
    fields = inventory_schema.Fleet.model_fields
    plain = {name: resolver.resolve(variables[name]) for name in fields if name in variables}
    problems = inventory_schema.model_problems("group app", inventory_schema.Fleet, plain)
    if problems:
        raise AnsibleFilterError(inventory_schema.render(problems))
    return inventory_schema.Fleet.model_validate(plain).model_dump(exclude={"private_address"})


def min_serving_hosts(share: Any, app_hosts: int) -> int:
    """Return how many app hosts `release_min_serving_hosts` is.

    Args:
        share: A number or a percentage.
        app_hosts: How many app hosts there are.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    return inventory_schema.staying(app_hosts, share)


def upstream_servers(
    apps: Any, inventory_hostname: str, app_hosts: Any, hostvars: Any
) -> dict[str, list[dict[str, str]]]:
    """Return by app the {"host", "address"} of the app hosts that have it, in their order, for an edge.

    The address is "unix" on the edge itself, else an IP address and a port.

    Args:
        apps: What `app_defaults` returns for the edge.
        inventory_hostname: The edge.
        app_hosts: Hosts of the group `app`.
        hostvars: Variables by host.

    Raises:
        AnsibleFilterError: An app host has no IP address that others can reach.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import site

    sites = {host: sites_of(host, hostvars) for host in app_hosts}
    return {
        app["name"]: [
            {
                "host": str(host),
                "address": "unix" if host == inventory_hostname else _endpoint(host, app, hostvars),
            }
            for host in app_hosts
            if site(app) in sites[host]
        ]
        for app in apps
    }


def private_listeners(apps: Any, inventory_hostname: str, edge_hosts: Any, hostvars: Any) -> dict[str, str]:
    """Return by app the IP address and port on which an app host listens for edges on other machines.

    Apps that no other edge serves have none.

    Args:
        apps: What `app_defaults` returns for the app host.
        inventory_hostname: The app host.
        edge_hosts: Hosts of the group `edge`.
        hostvars: Variables by host.

    Raises:
        AnsibleFilterError: The app host has no IP address that others can reach.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import site

    others = [sites_of(edge, hostvars) for edge in edge_hosts if edge != inventory_hostname]
    return {
        app["name"]: _endpoint(inventory_hostname, app, hostvars)
        for app in apps
        if any(site(app) in sites for sites in others)
    }


def remote_edge_addresses(inventory_hostname: str, edge_hosts: Any, hostvars: Any) -> list[str]:
    """Return the IP addresses of the edges on other machines than a host.

    An edge without one is left out: the contract has seen that it serves no app of the host.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    addresses = []
    for edge in edge_hosts:
        with suppress(inventory_schema.MistakeError):
            if edge != inventory_hostname:
                addresses.append(inventory_schema.private_address(edge, hostvars[edge]))
    return addresses


def balancing_edges(inventory_hostname: str, edge_hosts: Any, app_hosts: Any, hostvars: Any) -> list[str]:
    """Return the edges that pass requests on to an app host and to others, so that it can be taken out."""
    own = sites_of(inventory_hostname, hostvars)
    shared: set[Any] = set()
    for host in app_hosts:
        if shared == own:  # mostly with the first: each host of a large fleet asks this
            break
        if host != inventory_hostname:
            shared |= own & sites_of(host, hostvars)
    return [str(edge) for edge in edge_hosts if shared & sites_of(edge, hostvars)]


def apps_of_host(apps: Any, inventory_hostname: str, app_hosts: Any, hostvars: Any) -> list[dict[str, Any]]:
    """Return apps as an app host runs them: what runs `once`, only the first app host that has the app.

    Args:
        apps: What `app_defaults` returns for the host.
        inventory_hostname: The host.
        app_hosts: Hosts of the group `app`, in their order.
        hostvars: Variables by host.
    """
    first: dict[str, str] = {}
    for host in app_hosts:
        for app in hostvars[host].get("apps") or []:
            first.setdefault(app["name"], host)

    def here(app: dict[str, Any], key: str) -> dict[str, Any]:
        is_first = first.get(app["name"]) == inventory_hostname
        return {name: one for name, one in app[key].items() if is_first or not one["once"]}

    return [{**app, "processes": here(app, "processes"), "timers": here(app, "timers")} for app in apps]


def sites_of(host: str, hostvars: Any) -> set[Any]:
    """Return the apps of a host that have domains, to compare with those of other hosts."""
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import site

    # Nothing else of an app is looked at: it may be for the host alone to resolve.
    apps = hostvars[host].get("apps") or []
    return {site({"name": app["name"], "domains": app["domains"]}) for app in apps if app.get("domains")}


def _endpoint(host: str, app: Any, hostvars: Any) -> str:
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    return inventory_schema.endpoint(needs.private_address(host, hostvars), app["port"])


def batches_before(inventory_hostname: str, hosts: Any, spec: Any) -> int:
    """Return how many batches of a rollout come before that of a host.

    Args:
        inventory_hostname: The host.
        hosts: All hosts of the rollout, in order.
        spec: `release_batches` of the inventory.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.batches import batches

    divided = batches([str(host) for host in hosts], spec)
    return next(index for index, batch in enumerate(divided) if inventory_hostname in batch)


def service_users(apps: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return {name, home, comment} of two users per app: one runs it, one builds and owns its releases.

    Args:
        apps: Entries of the inventory's `apps`; only `name` is read.
    """
    users = []
    for app in apps:
        name = app["name"]
        users.append({"name": name, "home": f"/var/lib/farrier/{name}", "comment": f"Runs {name}"})
        users.append(
            {"name": f"{name}-build", "home": f"/var/cache/farrier/{name}", "comment": f"Builds {name}"}
        )
    return users


def left_apps(homes: dict[str, str], names: Iterable[str]) -> list[str]:
    """Return the names of the apps that a host has and the inventory has not.

    Args:
        homes: Home directories of the host's users by name.
        names: Of the inventory's apps.
    """
    left = homes.keys() - set(names)
    return sorted(name for name in left if homes[name] == f"/var/lib/farrier/{name}")


def app_packages(apps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return {name, packages} of each app that needs packages of Debian.

    Args:
        apps: Entries of the inventory's `apps`; only these two keys are read.
    """
    return [{"name": app["name"], "packages": app["packages"]} for app in apps if app.get("packages")]


def backup_checks(apps: list[dict[str, Any]], databases: list[str]) -> list[dict[str, Any]]:
    """Return {name, backup_check, check_environment} of each app.

    Args:
        apps: What `app_defaults` returns.
        databases: Names of the databases on the same host. A check reaches that of its app by a socket.
    """
    return [
        {
            "name": app["name"],
            "backup_check": app["backup_check"] or "",
            "check_environment": needs.socket_environment(app) if app["name"] in databases else {},
        }
        for app in apps
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "acme_peers": acme_peers,
            "app_defaults": app_defaults,
            "apps_of_host": apps_of_host,
            "app_id": app_id,
            "app_packages": app_packages,
            "backup_checks": backup_checks,
            "balancing_edges": balancing_edges,
            "batches_before": batches_before,
            "certificate_apps": certificate_apps,
            "edge_locations": edge_locations,
            "edge_places": edge_places,
            "edge_users": edge_users,
            "fleet_defaults": fleet_defaults,
            "host_pattern": kit_groups.host_pattern,
            "left_apps": left_apps,
            "min_serving_hosts": min_serving_hosts,
            "private_listeners": private_listeners,
            "reachable_address": reachable_address,
            "remote_edge_addresses": remote_edge_addresses,
            "running_settings": running_settings,
            "service_users": service_users,
            "upstream_servers": upstream_servers,
            "server_requirements": server_requirements,
            "worker_class": worker_class,
            "worker_count": worker_count,
        }
