"""Reads how gunicorn is to run one app: gunicorn.json, environment.json and what units override."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farrier_gunicorn.servers import SERVERS, WORKER_CLASSES, of_release

# What a drain needs on top of the proxy's keep-alive: a margin, and time for the app's shutdown handlers.
_DRAIN_MARGIN_SECONDS = 2


class ConfigurationError(Exception):
    """A setting that gunicorn cannot be run with. Names file, key and fix; no value of the environment."""


class RestartNeededError(ConfigurationError):
    """Settings that a master cannot change into; one that is started with them can."""


@dataclass(frozen=True)
class Configuration:
    """One app's settings, checked. All durations are in seconds."""

    name: str
    module: str
    current: Path
    release_directory: Path
    """Real path of the release, so that a worker stays in it when `current` moves on."""
    root_path: str
    """URL prefix of the app, which the proxy takes off before it asks."""
    subdir: str
    run_directory: Path
    environment_file: Path
    worker_class: str
    workers: int
    threads: int
    """Of each worker, for WSGI."""
    handover: str
    """How the app gets to another release: `overlap`, or `stop_first` where only one copy may run."""
    timeout_seconds: int
    graceful_timeout_seconds: int
    boot_timeout_seconds: int
    keepalive_seconds: int
    proxy_keepalive_seconds: int
    backlog: int
    max_requests: int
    max_requests_jitter: int
    worker_memory_max_mb: int
    """At which a worker is replaced; 0 for never."""
    bind: tuple[str, ...]
    """Empty under systemd, which hands over its socket."""
    environment: Mapping[str, str]
    """Of the app; holds secrets."""
    digest: str
    """Of what was read, to tell whether the files have changed since."""

    @property
    def release(self) -> str:
        """Id of the release."""
        return self.release_directory.name

    @property
    def project_directory(self) -> Path:
        """Where the app's project lies inside its release."""
        return self.release_directory / "source" / self.subdir

    @property
    def virtual_environment(self) -> Path:
        """The release's own virtual environment."""
        return self.release_directory / ".venv"

    @property
    def hands_over(self) -> bool:
        """Whether the hand-over master and worker are used, rather than the stock ones."""
        return WORKER_CLASSES[self.worker_class].hands_over

    @property
    def server(self) -> str:
        """What answers requests within a worker."""
        return WORKER_CLASSES[self.worker_class].server

    @property
    def interface(self) -> str:
        """What the app is: `asgi` or `wsgi`."""
        return SERVERS[self.server].interface


def digest(settings: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Digest of the contents of gunicorn.json and environment.json, however they are laid out."""
    return hashlib.sha256(json.dumps([settings, environment], sort_keys=True).encode()).hexdigest()


def load(environ: Mapping[str, str]) -> Configuration:
    """Read the configuration that `environ` points to with FARRIER_SETTINGS.

    Raises ConfigurationError for everything that is wrong with it.
    """
    if "FARRIER_SETTINGS" not in environ:
        raise ConfigurationError(
            "FARRIER_SETTINGS is not set; the unit sets it to /etc/farrier/APP/gunicorn.json"
        )
    path = Path(environ["FARRIER_SETTINGS"])
    current = Path(read_settings(path)["current"])
    release_directory = _release_directory(current, environ.get("FARRIER_RELEASE_DIRECTORY"))
    path = brought_by(release_directory, path)
    values = read_settings(path)
    settings = dict(values)
    if "FARRIER_WORKERS" in environ:
        values["workers"] = _workers_override(environ["FARRIER_WORKERS"])
    if "FARRIER_RUN_DIRECTORY" in environ:
        values["run_directory"] = environ["FARRIER_RUN_DIRECTORY"]
    _check_relations(path, values)

    environment_file = brought_by(release_directory, Path(values["environment_file"]))
    environment = read_environment(environment_file)
    configuration = Configuration(
        **{
            **values,
            "current": current,
            "release_directory": release_directory,
            "run_directory": Path(values["run_directory"]),
            "environment_file": environment_file,
            "worker_class": environ.get("FARRIER_WORKER_CLASS")
            or _worker_class_for(values["worker_class"], release_directory),
            "bind": tuple(filter(None, [environ.get("FARRIER_BIND")])),
            "environment": {**environment, "RELEASE_ID": release_directory.name},
            "digest": digest(settings, environment),
        }
    )
    if not configuration.project_directory.is_dir():
        raise ConfigurationError(
            f"{path}: subdir {configuration.subdir!r}: there is no {configuration.project_directory}"
        )
    return configuration


def brought_by(release_directory: Path, path: Path) -> Path:
    """What is read in place of `path`: the file that a deploy has brought with a release, or `path`."""
    own = path.with_name(f"{path.stem}.{release_directory.name}{path.suffix}")
    return own if own.exists() else path


def read_settings(path: Path) -> dict[str, Any]:
    """What gunicorn.json holds, each value checked. Raises ConfigurationError."""
    values = {**_ADDED_LATER, **_read_object(path)}
    _check_values(path, values)
    return values


def read_environment(path: Path) -> dict[str, str]:
    """The app's environment variables. Raises ConfigurationError, which names a variable, never a value."""
    values = _read_object(path)
    for name, value in values.items():
        if not name or "=" in name or "\0" in name:
            raise ConfigurationError(f"{path}: {name!r} is not a name for an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise ConfigurationError(f"{path}: the value of {name} must be a string without NUL characters")
    return values


def _read_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or brackets without an end
        raise ConfigurationError(f"{path}: holds what no settings are made of; run site.yml again") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: must hold one JSON object")
    return values


def _release_directory(current: Path, pinned: str | None) -> Path:
    given = Path(pinned) if pinned else current
    try:
        return given.resolve(strict=True)
    except OSError as error:
        raise ConfigurationError(f"{given}: no release there: {error.strerror}") from None


def worker_class(values: Mapping[str, Any]) -> str:
    """The worker class of the release that `current` points to, by what gunicorn.json holds."""
    return _worker_class_for(values["worker_class"], Path(values["current"]))


def _worker_class_for(named: str, release_directory: Path) -> str:
    """A release keeps the server that it was built for, whatever the settings say by now."""
    try:
        manifest = json.loads((release_directory / ".farrier.json").read_bytes())
    except (OSError, ValueError):  # there is no release yet
        return named
    return of_release(named, manifest)


def _whole_number(least: int) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            return f"must be a whole number of at least {least}"
        return None

    return problem


def _absolute_path(value: Any) -> str | None:
    return None if isinstance(value, str) and Path(value).is_absolute() else "must be an absolute path"


def _matching(pattern: str, description: str) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        return None if isinstance(value, str) and re.fullmatch(pattern, value) else f"must be {description}"

    return problem


def _worker_class(value: Any) -> str | None:
    return None if value in WORKER_CLASSES else f"must be one of {', '.join(WORKER_CLASSES)}"


def _subdirectory(value: Any) -> str | None:
    if not isinstance(value, str) or Path(value).is_absolute() or ".." in Path(value).parts:
        return "must be a path inside the release's source, or empty"
    return None


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "name": _matching(r"[a-z][a-z0-9-]{0,30}", "a slug such as my-app"),
    # Empty where there is no web process.
    "module": _matching(r"(\w+(\.\w+)*:\w+(\(.*\))?)?", "of the form package.module:attribute"),
    "current": _absolute_path,
    "run_directory": _absolute_path,
    "environment_file": _absolute_path,
    "worker_class": _worker_class,
    "workers": _whole_number(1),
    "threads": _whole_number(1),
    "handover": _matching("overlap|stop_first", "overlap or stop_first"),
    "timeout_seconds": _whole_number(1),
    "graceful_timeout_seconds": _whole_number(1),
    "keepalive_seconds": _whole_number(1),
    "proxy_keepalive_seconds": _whole_number(0),
    "backlog": _whole_number(1),
    "max_requests": _whole_number(0),
    "max_requests_jitter": _whole_number(0),
    "worker_memory_max_mb": _whole_number(0),
    "boot_timeout_seconds": _whole_number(1),
    "root_path": _matching(r"(/[A-Za-z0-9._~-]+)*", "a URL prefix such as /api, or empty"),
    "subdir": _subdirectory,
}


# What a file of an earlier version does not have: it is read between two steps of an upgrade.
_ADDED_LATER: dict[str, Any] = {
    "root_path": "",
    "worker_memory_max_mb": 0,
    "threads": 1,
    "handover": "overlap",
}


def _check_values(path: Path, values: dict[str, Any]) -> None:
    for key in sorted(_CHECKS.keys() | values.keys()):
        if key not in values:
            raise ConfigurationError(f"{path}: {key} is missing")
        if key not in _CHECKS:
            raise ConfigurationError(f"{path}: there is no setting {key}; remove it")
        problem = _CHECKS[key](values[key])
        if problem:
            raise ConfigurationError(f"{path}: {key} {problem}, not {values[key]!r}")


def _check_relations(path: Path, values: dict[str, Any]) -> None:
    proxy_keepalive = values["proxy_keepalive_seconds"]
    if values["keepalive_seconds"] <= proxy_keepalive:
        raise ConfigurationError(
            f"{path}: keepalive_seconds must be longer than proxy_keepalive_seconds ({proxy_keepalive}): "
            "gunicorn would close connections that the proxy is about to use"
        )
    if values["graceful_timeout_seconds"] < proxy_keepalive + _DRAIN_MARGIN_SECONDS:
        raise ConfigurationError(
            f"{path}: graceful_timeout_seconds must be at least {proxy_keepalive + _DRAIN_MARGIN_SECONDS}, "
            "so that the proxy closes its idle connections within it"
        )


def _workers_override(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ConfigurationError(f"FARRIER_WORKERS must be a whole number of at least 1, not {value!r}")
    return int(value)
