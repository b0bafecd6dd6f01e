"""Filter that names the service users of a host's apps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def service_users(apps: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return {name, home, comment} of two users per app: one runs it, one builds and owns its releases.

    Args:
        apps: Entries of the inventory's `apps`; only `name` is read.
    """
    users = []
    for app in apps:
        name = app["name"]
        users.append({"name": name, "home": f"/var/lib/farrier/{name}", "comment": f"Runs {name}"})
        users.append(
            {"name": f"{name}-build", "home": f"/var/cache/farrier/{name}", "comment": f"Builds {name}"}
        )
    return users


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"service_users": service_users}
