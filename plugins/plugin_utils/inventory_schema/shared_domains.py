"""Apps that share their domains, each below a URL prefix of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

App = dict[str, Any]


def site_apps(apps: Sequence[App], app: App) -> list[App]:
    """Return the apps with the domains of an app, itself included, the one that brings the certificate first.

    That is the app of the whole site ("/"), or else the first in the inventory.

    Args:
        apps: Apps with every key of the contract.
        app: One of them.
    """
    return sorted(
        (one for one in apps if one["domains"] == app["domains"]), key=lambda one: one["path"] != "/"
    )


def leading_apps(apps: Sequence[App]) -> list[App]:
    """Return the apps that bring the certificate of their domains."""
    return [app for app in apps if site_apps(apps, app)[0] is app]
