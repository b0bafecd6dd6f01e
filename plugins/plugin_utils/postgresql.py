"""What the role postgresql computes: settings for a machine, and the URLs of databases."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from urllib.parse import urlencode

from .addresses import endpoint
from .server_keys import certificate

# What the primary of several database hosts is called, in /etc/hosts of app hosts and in the certificate.
PRIMARY_NAME = "database.farrier.internal"
# Of the role that only reads: behind the name of the app, which has no such character; before its variable.
READER = "_reader"
READ_ONLY = "READ_ONLY_"
SOCKET_DIRECTORY = "/run/postgresql"
PORT = 5432

# See RFC 5802; https://www.postgresql.org/docs/current/catalog-pg-authid.html has the form.
_VERIFIER = re.compile(r"SCRAM-SHA-256\$(?P<iterations>\d+):(?P<salt>[^$]+)\$(?P<stored>[^:]+):.+")

# For the operator, backups and monitoring, beside the connections of the apps.
_OWN_CONNECTIONS = 20
_CONNECTIONS_MIN = 100
# Parts of one query's memory that run at the same time: sorts, hashes, parallel workers.
_SORTS_OF_A_QUERY = 3


def settings(memory_mb: int, vcpus: int, connections: int, *, is_shared: bool) -> dict[str, str]:
    """Return settings of PostgreSQL for a machine, as in postgresql.conf.

    Args:
        memory_mb: Memory of the machine in MB.
        vcpus: Processors, from 1.
        connections: What the apps may open at a time, all together; 0 if none of them has a limit.
        is_shared: Whether apps run on the machine, too. Half of its memory is theirs.
    """
    memory_mb = memory_mb // 2 if is_shared else memory_mb
    connections = max(_CONNECTIONS_MIN, connections + _OWN_CONNECTIONS)
    shared_mb = _within(memory_mb // 4, 64, 16_384)
    parallel = min(4, (vcpus + 1) // 2)
    work_mb = (memory_mb - shared_mb) // (connections * _SORTS_OF_A_QUERY)
    return {
        "max_connections": str(connections),
        "shared_buffers": f"{shared_mb}MB",
        "effective_cache_size": f"{max(shared_mb, memory_mb * 3 // 4)}MB",
        "maintenance_work_mem": f"{_within(memory_mb // 16, 32, 2_048)}MB",
        "work_mem": f"{_within(work_mb, 4, 256)}MB",
        "min_wal_size": "256MB",
        "max_wal_size": "2GB",
        # "on" takes a sixth of the processor time of a transaction for the same.
        "wal_compression": "lz4",
        # Of disks without moving parts.
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        # A replica must not have less than its primary, which may have more processors.
        "max_worker_processes": str(max(64, vcpus)),
        "max_parallel_workers": str(vcpus),
        "max_parallel_workers_per_gather": str(parallel),
        "max_parallel_maintenance_workers": str(parallel),
    }


def replication_settings(disk_mb: int) -> dict[str, str]:
    """Return settings of a host that has a replica or is one.

    Args:
        disk_mb: Size of the disk with the databases. A replica that is away may fill a tenth of it with WAL.
    """
    return {"max_slot_wal_keep_size": f"{_within(disk_mb // 10, 1_024, 65_536)}MB"}


def _within(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))


def local_url(scheme: str, name: str, role: str) -> str:
    """Return the URL of a database behind the socket of this host, where no password is asked for.

    The socket is in the query, which all libraries read. A scheme with a driver is for SQLAlchemy: it takes
    the socket before the host, which pydantic's PostgresDsn wants. For others, the host would win.
    """
    host = "localhost" if "+" in scheme else ""
    return f"{scheme}://{role}@{host}/{name}?host={SOCKET_DIRECTORY}"


def remote_url(scheme: str, name: str, role: str, address: str, secret: str) -> str:
    """Return the URL of a database on another host, whose certificate the client is to verify.

    Args:
        scheme: Of the URL. It says which library reads it.
        name: Of the database.
        role: Who connects.
        address: IP address of the host, or its name.
        secret: Password; "" leaves it out.
    """
    user = f"{role}:{secret}" if secret else role
    query = {"sslmode": "verify-full", "sslrootcert": certificate(address)}
    # SQLAlchemy hands what it finds here to asyncpg's connect(), which has no `sslmode`.
    if scheme.endswith("+asyncpg"):
        query = {"ssl": "verify-full"}
    return f"{scheme}://{user}@{endpoint(address, PORT)}/{name}?{urlencode(query, safe='/')}"


def remote_variables(scheme: str, address: str) -> dict[str, str]:
    """Return what the environment needs beside the URL of `remote_url`."""
    return {"PGSSLROOTCERT": certificate(address)} if scheme.endswith("+asyncpg") else {}


def is_password(password: str, verifier: str) -> bool:
    """Tell whether PostgreSQL keeps this password by a SCRAM verifier, as in pg_authid."""
    found = _VERIFIER.fullmatch(verifier)
    if found is None:
        return False
    salt, stored = base64.b64decode(found["salt"]), base64.b64decode(found["stored"])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, int(found["iterations"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored)
