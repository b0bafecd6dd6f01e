"""Which URL prefixes of an app nginx treats differently, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from .model import EdgePath
from .prefixes import around


def locations(app: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the places, longer prefixes first, the whole site ("/") always among them.

    Each has what the contract's `edge.paths` says of it; what it leaves out it has of the nearest prefix
    around it that says so, so that a place inside a protected one is protected.

    Args:
        app: One app with every key of the contract.

    Returns:
        For each place its `prefix` on the domain, the app's own `path` included, an `id` that is unique on
        the host and stays the same, `kind` ("static" for files of the project, "front_end" for those of a
        whole site, "media" for files of the state, "" for the app), the `directory` of the files (None where
        the app answers), the prefix that is `outside` of that directory, and every key of `edge.paths`, None
        where nobody says anything.
    """
    paths = app["edge"]["paths"]
    own_path = app["path"].rstrip("/")
    answers = {
        "/": ("", None),
        **dict.fromkeys(app["app_paths"], ("", None)),
        **{
            prefix if prefix == "/" else prefix.rstrip("/"): (kind, directory.rstrip("/"))
            for kind in ("media", "static")
            for prefix, directory in app[kind].items()
        },
    }
    places = []
    for prefix in sorted({*paths, *answers}, key=lambda prefix: (-len(prefix), prefix)):
        place: dict[str, Any] = dict.fromkeys(EdgePath.model_fields)
        for one in around(prefix, paths):
            place |= {key: value for key, value in paths[one].items() if value is not None}
        nearest = around(prefix, answers)[-1]
        kind, directory = answers[nearest]
        outside = own_path + prefix.rstrip("/")
        if kind and nearest == "/":
            kind, outside = "front_end", own_path
        elif kind:
            directory += prefix.removeprefix(nearest)
        place |= {
            "prefix": own_path + prefix.rstrip("/") or "/",
            "id": _identity(app["name"], prefix),
            "kind": kind,
            "directory": directory,
            "outside": outside,
        }
        places.append(place)
    return places


def _identity(app: str, prefix: str) -> str:
    return hashlib.sha256(f"{app} {prefix}".encode()).hexdigest()[:8]
