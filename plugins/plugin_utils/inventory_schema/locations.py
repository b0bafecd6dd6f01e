"""Which URL prefixes of an app nginx treats differently, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from .model import EdgePath


def locations(app: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the places, longer prefixes first, the whole site ("/") always among them.

    Each has what the contract's `edge.paths` says of it; what it leaves out it has of the nearest prefix
    around it that says so, so that a place inside a protected one is protected.

    Args:
        app: One app with every key of the contract.

    Returns:
        For each place its `prefix` on the domain, the app's own `path` included, an `id` that is unique on
        the host and stays the same, the `directory` that its files are in (None where the app answers),
        `kind` ("static" for a directory of the project, "media" for one of the state, "" for the app), and
        every key of `edge.paths`, None where nobody says anything.
    """
    paths = app["edge"]["paths"]
    files = {
        prefix.rstrip("/"): (kind, directory.rstrip("/"))
        for kind in ("static", "media")
        for prefix, directory in app[kind].items()
    }
    places = []
    for prefix in sorted({"/", *paths, *files}, key=lambda prefix: (-len(prefix), prefix)):
        place: dict[str, Any] = dict.fromkeys(EdgePath.model_fields)
        for around in _around(prefix, paths):
            place |= {key: value for key, value in paths[around].items() if value is not None}
        on_domain = f"{app['path'].rstrip('/')}{prefix.rstrip('/')}" or "/"
        place |= {"prefix": on_domain, "id": _identity(app["name"], prefix), "directory": None, "kind": ""}
        for around in _around(prefix, files):
            place["kind"], directory = files[around]
            place["directory"] = directory + prefix.removeprefix(around)
        places.append(place)
    return places


def _identity(app: str, prefix: str) -> str:
    return hashlib.sha256(f"{app} {prefix}".encode()).hexdigest()[:8]


def _around(prefix: str, prefixes: Iterable[str]) -> list[str]:
    """The prefixes that a prefix is within, itself included, the widest first."""
    return sorted(
        (one for one in prefixes if one == "/" or f"{prefix}/".startswith(f"{one}/")),
        key=len,
    )
