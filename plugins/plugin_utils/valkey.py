"""What the role valkey computes: the ports and the URLs of the apps' instances."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from urllib.parse import urlencode

from .addresses import endpoint
from .server_keys import certificate

# Below those of the apps, see `inventory_schema.ports`.
_PORTS_FROM = 10_000
_PORTS_COUNT = 10_000
_OF_A_SOCKET = {"redis": "unix", "valkey": "unix", "redis+socket": "redis+socket"}
_OVER_TLS = {"redis": "rediss", "valkey": "valkeys", "redis+socket": "rediss"}
SCHEMES = tuple(_OF_A_SOCKET)


def port(name: str) -> int:
    """Return the port of an app's instance for clients on other machines."""
    return _PORTS_FROM + zlib.crc32(name.encode()) % _PORTS_COUNT


def socket(name: str) -> str:
    """Return the socket of an app's instance."""
    return f"/run/farrier-cache/{name}/valkey.sock"


def local_url(scheme: str, name: str) -> str:
    """Return the URL of the instance behind a socket of this host, where no password is asked for."""
    database = "virtual_host" if scheme == "redis+socket" else "db"
    return f"{_OF_A_SOCKET[scheme]}://{socket(name)}?{database}=0"


def remote_url(scheme: str, name: str, address: str, secret: str) -> str:
    """Return the URL of an instance on another host, whose certificate the client is to verify.

    Args:
        scheme: One of :data:`SCHEMES`.
        name: Of the app.
        address: IP address of the host.
        secret: Password; "" leaves it out.
    """
    user = f":{secret}@" if secret else ""
    query = urlencode({"ssl_cert_reqs": "required", "ssl_ca_certs": certificate(address)}, safe="/")
    return f"{_OVER_TLS[scheme]}://{user}{endpoint(address, port(name))}/0?{query}"


def report(shown: str, processes: str, bounds_mb: Mapping[str, int]) -> tuple[str, str]:
    """Return how the instances do, and which of them do not run; "" if all do.

    Args:
        shown: What `systemctl show` says of their units: Id, ActiveState and MainPID.
        processes: What `ps` says of these processes: number and resident memory in kB.
        bounds_mb: Memory for data, by name.
    """
    resident_kb = dict(line.split() for line in processes.splitlines())
    texts, down = [], []
    for unit in shown.strip().split("\n\n"):
        said = dict(line.split("=", 1) for line in unit.splitlines())
        name = said["Id"].partition("@")[2].removesuffix(".service")
        if said["ActiveState"] == "active":
            memory_mb = int(resident_kb.get(said["MainPID"], 0)) / 1024
            texts.append(
                f"Valkey of {name}: {memory_mb:.0f} MB of memory, bound of its data {bounds_mb[name]} MB"
            )
        else:
            texts.append(f"Valkey of {name}: {said['ActiveState']}")
            down.append(f"{said['Id']} is {said['ActiveState']}. Next: journalctl -u {said['Id']}")
    return "; ".join(texts), "; ".join(down)
