"""Which names a certificate with wildcards covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def covers(names: Iterable[str], domain: str) -> bool:
    """Tell whether one of the names of a certificate is good for a domain; a wildcard is for one label."""
    wanted = {domain}
    if not domain.startswith("*."):
        wanted.add(f"*.{domain.partition('.')[2]}")
    return any(name.lower() in wanted for name in names)


def necessary(domains: Sequence[str]) -> list[str]:
    """Return the domains without those that a wildcard among them covers: authorities refuse to have both."""
    wildcards = [domain for domain in domains if domain.startswith("*.")]
    return [domain for domain in domains if domain in wildcards or not covers(wildcards, domain)]
