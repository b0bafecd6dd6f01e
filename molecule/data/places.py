"""Where things are in this scenario, and what the apps know."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host

SCENARIO = Path(__file__).resolve().parent
INVENTORY = SCENARIO / "inventory"
APART = SCENARIO / "apart"
DOMAINS = {"notes": "notes.lab.test", "rival-notes": "rival.lab.test"}

Ask = Callable[..., Any]


def environment(host: Host, app: str) -> dict[str, str]:
    """Return what an app has in its environment."""
    found: dict[str, str] = json.loads(host.file(f"/etc/farrier/{app}/environment.json").content_string)
    return found


def passwords(app_host: Host) -> list[str]:
    """Return the passwords in the URLs of the apps: each has two, and one of a role that only reads."""
    urls = [url for app in DOMAINS for url in environment(app_host, app).values() if "@" in url]
    found = [url.partition("@")[0].rpartition(":")[2] for url in urls]
    assert len(found) == 2 * len(DOMAINS) + 1
    assert all(len(password) > 40 for password in found)
    return found
