"""What of an app an app host has from `site.yml`, in a form that may be compared and shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from .mistakes import Unresolved
from .model import App

# Read by the edges alone, or by the deploy itself.
_ELSEWHERE = {"backup_check", "certificate", "domains", "edge", "name", "request_body_max_mb"}
_SECRET = {"env", "secrets"}
_RELEASE = {
    "backup_before_migrate",
    "health_path",
    "health_status",
    "hooks",
    "keep_releases",
    "migrate",
    "migrate_before_rehearsal",
}
_GUNICORN = {"max_requests", "threads", "worker_memory_max_mb"}


def running_settings(app: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an app by key, with every default filled in.

    Of the environment there is a digest only, which is slow to compute so that values cannot be guessed from
    it. A key whose value cannot be resolved on the controller is left out.

    Args:
        app: An app that keeps to the contract, with or without defaults.
    """
    settings = _settings(app, without=_ELSEWHERE)
    if "source" in settings:
        subdir = settings.pop("source")["subdir"] or ""
        settings["subdir"] = subdir.strip("/")
    for key in ("processes", "timers"):  # one that runs once may be another host's
        settings[key] = {name: one for name, one in settings[key].items() if not one["once"]}
    for key in _SECRET & set(settings):
        settings[key] = _digest(settings[key], app["name"])
    return settings


def travelling_settings(app: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an app a deploy may change on its hosts, as the files there have it.

    Args:
        app: An app that keeps to the contract, with or without defaults.

    Returns:
        `release`, `gunicorn`, and `environment` with all secrets. What the controller cannot resolve is left
        out.
    """
    settings = _settings(app)
    release = {key: settings[key] for key in _RELEASE & set(settings)}
    travelling: dict[str, Any] = {"release": release}
    if "env" in settings:
        release["hook_environment"] = settings["env"]
    if set(settings) >= _SECRET:
        travelling["environment"] = {**settings["env"], **settings["secrets"]}
    if set(settings) >= _GUNICORN:
        travelling["gunicorn"] = {
            "max_requests": settings["max_requests"],
            "max_requests_jitter": settings["max_requests"] // 10,
            "threads": settings["threads"],
            "worker_memory_max_mb": settings["worker_memory_max_mb"] or 0,
        }
    return travelling


def _settings(app: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, Any]:
    """The keys of an app with every default filled in, but those whose value cannot be resolved."""
    known = {key: value for key, value in app.items() if not _is_unresolved(value)}
    return App.model_validate(known).model_dump(exclude={*without, *(app.keys() - known.keys())})


def _is_unresolved(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_unresolved, value.values()))
    if isinstance(value, list):
        return any(map(_is_unresolved, value))
    return isinstance(value, Unresolved)


def _digest(values: dict[str, str], salt: str) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.scrypt(text.encode(), salt=salt.encode(), n=2**13, r=8, p=1, dklen=16).hex()
