"""Which hosts an edge passes an app's requests to, read from the app's nginx configuration.

Each `server` line of an upstream has the name of its host in a comment on the line before. With several hosts
each has two: the second is a backup that no failure switches off.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

SERVER = re.compile(r"^ *# (?P<host>[^\s:]+).*\n *server (?P<address>\S+)(?P<rest>[^;\n]*);", re.M)
DOWN = " down"
CONNECTIONS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
ESTABLISHED = "01"
CONNECT_SECONDS = 2


@dataclass(frozen=True)
class Server:
    """One line of an upstream.

    Args:
        host: name of the host.
        address: ADDRESS:PORT, or unix:PATH.
        is_out: whether it gets no requests.
    """

    host: str
    address: str
    is_out: bool


def servers(configuration: str) -> list[Server]:
    """Return the hosts that one app's configuration names."""
    return [
        Server(found["host"], found["address"], found["rest"].endswith(DOWN))
        for found in SERVER.finditer(configuration)
    ]


def turned(configuration: str, hosts: Collection[str], *, out: bool) -> str:
    """Return the configuration with some hosts out of the rotation, or in it."""

    def line(found: re.Match[str]) -> str:
        if found["host"] not in hosts:
            return found[0]
        whole = found[0].removesuffix(";").removesuffix(DOWN)
        return f"{whole}{DOWN if out else ''};"

    return SERVER.sub(line, configuration)


def left_without(configuration: str, hosts: Collection[str]) -> list[str]:
    """Return the addresses that would go on to get requests without these hosts, each once."""
    left = (server for server in servers(configuration) if not server.is_out and server.host not in hosts)
    return list(dict.fromkeys(server.address for server in left))


def answers(address: str) -> bool:
    """Tell whether somebody accepts connections at ADDRESS:PORT, or at unix:PATH."""
    try:
        if address.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(CONNECT_SECONDS)
                connection.connect(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def open_connections(addresses: list[str], tables: tuple[Path, ...] = CONNECTIONS) -> int:
    """Return how many connections from here to ADDRESS:PORT are open, of all these addresses."""
    wanted = {_in_hexadecimal(address) for address in addresses if not address.startswith("unix:")}
    return sum(remote in wanted for table in tables for remote in _remotes(table))


def _remotes(table: Path) -> Iterator[str]:
    for line in table.read_text().splitlines() if table.exists() else []:
        _, _, remote, state = line.split()[:4]
        if state == ESTABLISHED:
            yield remote


def _in_hexadecimal(address: str) -> str:
    """ADDRESS:PORT as the kernel writes it: each 32 bits of the address in the byte order of the machine."""
    host, _, port = address.rpartition(":")
    packed = ipaddress.ip_address(host.strip("[]")).packed
    words = [packed[start : start + 4][::-1] for start in range(0, len(packed), 4)]
    return f"{b''.join(words).hex().upper()}:{int(port):04X}"
