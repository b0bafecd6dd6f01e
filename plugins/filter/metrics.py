"""Filters for the role metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def metrics_apps(apps: Any) -> list[dict[str, Any]]:
    """Return {"name", "is_web", "processes"} of each app; of each process, how many copies run.

    Args:
        apps: What `apps_of_host` returns.
    """
    return [
        {
            "name": app["name"],
            "is_web": bool(app["domains"]),
            "processes": {name: process["count"] for name, process in app["processes"].items()},
        }
        for app in apps
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"metrics_apps": metrics_apps}
