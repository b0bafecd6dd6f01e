"""A database host of its own: TLS and passwords for the app host alone."""

from __future__ import annotations

import json

import pytest
from places import APART, Ask, environment, passwords
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.harness.connections import reached
from tests.harness.deploys import run

PORTS = "ss -Hltn | awk '{print $4}'"


@pytest.mark.parametrize("app", ["notes", "rival-notes"])
def test_an_app_writes_and_reads_through_nginx(apart: tuple[Host, Host], ask: Ask, app: str) -> None:
    """Over TLS, by the library that its URL is for."""
    _, app_host = apart
    ask(app_host, app, "/notes", "PUT", f"of {app}".encode())
    assert [f"of {app}"] in ask(app_host, app, "/notes")
    assert ask(app_host, app, "/session") == [[app, app, True]]
    assert ask(app_host, app, "/count") >= 1


def test_a_role_that_only_reads_has_a_password_of_its_own(apart: tuple[Host, Host]) -> None:
    """It reads from the primary, as the app does, and writes nothing."""
    _, app_host = apart
    urls = environment(app_host, "notes")
    python = "/srv/notes/current/.venv/bin/python"

    def execute(statement: str) -> CommandResult:
        script = f"import psycopg; psycopg.connect('{urls['READ_ONLY_DATABASE_URL']}').execute('{statement}')"
        return app_host.run(f'{python} -c "{script}"')

    assert execute("SELECT text FROM note").succeeded
    assert "permission denied for table note" in execute("DELETE FROM note").stderr
    assert urls["READ_ONLY_DATABASE_URL"].replace("notes_reader:", "notes:") != urls["DATABASE_URL"]


def test_a_second_run_changes_nothing_also_if_it_is_limited(apart: tuple[Host, Host]) -> None:
    """The database host is asked for the secret, whatever the limit."""
    for options in ([], ["--limit=data-app"]):
        site = run(APART, "site", options)
        assert not site.failed, site.output
        assert site.output.count("changed=0") == (1 if options else 3), site.output


def test_the_database_host_listens_at_its_address_alone(apart: tuple[Host, Host]) -> None:
    """And keeps its secrets to itself."""
    database, _ = apart
    listening = [address.rpartition(":") for address in database.check_output(PORTS).split()]
    assert {(address, port) for address, _, port in listening if port != "22"} == {
        ("10.77.77.141", "5432"),
        *((("10.77.77.141", port)) for _, _, port in listening if 10_000 <= int(port) < 20_000),
    }
    assert len(listening) == 2 + 1 + 2  # sshd, PostgreSQL, an instance for each app
    assert database.check_output("stat -c %a /etc/farrier/server_key/secret") == "600"
    keys = database.check_output("stat -c '%a %G' /etc/farrier/server_key/*.key /etc/valkey/farrier.key")
    assert keys.split() == ["600", "root", "640", "postgres", "640", "valkey"]


def test_a_stranger_gets_no_answer(apart: tuple[Host, Host], alone: Host) -> None:
    """With the right password, from a machine that runs none of the apps."""
    database, app_host = apart
    for port in (5432, *valkey_ports(database)):
        open_port = f"timeout 3 bash -c '</dev/tcp/10.77.77.141/{port}'"
        assert app_host.run(open_port).rc == 0
        assert alone.run(open_port).rc == 124
    url = environment(app_host, "notes")["DATABASE_URL"]
    tls = "host=10.77.77.141 user=notes dbname=notes sslmode=require connect_timeout=3"
    password = passwords(app_host)[0]
    assert password in url
    assert alone.run(f"PGPASSWORD={password} psql '{tls}' -c 'SELECT 1'").rc == 2


def test_pg_hba_alone_would_do(apart: tuple[Host, Host], alone: Host) -> None:
    """Where the kernel does not filter addresses, a stranger is refused before a password is asked for."""
    database, app_host = apart
    unit = "postgresql@17-main.service"
    database.check_output(f"systemctl set-property --runtime {unit} IPAddressAllow=10.77.77.140")
    try:
        for user, name in (("notes", "notes"), ("postgres", "postgres"), ("rival-notes", "notes")):
            tls = f"host=10.77.77.141 user={user} dbname={name} sslmode=require connect_timeout=10"
            refused = alone.run(f"PGPASSWORD={passwords(app_host)[0]} psql '{tls}' -c 'SELECT 1'")
            assert refused.rc == 2
            assert "pg_hba.conf" in refused.stderr
    finally:
        database.check_output(f"rm -rf /run/systemd/system.control/{unit}.d; systemctl daemon-reload")


def test_a_client_without_tls_or_with_another_certificate_is_refused(apart: tuple[Host, Host]) -> None:
    """The server wants TLS, and the client wants this server."""
    _, app_host = apart
    url = environment(app_host, "notes")["DATABASE_URL"]
    python = "/srv/notes/current/.venv/bin/python"

    def connect(address: str) -> str:
        said = app_host.run(f"{python} -c 'import psycopg; psycopg.connect(\"{address}\")'")
        return said.stderr

    assert connect(url) == ""
    clear = url.replace("sslmode=verify-full", "sslmode=disable")
    assert "no encryption" in connect(clear)
    other = url.replace(
        "/etc/farrier/server_key/database.farrier.internal.pem", "/etc/ssl/certs/ca-certificates.crt"
    )
    assert "certificate verify failed" in connect(other)


def test_the_replica_has_what_it_needs_to_be_the_primary(apart: tuple[Host, Host]) -> None:
    """The same secret and certificate; and it is none yet: it lets nobody write."""
    database, _ = apart
    replica = reached("data-replica")
    sums = "cd /etc/farrier/server_key && sha256sum secret database.farrier.internal.*"
    assert replica.check_output(sums) == database.check_output(sums)
    writing = "cd /; runuser -u postgres -- psql -d notes -c 'CREATE TABLE t ()'"
    assert "read-only transaction" in replica.run(writing).stderr


def test_an_upgrade_takes_the_replica_before_its_primary(apart: tuple[Host, Host]) -> None:
    """Whatever the order of the inventory; and each is back before the next one begins."""
    upgrade = run(APART, "upgrade", reboot="never")
    assert not upgrade.failed, upgrade.output
    said = " ".join(upgrade.output.split())
    replica = said.index("On data-replica: PostgreSQL 17, replica")
    pause = said.index("Apps have no cache and no database while it restarts on data-database.")
    assert replica < pause < said.index("On data-database: PostgreSQL 17, primary")


def test_a_database_host_is_not_drained(apart: tuple[Host, Host]) -> None:
    """No edge sends it requests."""
    drain = run(APART, "drain", host="data-database", drain="on")
    assert drain.failed
    assert "edges send it no requests, so it cannot be drained" in " ".join(drain.output.split())


def test_build_hooks_know_the_place_and_not_the_password(apart: tuple[Host, Host]) -> None:
    """As of `secrets`, they get none."""
    _, app_host = apart
    settings = json.loads(app_host.file("/etc/farrier/notes/release.json").content_string)
    known = settings["needs_environment"]["DATABASE_URL"]
    assert known.startswith("postgresql://notes@database.farrier.internal:5432/notes?sslmode=verify-full")
    for password in passwords(app_host):
        assert password not in json.dumps(settings)


def valkey_ports(database: Host) -> list[int]:
    """Return the ports of the instances."""
    ports = [int(address.rpartition(":")[2]) for address in database.check_output(PORTS).split()]
    return [port for port in ports if 10_000 <= port < 20_000]
