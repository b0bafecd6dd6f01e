"""Whose word is taken for where a request came from."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


class Trust:
    """In proxies.

    Args:
        proxies: addresses and networks, or `*` for whoever connects.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        named = list(proxies)
        self._in_all = "*" in named
        self._networks = [] if self._in_all else list(map(ipaddress.ip_network, named))

    def believes(self, peer: str) -> bool:
        """Whether a peer, by its address, is one of them."""
        return self._in_all or (
            bool(peer) and any(ipaddress.ip_address(peer) in network for network in self._networks)
        )
