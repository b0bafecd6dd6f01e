"""Filters for what apps need: databases and caches, on which host, for whom, and how apps reach them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.farrier.kit.plugins.plugin_utils import (
    database_hosts,
    database_reports,
    postgresql,
    server_keys,
    valkey,
)


def private_address(host: str, hostvars: Any) -> str:
    """Return the IP address at which other hosts reach a host.

    Raises:
        AnsibleFilterError: It has none.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

    try:
        return inventory_schema.private_address(host, hostvars[host])
    except inventory_schema.MistakeError as mistake:
        raise AnsibleFilterError(f"host {host}: private_address {mistake}") from None


def database_primary(groups: Any, hostvars: Any) -> dict[str, str]:
    """Return {"primary", "replica", "used", "problem"} of the database hosts, see `database_hosts.primary`.

    Args:
        groups: Hosts by group.
        hostvars: Variables by host, with the facts of `host_facts` for those that were asked.
    """
    facts = {host: hostvars[host].get("ansible_facts", {}).get("farrier_host") for host in hostvars}
    hosts = list(groups.get("database") or [])
    found = {
        host: database_hosts.Found(facts[host]["postgresql"], facts[host]["version"].split(".")[0])
        for host in hosts
        if facts.get(host)
    }
    recorded = [facts[host]["database"] for host in groups.get("app") or [] if facts.get(host)]
    primary, problem = database_hosts.primary(hosts, found, recorded)
    used = next((host for host in recorded if host in hosts), "")
    replica = next((host for host in hosts if host != (primary or used)), "")
    return {"primary": primary, "replica": replica, "used": used, "problem": problem}


def postgresql_databases(
    inventory_hostname: str, app_hosts: Any, hostvars: Any, database_hosts: Any
) -> list[dict[str, Any]]:
    """Return the database of each app that needs one, for a database host.

    Args:
        inventory_hostname: The database host.
        app_hosts: Hosts of the group `app`.
        hostvars: Variables by host.
        database_hosts: Hosts of the group `database`. Of two, an app on one of them is a client, too.

    Returns:
        Each as {"name", "extensions", "read_only", "connections_max", "clients"}: addresses of hosts that
        connect by TLS.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import Postgresql, extensions

    return [
        {
            "name": name,
            "extensions": extensions.with_required(need.extensions),
            "read_only": need.read_only,
            "connections_max": need.connections_max,
            "clients": [private_address(host, hostvars) for host in hosts if [host] != list(database_hosts)],
        }
        for name, need, hosts in _needs("postgresql", Postgresql, app_hosts, hostvars)
    ]


def valkey_instances(inventory_hostname: str, app_hosts: Any, hostvars: Any) -> list[dict[str, Any]]:
    """Return the instance of each app that needs one, for a cache host.

    Returns:
        Each as {"name", "memory_max_mb", "eviction", "persistent", "port", "clients"}: addresses of all hosts
        with the app; none, if this host is the only one.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import Valkey

    return [
        {
            "name": name,
            **need.model_dump(include={"memory_max_mb", "eviction", "persistent"}),
            "port": valkey.port(name),
            "clients": [private_address(host, hostvars) for host in hosts]
            if hosts != [inventory_hostname]
            else [],
        }
        for name, need, hosts in _needs("valkey", Valkey, app_hosts, hostvars)
    ]


def needs_servers(
    apps: Any, inventory_hostname: str, groups: Any, hostvars: Any, primary: str
) -> dict[str, str]:
    """Return the hosts that the apps of a host connect to by TLS, by the address or name that they use.

    Args:
        apps: What `app_defaults` returns for the app host.
        inventory_hostname: The app host.
        groups: Hosts by group.
        hostvars: Variables by host.
        primary: Of the group `database`.
    """
    return {
        _address(group, groups, hostvars): primary if service == "postgresql" else groups[group][0]
        for service, group in (("postgresql", "database"), ("valkey", "cache"))
        for app in apps
        if app["needs"][service] is not None
        and not _is_local(service, app["name"], inventory_hostname, groups, hostvars)
    }


def needs_environments(
    apps: Any, inventory_hostname: str, groups: Any, hostvars: Any, secrets: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """Return by app the environment variables that lead it to what it needs.

    Args:
        apps: What `app_defaults` returns for the app host.
        inventory_hostname: The app host.
        groups: Hosts by group.
        hostvars: Variables by host.
        secrets: By the addresses of `needs_servers`; where there is none, passwords are left out.
    """
    environments: dict[str, dict[str, str]] = {}
    for app in apps:
        name, found = app["name"], environments.setdefault(app["name"], {})
        for service, group in (("postgresql", "database"), ("valkey", "cache")):
            need = app["needs"][service]
            if need is None:
                continue
            is_local = _is_local(service, name, inventory_hostname, groups, hostvars)
            address = "" if is_local else _address(group, groups, hostvars)
            secret = (secrets or {}).get(address, "")
            if service == "valkey":
                password = server_keys.password(secret, service, name)
                url = valkey.remote_url(need["scheme"], name, address, password)
                found[need["variable"]] = valkey.local_url(need["scheme"], name) if is_local else url
            else:
                found |= _postgresql_environment(need, name, address, secret)
    return environments


def _postgresql_environment(need: Any, name: str, address: str, secret: str) -> dict[str, str]:
    """Return how an app reaches its database, at an address or, if that is empty, by the socket."""
    roles = {need["variable"]: name}
    if need["read_only"]:
        roles[f"{postgresql.READ_ONLY}{need['variable']}"] = f"{name}{postgresql.READER}"
    if not address:
        return {key: postgresql.local_url(need["scheme"], name, role) for key, role in roles.items()}
    urls = {
        key: postgresql.remote_url(
            need["scheme"], name, role, address, server_keys.password(secret, "postgresql", role)
        )
        for key, role in roles.items()
    }
    return urls | postgresql.remote_variables(need["scheme"], address)


def socket_environment(app: Any) -> dict[str, str]:
    """Return how an app reaches a database by a socket of its host; nothing, if it needs none."""
    need = app["needs"]["postgresql"]
    return _postgresql_environment(need, app["name"], "", "") if need is not None else {}


def databases_to_save(apps: Any, name: str, app_hosts: Any, groups: Any) -> list[str]:
    """Return the database hosts where an app is saved before it migrates; none, if it does so by itself.

    Args:
        apps: Of an app host.
        name: Of the app.
        app_hosts: All hosts that have the app.
        groups: Hosts by group.
    """
    hosts = list(groups.get("database") or [])
    app = next(app for app in apps if app["name"] == name)
    is_saved = boolean(app.get("backup_before_migrate", False))
    return hosts if need_of(app, "postgresql") is not None and is_saved and hosts != list(app_hosts) else []


def needs_passwords(entries: list[dict[str, Any]], service: str, secret: str) -> dict[str, str]:
    """Return the passwords of the roles or instances that have clients on other machines, by name."""
    named = [entry for entry in entries if entry["clients"] and secret]
    names = [entry["name"] for entry in named]
    names += [f"{entry['name']}{postgresql.READER}" for entry in named if entry.get("read_only")]
    return {name: server_keys.password(secret, service, name) for name in names}


def moved_databases(apps: Any, recorded: str, database_hosts: Any) -> list[str]:
    """Return the apps that need a database and have had one on another host than the inventory's.

    Args:
        apps: What `app_defaults` returns for the app host.
        recorded: Name of the database host at the last run; "" if there was none.
        database_hosts: Hosts of the group `database`.
    """
    if not recorded or recorded in database_hosts:
        return []
    return [app["name"] for app in apps if app["needs"]["postgresql"] is not None]


def postgresql_settings(
    databases: list[dict[str, Any]], memory_mb: int, vcpus: int, is_shared: bool
) -> dict[str, str]:
    """Return settings for the databases on a machine, see `postgresql.settings`."""
    limits = [database["connections_max"] for database in databases]
    return postgresql.settings(
        int(memory_mb), int(vcpus), sum(limit or 0 for limit in limits), is_shared=bool(is_shared)
    )


def postgresql_packages(databases: list[dict[str, Any]], version: str) -> list[str]:
    """Return the packages of the databases' extensions.

    Raises:
        AnsibleFilterError: Debian has none for this version of PostgreSQL.
    """
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import MistakeError, extensions

    found: list[str] = []
    for database in databases:
        try:
            found += extensions.packages(database["extensions"], version)
        except MistakeError as mistake:
            raise AnsibleFilterError(
                f"app {database['name']}, key needs.postgresql.extensions: {mistake}. Nothing was changed."
            ) from None
    return sorted(set(found))


def postgresql_due(
    databases: list[dict[str, Any]], found: Any, comment: str, passwords: Mapping[str, str]
) -> list[str]:
    """Return the names of the databases that are not as they should be, or not there.

    Args:
        databases: What `postgresql_databases` returns.
        found: What roles/postgresql/files/state.sql finds of each database.
        comment: Of each database of an app.
        passwords: Of their owners, by name, for those that have one.
    """
    there = {one["name"]: one for one in found}

    def is_right(name: str, connections_max: int | None) -> bool:
        one = there.get(name)
        return (
            one is not None
            and not one["is_open"]
            and [one["owner"], one["comment"]] == [name, comment]
            and one["connections"] == (connections_max or -1)
            and list(one["flags"]) == [True, False, False, False]
            and (name not in passwords or postgresql.is_password(passwords[name], one["password"] or ""))
        )

    return [one["name"] for one in databases if not is_right(one["name"], one["connections_max"])]


def postgresql_readers_due(answers: list[dict[str, Any]], passwords: Mapping[str, str]) -> list[str]:
    """Return the names of the databases whose role that only reads is not as it should be, or not there.

    Args:
        answers: Of each database, as `item`, with what roles/postgresql/files/reader.sql finds.
        passwords: Of the roles, by name, for those that have one.
    """

    def is_right(answer: dict[str, Any]) -> bool:
        password = passwords.get(f"{answer['item']}{postgresql.READER}")
        found = answer.get("query_result") or []
        return bool(found) and (
            list(found[0]["flags"]) == [True, False, False, False]
            and found[0]["rights"] == 4
            and (password is None or postgresql.is_password(password, found[0]["password"] or ""))
        )

    return [answer["item"] for answer in answers if not is_right(answer)]


def postgresql_report(answer: Any, peer: str) -> dict[str, str]:
    """Return {"text", "problem"} of a database host, see `database_reports.report`."""
    text, problem = database_reports.report(answer, peer)
    return {"text": text, "problem": problem}


def failover_plan(groups: Any, hostvars: Any, is_dead: bool, rebuild: str) -> dict[str, Any]:
    """Return {"primary", "problem", "lines", "groups"} of a failover, or of a replica that is made anew.

    `groups` says who takes part: the hosts that are stopped, promoted, fenced, configured anew, or have apps.

    Args:
        groups: Hosts by group.
        hostvars: Variables by host, with `postgresql_found` of those that answer.
        is_dead: Whether the primary is.
        rebuild: The replica that is to be made anew; "" for a failover.
    """
    cluster = database_primary(groups, hostvars)
    hosts = groups.get("database") or []
    found = database_reports.Databases(
        cluster["primary"],
        cluster["used"],
        cluster["problem"],
        {host: hostvars[host].get("postgresql_found") for host in hosts},
        [host for host in groups["app"] if not hostvars[host].get("ansible_facts", {}).get("farrier_host")],
        any(boolean(hostvars[host].get("postgresql_synchronous", False)) for host in hosts),
    )
    primary, problem, lines = found.rebuild(rebuild) if rebuild else found.failover(is_dead=is_dead)
    old, apps = [found.other(primary)], list(groups["app"])
    taking_part = {"failover_new": [primary], "failover_apps": apps}
    if rebuild:
        taking_part = {"failover_databases": list(hosts)}
    elif not is_dead:
        taking_part |= {"failover_old": old, "failover_databases": list(hosts)}
    elif hostvars[old[0]].get("ansible_facts", {}).get("farrier_host"):
        taking_part |= {"failover_fenced": old}
    return {"primary": primary, "problem": problem, "lines": lines, "groups": {} if problem else taking_part}


def replication_password(secret: str) -> str:
    """Return the password by which a replica copies its primary; "" without the secret of both."""
    return server_keys.password(secret, "replication", "")


def monitoring_password(secret: str) -> str:
    """Return the password by which the exporter of a cache host asks its instances; "" without its secret."""
    return server_keys.password(secret, "valkey monitoring", "")


def replication_settings(disk_mb: int) -> dict[str, str]:
    """Return settings of a pair of database hosts, see `postgresql.replication_settings`."""
    return postgresql.replication_settings(int(disk_mb))


def sha256(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def valkey_report(shown: str, processes: str, instances: list[dict[str, Any]]) -> dict[str, str]:
    """Return {"text", "problem"} of the instances of a host, see `valkey.report`."""
    text, problem = valkey.report(shown, processes, {one["name"]: one["memory_max_mb"] for one in instances})
    return {"text": text, "problem": problem}


def _needs(service: str, model: Any, app_hosts: Any, hostvars: Any) -> Iterator[tuple[str, Any, list[str]]]:
    """Yield each app that needs a service, what it needs, and its hosts. No other key of an app is read."""
    needs: dict[str, Any] = {}
    hosts: dict[str, list[str]] = {}
    for host in app_hosts:
        for app in hostvars[host].get("apps") or []:
            need = need_of(app, service)
            if need is not None:
                name = str(app["name"])
                needs.setdefault(name, model.model_validate(plain(need)))
                hosts.setdefault(name, []).append(str(host))
    for name in sorted(needs):
        yield name, needs[name], hosts[name]


def need_of(app: Any, service: str) -> Any:
    """Return what an app needs of a service, as the inventory has it; None if it needs none."""
    return (app.get("needs") or {}).get(service)


def plain(value: Any) -> Any:
    """Return a value of the inventory without what Ansible has wrapped around it."""
    from ansible.errors import AnsibleError, AnsibleUndefinedVariable
    from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.resolve import Resolver

    return Resolver(lambda value: value, AnsibleError, AnsibleUndefinedVariable).resolve(value)


def _address(group: str, groups: Any, hostvars: Any) -> str:
    """Return where other hosts reach a service: a name, if a failover may move it."""
    hosts = groups[group]
    return postgresql.PRIMARY_NAME if len(hosts) > 1 else private_address(hosts[0], hostvars)


def _is_local(service: str, name: str, inventory_hostname: str, groups: Any, hostvars: Any) -> bool:
    """Tell whether an app reaches a service by a socket of its host."""
    if service == "postgresql":
        return bool(list(groups["database"]) == [inventory_hostname])
    hosts = [
        host for host in groups["app"] if any(app["name"] == name for app in hostvars[host].get("apps") or [])
    ]
    return bool(groups["cache"][0] == inventory_hostname) and hosts == [inventory_hostname]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "database_primary": database_primary,
            "databases_to_save": databases_to_save,
            "failover_plan": failover_plan,
            "moved_databases": moved_databases,
            "needs_environments": needs_environments,
            "needs_passwords": needs_passwords,
            "needs_servers": needs_servers,
            "postgresql_databases": postgresql_databases,
            "postgresql_due": postgresql_due,
            "postgresql_packages": postgresql_packages,
            "postgresql_readers_due": postgresql_readers_due,
            "postgresql_report": postgresql_report,
            "postgresql_settings": postgresql_settings,
            "private_address": private_address,
            "monitoring_password": monitoring_password,
            "replication_password": replication_password,
            "replication_settings": replication_settings,
            "sha256": sha256,
            "valkey_instances": valkey_instances,
            "valkey_report": valkey_report,
        }
