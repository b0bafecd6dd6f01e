"""Settings of PostgreSQL for machines of all sizes, and URLs that its clients understand."""

from __future__ import annotations

import re

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils import postgresql
from ansible_collections.farrier.kit.plugins.plugin_utils.server_keys import password
from pydantic import PostgresDsn, TypeAdapter

CERTIFICATE = "/etc/farrier/server_key/10.0.0.9.pem"


def megabytes(settings: dict[str, str], name: str) -> int:
    """Return a size."""
    return int(re.fullmatch(r"(\d+)MB", settings[name])[1])


def test_a_machine_of_its_own() -> None:
    """A quarter of the memory for buffers, and three quarters counted as cache."""
    settings = postgresql.settings(16_384, 8, 0, is_shared=False)
    assert settings["shared_buffers"] == "4096MB"
    assert settings["effective_cache_size"] == "12288MB"
    assert settings["max_parallel_workers"] == "8"
    assert settings["max_parallel_workers_per_gather"] == "4"
    assert settings["max_connections"] == "100"


def test_apps_on_the_machine_get_half_of_it() -> None:
    """It is what a machine of half the size would have."""
    assert postgresql.settings(16_384, 8, 0, is_shared=True) == postgresql.settings(
        8_192, 8, 0, is_shared=False
    )


@pytest.mark.parametrize("memory_mb", [512, 1024, 4096, 16_384, 131_072, 1_048_576])
@pytest.mark.parametrize("vcpus", [1, 2, 8, 64])
@pytest.mark.parametrize("connections", [0, 90, 500])
@pytest.mark.parametrize("is_shared", [True, False])
def test_it_fits_into_the_memory(memory_mb: int, vcpus: int, connections: int, is_shared: bool) -> None:
    """Buffers, and a sort in every connection; the smallest machines count on few of these at a time."""
    settings = postgresql.settings(memory_mb, vcpus, connections, is_shared=is_shared)
    share_mb = memory_mb // 2 if is_shared else memory_mb
    assert megabytes(settings, "shared_buffers") <= max(64, share_mb // 4)
    assert (
        megabytes(settings, "shared_buffers")
        <= megabytes(settings, "effective_cache_size")
        <= max(64, share_mb)
    )
    sorts_mb = megabytes(settings, "work_mem") * int(settings["max_connections"])
    assert sorts_mb <= max(4 * int(settings["max_connections"]), share_mb // 3)
    assert int(settings["max_connections"]) >= connections + 20
    assert int(settings["max_parallel_workers_per_gather"]) <= int(settings["max_parallel_workers"])
    assert int(settings["max_parallel_workers"]) <= int(settings["max_worker_processes"])


def test_a_url_of_a_socket_has_no_secret() -> None:
    """libpq, asyncpg, dj-database-url and SQLAlchemy read it alike; with a driver, pydantic does, too."""
    plain = postgresql.local_url("postgresql", "my-shop", "my-shop_reader")
    assert plain == "postgresql://my-shop_reader@/my-shop?host=/run/postgresql"
    with_driver = postgresql.local_url("postgresql+asyncpg", "my-shop", "my-shop")
    assert with_driver == "postgresql+asyncpg://my-shop@localhost/my-shop?host=/run/postgresql"
    TypeAdapter(PostgresDsn).validate_python(with_driver)


@pytest.mark.parametrize(
    ("scheme", "query"),
    [
        ("postgresql", f"sslmode=verify-full&sslrootcert={CERTIFICATE}"),
        ("postgresql+psycopg", f"sslmode=verify-full&sslrootcert={CERTIFICATE}"),
        ("postgresql+asyncpg", "ssl=verify-full"),
    ],
)
def test_a_url_of_another_host_verifies_its_certificate(scheme: str, query: str) -> None:
    """In the words of the library that the scheme is for."""
    url = postgresql.remote_url(scheme, "shop", "shop_reader", "10.0.0.9", "secret")
    assert url == f"{scheme}://shop_reader:secret@10.0.0.9:5432/shop?{query}"
    variables = {"PGSSLROOTCERT": CERTIFICATE} if scheme.endswith("asyncpg") else {}
    assert postgresql.remote_variables(scheme, "10.0.0.9") == variables


def test_a_url_for_builds_has_no_password_and_ipv6_has_brackets() -> None:
    """A build hook may read the settings of the app, and cannot connect."""
    assert "//shop@[fd00::9]:5432/" in postgresql.remote_url("postgresql", "shop", "shop", "fd00::9", "")


def test_a_password_is_of_one_secret_one_service_and_one_app() -> None:
    """It is the same at every run, needs no quoting in a URL, and tells nothing of others."""
    found = {
        password(secret, service, name)
        for secret in ("one", "two")
        for service in ("postgresql", "valkey")
        for name in ("shop", "blog")
    }
    assert len(found) == 8
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", one) for one in found)
    assert password("one", "postgresql", "shop") == password("one", "postgresql", "shop")
    assert password("", "postgresql", "shop") == ""


@pytest.mark.parametrize(
    ("disk_mb", "kept"), [(4_000, "1024MB"), (100_000, "10000MB"), (4_000_000, "65536MB")]
)
def test_a_replica_that_is_away_fills_a_tenth_of_the_disk(disk_mb: int, kept: str) -> None:
    """Not less than a moment's WAL, and not more than what is quicker to copy anew."""
    assert postgresql.replication_settings(disk_mb) == {"max_slot_wal_keep_size": kept}
