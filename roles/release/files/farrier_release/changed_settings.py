"""Settings that a deploy brings: in force for its release alone, until it has gone live and stayed healthy.

What processes of the app read lies beside the files that `site.yml` writes, as `environment.RELEASE.json`:
whatever runs in that release reads it in place of `environment.json`. What this tool reads is part of the
transaction. So nothing has to be put back when the release fails.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from farrier_release import config
from farrier_release.application import Application
from farrier_release.errors import ConfigurationError
from farrier_release.storage import read_json, write_bytes, write_json

_FILES = ("environment", "gunicorn")
_ENVIRONMENT = ("env", "secrets")


@dataclass(frozen=True)
class Changes:
    """What is different in the inventory.

    Args:
        keys: of the app, those that differ.
        inventory: what the inventory says of the app, by key; of the environment a digest.
        release: the settings of this tool.
        files: contents by name, `environment` and `gunicorn`, as far as they differ.
    """

    keys: tuple[str, ...] = ()
    inventory: dict[str, Any] | None = None
    release: dict[str, Any] | None = None
    files: dict[str, dict[str, Any]] | None = None

    def record(self) -> dict[str, Any]:
        """What the transaction keeps. No secret is in it."""
        if not self.keys:
            return {}
        return {"keys": list(self.keys), "inventory": self.inventory, "release": self.release}


def compare(application: Application, inventory: dict[str, Any], sent: dict[str, Any]) -> Changes:
    """Compare the host's settings with those of the inventory.

    Args:
        application: whose settings.
        inventory: what the inventory says of the app now, by key; of the environment a digest.
        sent: what a deploy may change: `environment`, `gunicorn` and `release`.

    Raises:
        ConfigurationError: something differs that only `site.yml` changes: the release would not be what the
            operator expects.
    """
    here = application.configuration.inventory
    there = {key: inventory.get(key, value) for key, value in here.items()}
    keys = tuple(sorted(key for key in here if here[key] != there[key]))
    gunicorn = sent.get("gunicorn", {})
    travels = {*(_ENVIRONMENT if "environment" in sent else ()), *gunicorn, *sent.get("release", {})}
    stays = [key for key in keys if key not in travels]
    if stays:
        named = [
            key
            if key in _ENVIRONMENT
            else f"{key} is {here[key]!r} on the host and {there[key]!r} in the inventory"
            for key in stays
        ]
        raise ConfigurationError(
            f"A change in the inventory has not reached this host: {'; '.join(named)} "
            f"(app {application.configuration.name}). A deploy does not bring it.",
            next_command="ansible-playbook farrier.kit.site, then deploy again",
        )
    if not keys:
        return Changes()
    files = {}
    if set(keys) & set(_ENVIRONMENT):
        here_now = read_json(_path(application, "environment")) or {}
        of_needs = {
            name: here_now[name] for name in application.configuration.needs_environment if name in here_now
        }
        files["environment"] = {**sent["environment"], **of_needs}
    if set(keys) & set(gunicorn):
        files["gunicorn"] = {**(read_json(_path(application, "gunicorn")) or {}), **gunicorn}
    return Changes(keys, there, sent.get("release", {}), files)


def told(record: dict[str, Any]) -> str:
    """The keys that differ, to follow what is deployed."""
    return f" with changed {', '.join(record['keys'])}" if record else ""


def stage(application: Application, release: str, changes: Changes) -> None:
    """Write what processes of a release are to read."""
    for name, data in (changes.files or {}).items():
        path = _path(application, name)
        _write(_path(application, name, release), data, like=path)


def in_force(application: Application, record: dict[str, Any]) -> Application:
    """The application with the settings that a transaction, or `Changes.record`, has."""
    if not record:
        return application
    changes = {**record["release"], "inventory": record["inventory"]}
    return replace(application, configuration=config.changed(application.configuration, changes))


def of_live(application: Application) -> Application:
    """The application with the settings of the live release, which may still be watched."""
    transaction = application.state.read()
    is_watched = transaction is not None and transaction.phase == "watch"
    return in_force(application, transaction.settings) if transaction and is_watched else application


def read_anew(application: Application) -> Application:
    """The application with the settings that are on the disk now."""
    settings = application.configuration
    return replace(
        application, configuration=config.load(settings.name, settings.gunicorn_settings.parents[1])
    )


def keep(application: Application, release: str, record: dict[str, Any]) -> None:
    """Make what a release has brought the settings of the application, for good."""
    if not record:
        return
    path = _path(application, "release")
    before = read_json(path) or {}
    changes = {**record["release"], "inventory": record["inventory"]}
    brought = [name for name in _FILES if _path(application, name, release).exists()]
    former = {
        "after": release,
        "keys": record["keys"],
        "inventory": before.get("inventory") or {},
        "release": {key: before[key] for key in record["release"] if key in before},
        "files": {name: read_json(_path(application, name)) or {} for name in brought},
    }
    # Of a call that was interrupted, the first has seen what was before.
    if (read_json(_path(application, "former")) or {}).get("after") != release:
        write_json(_path(application, "former"), former, mode=0o600, durable=True)
    _write(path, {**before, **changes}, like=path)
    for name in brought:
        _path(application, name, release).replace(_path(application, name))


def former(application: Application, release: str | None) -> Changes | None:
    """The way back from what a release has brought, or None where it has brought nothing."""
    found = read_json(_path(application, "former")) or {}
    if release is None or found.get("after") != release:
        return None
    return Changes(tuple(found["keys"]), found["inventory"], found["release"], found["files"])


def drop(application: Application) -> None:
    """Remove what a release has brought that did not go live."""
    directory = application.configuration.gunicorn_settings.parent
    for name in _FILES:
        for path in directory.glob(f"{name}.*.json"):
            path.unlink()


def told_since(application: Application, manifest: dict[str, Any]) -> str:
    """Which settings have changed since a release was deployed, to follow what says that it is live again."""
    then, now = manifest.get("settings") or {}, digests(application)
    keys = [key for key in now if key in then and then[key] != now[key]]
    return f", with the settings of today: {', '.join(keys)} changed since its deploy" if keys else ""


def digests(application: Application) -> dict[str, str]:
    """What the inventory says of each key, in a form that tells nobody anything."""
    return {
        key: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
        for key, value in sorted(application.configuration.inventory.items())
    }


def _path(application: Application, name: str, release: str = "") -> Path:
    directory = application.configuration.gunicorn_settings.parent
    return directory / (f"{name}.{release}.json" if release else f"{name}.json")


def _write(path: Path, data: dict[str, Any], *, like: Path) -> None:
    """Write JSON as `site.yml` does, which then has nothing to change."""
    status = like.stat()
    text = json.dumps(data, indent=4, sort_keys=True) + "\n"
    write_bytes(path, text.encode(), mode=status.st_mode & 0o777, durable=True)
    os.chown(path, status.st_uid, status.st_gid)
