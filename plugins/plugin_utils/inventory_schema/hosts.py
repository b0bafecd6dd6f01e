"""What the contract sees of a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .mistakes import MistakeError, Problem

MISSING = object()


Site = tuple[str, tuple[str, ...]]


def site(app: Mapping[str, Any]) -> Site:
    """Return what an app of two hosts has to have in common to be the same: its name and its domains."""
    domains = app.get("domains")
    return str(app["name"]), tuple(map(str, domains)) if isinstance(domains, list | tuple) else ()


@dataclass
class HostView:
    """What the contract sees of one host.

    Attributes:
        apps: The resolved variable `apps`, or MISSING.
        locations: "file:line" of values by their dotted path: in `apps` as "[0].source.git", in `settings` as
            "release_batches[0]".
        variables: Names of all variables of the host, to find a mistyped one.
        settings: The resolved variables of :data:`inventory_schema.SETTINGS` that the host has, by name.
    """

    apps: object = MISSING
    locations: dict[str, str] = field(default_factory=dict)
    variables: list[str] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)

    def entries(self) -> list[Any]:
        """Return the entries of `apps`, of whatever quality; none when it is no list."""
        return self.apps if isinstance(self.apps, list) else []

    def named(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return place and content of each entry of `apps` that has a name, by name."""
        return {
            raw["name"]: (index, raw)
            for index, raw in enumerate(self.entries())
            if isinstance(raw, Mapping) and isinstance(raw.get("name"), str)
        }

    def served(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return those of `named` that have domains, and so answer requests."""
        return {name: entry for name, entry in self.named().items() if entry[1].get("domains")}

    def location(self, index: int, key: str) -> str:
        """Return where a key of an entry was written, or the nearest thing around it; "" if unknown."""
        path = f"[{index}].{key}" if key else f"[{index}]"
        while path and path not in self.locations:
            path = path[: max(path.rfind("."), path.rfind("["))]
        return self.locations.get(path, "")

    def setting_location(self, key: str) -> str:
        """Return where a setting was written; "" if unknown."""
        return self.locations.get(key) or self.locations.get(key.partition("[")[0], "")


def without_address(host: str, view: HostView, mistake: MistakeError, why: str) -> Problem:
    """Return the problem of a host that has no address of use.

    Args:
        host: Its name.
        view: What the contract sees of it.
        mistake: What is wrong with the address.
        why: Who needs it.
    """
    what, location = f"{mistake.what}; {why}", view.setting_location("ansible_host")
    return Problem(f"host {host}", "private_address", "", what, mistake.fix, location)
