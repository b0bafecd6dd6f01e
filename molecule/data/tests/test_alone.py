"""Everything on one machine: apps reach their databases by sockets, and nobody else does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from places import INVENTORY, Ask, environment
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.harness.deploys import run

# Ports of sshd and nginx.
OPEN = {22, 80, 443}


@pytest.mark.parametrize("app", ["notes", "rival-notes"])
def test_an_app_writes_and_reads_through_nginx(alone: Host, ask: Ask, app: str) -> None:
    """As its own role, in its own database, in the clear of a socket."""
    ask(alone, app, "/notes", "PUT", f"of {app}".encode())
    notes = [text for (text,) in ask(alone, app, "/notes")]
    assert f"of {app}" in notes
    assert ask(alone, app, "/session") == [[app, app, False]]
    before = ask(alone, app, "/count")
    assert ask(alone, app, "/count") == before + 1


def test_no_secret_is_needed_and_no_port_is_open(alone: Host) -> None:
    """The URLs name sockets."""
    assert environment(alone, "notes") == {
        "DATABASE_URL": "postgresql://notes@/notes?host=/run/postgresql",
        "READ_ONLY_DATABASE_URL": "postgresql://notes_reader@/notes?host=/run/postgresql",
        "REDIS_URL": "unix:///run/farrier-cache/notes/valkey.sock?db=0",
    }
    listening = alone.check_output("ss -Hltun | awk '{print $5}'").split()
    assert {int(address.rpartition(":")[2]) for address in listening} == OPEN


@pytest.mark.parametrize(
    ("user", "database", "role"),
    [
        ("rival-notes", "notes", "rival-notes"),
        ("rival-notes", "notes", "notes"),
        ("rival-notes", "notes", "notes_reader"),
        ("notes", "rival-notes", "notes_reader"),
        ("rival-notes", "postgres", "rival-notes"),
        ("notes-build", "notes", "notes"),
        ("www-data", "notes", "notes"),
        ("root", "notes", "notes"),
    ],
)
def test_nobody_else_connects_to_a_database(alone: Host, user: str, database: str, role: str) -> None:
    """Not even by the name of the role that owns it."""
    psql = f"psql --no-password --username={role} --dbname={database} --command='SELECT 1'"
    refused = alone.run(f"cd /; runuser -u {user} -- {psql}")
    assert refused.rc == 2
    assert "FATAL" in refused.stderr
    own = alone.run("cd /; runuser -u notes -- psql --dbname=notes --tuples-only --command='SELECT 1'")
    assert own.stdout.strip() == "1"


def test_a_role_that_only_reads_sees_tables_to_come_and_writes_nothing(alone: Host) -> None:
    """Also in schemas that the app creates later; and it has no other way to write."""

    def query(variable: str, sql: str) -> CommandResult:
        url = environment(alone, "notes")[variable]
        return alone.run(f"cd /; runuser -u notes -- psql '{url}' -Atc \"{sql}\"")

    later = (
        "CREATE SCHEMA later; CREATE TABLE later.kept AS SELECT 7 AS number; CREATE SEQUENCE later.counted"
    )
    assert query("DATABASE_URL", later).succeeded
    for sql, expected in (
        ("SELECT count(*) > 0 FROM note", "t"),
        ("SELECT number FROM later.kept", "7"),
        ("SELECT last_value FROM later.counted", "1"),
    ):
        assert query("READ_ONLY_DATABASE_URL", sql).stdout.strip() == expected
    for sql in (
        "INSERT INTO note (text) VALUES ('no')",
        "DELETE FROM later.kept",
        "SELECT nextval('later.counted')",
        "CREATE TABLE later.mine ()",
        "CREATE TABLE mine ()",
        "CREATE TEMPORARY TABLE mine ()",
        "CREATE SCHEMA mine",
        "SET ROLE notes",
    ):
        assert "permission denied" in query("READ_ONLY_DATABASE_URL", sql).stderr, sql
    assert query("DATABASE_URL", "DROP SCHEMA later CASCADE").succeeded


def test_pg_hba_is_not_the_only_lock(alone: Host) -> None:
    """Were a rule missing, the database itself would refuse."""
    query = "SELECT has_database_privilege('rival-notes', 'notes', 'CONNECT')"
    assert alone.check_output(f'cd /; runuser -u postgres -- psql -Atc "{query}"') == "f"


def test_nobody_else_uses_an_instance_and_its_app_cannot_break_out(alone: Host) -> None:
    """Its socket is of its group, and its memory is bound."""
    client = "redis-cli -s /run/farrier-cache/notes/valkey.sock"
    for user in ("rival-notes", "www-data", "notes-build"):
        assert "Permission denied" in alone.run(f"runuser -u {user} -- {client} GET count").stderr
    own = f"runuser -u notes -- {client}"
    assert alone.check_output(f"{own} CONFIG GET maxmemory").split()[1] == str(16 * 2**20)
    assert "NOPERM" in alone.run(f"{own} CONFIG SET dir /tmp").stdout
    assert "NOPERM" in alone.run(f"{own} SHUTDOWN").stdout


def test_settings_are_those_of_the_machine(alone: Host) -> None:
    """Checksums from the first day, and more memory than Debian's defaults."""
    names = ("data_checksums", "listen_addresses", "server_encoding", "password_encryption")
    commands = " ".join(f"-c 'SHOW {name}'" for name in names)
    shown = alone.check_output(f"cd /; runuser -u postgres -- psql -At {commands}").split("\n")
    assert shown == ["on", "", "UTF8", "scram-sha-256"]
    query = "SELECT setting::int FROM pg_settings WHERE name = 'shared_buffers'"
    pages = int(alone.check_output(f'cd /; runuser -u postgres -- psql -Atc "{query}"'))
    memory_kb = int(alone.check_output("awk '/^MemTotal/ {print $2}' /proc/meminfo"))
    assert pages * 8 == pytest.approx(min(memory_kb / 8, 16 * 2**20), rel=0.01)


def test_a_deploy_migrates_with_the_same_rights(alone: Host, ask: Ask, tmp_path: Path) -> None:
    """Its migration alters a table that has rows. What else the deploy brings leaves the URLs as they are."""
    ask(alone, "notes", "/notes", "PUT", b"before the deploy")
    inventory = changed(tmp_path, env={"LEVEL": "debug"})
    deploy = run(inventory, "deploy", app="notes", version="second")
    assert not deploy.failed, deploy.output
    query = "SELECT count(*) FROM note WHERE NOT second AND text = 'BEFORE THE DEPLOY'"
    assert int(alone.check_output(f'cd /; runuser -u notes -- psql -At -d notes -c "{query}"')) >= 1
    assert ["before the deploy"] in ask(alone, "notes", "/notes")
    query = 'asyncio.run(database.query("SELECT 40 + 2"))'
    command = f"python -c 'import asyncio, database, os; print(os.environ[\"LEVEL\"], {query})'"
    ran = run(inventory, "run", app="notes", command=command)
    assert not ran.failed, ran.output
    assert "debug [[42]]" in ran.output


def test_a_boot_brings_everything_back(alone: Host, ask: Ask) -> None:
    """PostgreSQL is there before the apps, and what is persistent is there again."""
    count = ask(alone, "rival-notes", "/count")
    alone.check_output("systemctl restart postgresql@15-main.service redis-server@rival-notes.service")
    assert ask(alone, "rival-notes", "/count") == count + 1
    assert ["of notes"] in ask(alone, "notes", "/notes")
    order = alone.check_output("systemctl show --property=After notes.service")
    assert "postgresql@15-main.service" in order
    assert "redis-server@notes.service" in order


def changed(directory: Path, groups: dict[str, object] | None = None, **keys: object) -> Path:
    """Copy the inventory with other groups, or with other keys of the app notes."""
    inventory = directory / "inventory"
    shutil.copytree(INVENTORY, inventory)
    hosts, apps = inventory / "hosts.yml", inventory / "group_vars/all/apps.yml"
    content = yaml.safe_load(hosts.read_text())
    content["all"]["children"] |= groups or {}
    hosts.write_text(yaml.safe_dump(content))
    content = yaml.safe_load(apps.read_text())
    content["apps"][0] |= keys
    apps.write_text(yaml.safe_dump(content))
    return inventory


@pytest.mark.parametrize(
    ("groups", "keys", "said"),
    [
        ({}, {"needs": {"mysql": {}}}, "key needs.mysql: is an unknown key"),
        ({"database": {"hosts": {}}}, {}, "needs a host of the group database, which has none"),
        (
            {"database": {"hosts": {"data": None, "data-database": None, "data-app": None}}},
            {},
            "has 3 hosts (data, data-app, data-database), and Farrier sets up a primary and one replica",
        ),
        (
            {"database": {"hosts": {"data": None, "data-replica": None}}},
            {"outbound": True},
            "but data has release 12, data-replica has release 13",
        ),
        (
            {"database": {"hosts": {"data-database": None}}},
            {"outbound": True},
            "notes, rival-notes, observatory on data has its data on data",
        ),
        (
            {},
            {"needs": {"postgresql": {"extensions": ["timescale"]}}},
            "is not an extension that Farrier can install",
        ),
        ({}, {"needs": {"postgresql": {"extensions": ["vector"]}}}, "does not package for PostgreSQL 15"),
        (
            {},
            {"secrets": {"DATABASE_URL": "postgresql://elsewhere/db"}},
            "has DATABASE_URL in secrets, and needs.postgresql, which sets it",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    alone: Host, tmp_path: Path, groups: dict[str, object], keys: dict[str, object], said: str
) -> None:
    """With the app, the key and the way out."""
    site = run(changed(tmp_path, groups, **keys), "site")
    assert site.failed
    assert said in " ".join(site.output.split())
    assert "changed: [" not in site.output


def test_a_need_that_goes_removes_no_data_and_an_order_does(alone: Host, ask: Ask, tmp_path: Path) -> None:
    """The run says what is left and the command; that one saves a dump."""
    inventory = changed(tmp_path)
    apps = inventory / "group_vars/all/apps.yml"
    content = yaml.safe_load(apps.read_text())
    del content["apps"][1]
    apps.write_text(yaml.safe_dump(content))
    site = run(inventory, "site")
    assert not site.failed, site.output
    assert "farrier.kit.remove -e app=rival-notes -e remove_data=true" in " ".join(site.output.split())
    kept = run(inventory, "remove", app="rival-notes")
    assert not kept.failed, kept.output
    assert "The database rival-notes on data stays" in kept.output
    names = "cd /; runuser -u postgres -- psql -Atc 'SELECT datname FROM pg_database'"
    assert "rival-notes" in alone.check_output(names).split()
    removed = run(inventory, "remove", app="rival-notes", remove_data=True)
    assert not removed.failed, removed.output
    assert "rival-notes" not in alone.check_output(names).split()
    assert not alone.service("redis-server@rival-notes.service").is_running
    dump = alone.check_output("ls /var/backups/farrier/postgresql/rival-notes-*.pgc | tail -1")
    assert alone.check_output("stat -c '%a %U' /var/backups/farrier/postgresql") == "700 postgres"
    assert "of rival-notes" in alone.check_output(f"pg_restore --data-only --table=note --file=- {dump}")
    assert ["of notes"] in ask(alone, "notes", "/notes")
