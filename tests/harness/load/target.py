"""Where the load goes: addresses that are checked once against the networks they may be in."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_NETWORKS = ("127.0.0.0/8", "::1/128", "10.77.77.0/24", "10.88.0.0/16")
"""Loopback, the lab's network (lab/vars.yml) and podman's own bridge."""

ALLOWABLE_NETWORKS = (*DEFAULT_NETWORKS, "10.0.0.0/8", "192.168.0.0/16")
"""What `--allow` may add: private addresses, never the internet."""


class TargetRefusedError(Exception):
    """The target is not a lab address; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked target. Every connection goes to one of `addresses`; the name is not resolved again.

    Attributes:
        url: scheme, host and port as given, without a trailing slash.
        host: the name for SNI, certificate check and the Host header.
        addresses: the IP addresses that are connected to, each as often as the others.
        port: TCP port.
        tls: the TLS settings, None for plain HTTP.
    """

    url: str
    host: str
    addresses: tuple[str, ...]
    port: int
    tls: ssl.SSLContext | None
    _turns: Iterator[int] = field(default_factory=count, repr=False, compare=False)

    @property
    def authority(self) -> str:
        """Value of the Host header."""
        default_port = 443 if self.tls else 80
        return self.host if self.port == default_port else f"{self.host}:{self.port}"

    def in_turn(self) -> list[str]:
        """Return all addresses, in the order in which the next connection tries them."""
        first = next(self._turns) % len(self.addresses)
        return [*self.addresses[first:], *self.addresses[:first]]


def parse_networks(allow: list[str]) -> list[Network]:
    """Return the default networks and those of `allow` (CIDR notation).

    Raises:
        TargetRefusedError: when one of them is no network, or not a private one.
    """
    limits = [ipaddress.ip_network(text) for text in ALLOWABLE_NETWORKS]
    networks = [ipaddress.ip_network(text) for text in DEFAULT_NETWORKS]
    for text in allow:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise TargetRefusedError(
                f"--allow {text}: {error}. Give a network such as 192.168.1.0/24."
            ) from None
        if not any(_is_inside(network, limit) for limit in limits):
            raise TargetRefusedError(
                f"--allow {text}: not inside {', '.join(ALLOWABLE_NETWORKS)}. The load is for labs alone."
            )
        networks.append(network)
    return networks


def make_target(
    url: str,
    *,
    ca: str | None = None,
    resolve: Mapping[str, Sequence[str]] | None = None,
    allow: list[str] | None = None,
) -> Target:
    """Resolve and check `url`.

    Args:
        url: `https://name[:port]` or `http://name[:port]`, without a path.
        ca: file of the only certificate authority that is trusted; None for the machine's own set.
        resolve: addresses by name, asked before the resolver.
        allow: further networks, see `parse_networks`.

    Raises:
        TargetRefusedError: when the URL is unusable or any of its addresses is outside the networks.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path not in ("", "/"):
        raise TargetRefusedError(f"{url}: give the target as https://name[:port], without a path.")
    networks = parse_networks(allow or [])
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = [_addresses(name, port) for name in (resolve or {}).get(parts.hostname, [parts.hostname])]
    for address in (address for addresses in found for address in addresses):
        if not any(ipaddress.ip_address(address) in network for network in networks):
            raise TargetRefusedError(
                f"{url}: {parts.hostname} is {address}, outside {', '.join(map(str, networks))}."
                " The load goes to lab machines alone; a lab of your own is added with --allow NETWORK."
            )
    return Target(
        url=url.rstrip("/"),
        host=parts.hostname,
        addresses=tuple(dict.fromkeys(addresses[0] for addresses in found)),
        port=port,
        tls=_tls(ca) if parts.scheme == "https" else None,
    )


def _addresses(name: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TargetRefusedError(
            f"{name}: does not resolve ({error}). Give --resolve {name}:ADDRESS."
        ) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_inside(network: Network, limit: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network) and isinstance(limit, ipaddress.IPv4Network):
        return network.subnet_of(limit)
    if isinstance(network, ipaddress.IPv6Network) and isinstance(limit, ipaddress.IPv6Network):
        return network.subnet_of(limit)
    return False


def _tls(ca: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise TargetRefusedError(
            f"--ca {ca}: {error}. Give the lab CA's certificate as a PEM file."
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
