"""The settings of one application: `/etc/farrier/APP/release.json`, validated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from farrier_release.errors import ConfigurationError

CONFIGURATION_DIRECTORY = Path("/etc/farrier")
RELEASE_PATTERN = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Edge:
    """Where a request goes through nginx to the application.

    Args:
        address: IP address or host name to connect to.
        port: TCP port.
        host: name to ask for (Host header and TLS server name).
        prefix: of the application's paths on that name.
        tls: whether the port speaks TLS. The certificate is not judged: that is not what is verified here.
    """

    address: str
    port: int
    host: str
    tls: bool = True
    prefix: str = "/"


@dataclass(frozen=True)
class Hooks:
    """Commands around the phases, each a line that is split as a shell would, and run without a shell.

    The build hooks run as the build user, the only one who may write in a release; the others as the
    application's user.
    """

    before_build: tuple[str, ...] = ()
    after_build: tuple[str, ...] = ()
    before_activate: tuple[str, ...] = ()
    after_activate: tuple[str, ...] = ()
    after_rollback: tuple[str, ...] = ()


@dataclass(frozen=True)
class Process:
    """A process that runs beside the web process.

    Args:
        command: a line, split as a shell would split it.
        count: how many copies run.
        once: whether two must never run at a time.
        stop_signal: name of the signal that ends it.
        stop_timeout_seconds: how long that may take.
        memory_max_mb: of one copy; None for no limit.
    """

    command: str
    count: int = 1
    once: bool = False
    stop_signal: str = "SIGTERM"
    stop_timeout_seconds: int = 60
    memory_max_mb: int | None = None


@dataclass(frozen=True)
class Timer:
    """A command that systemd starts at given times.

    Args:
        command: a line, split as a shell would split it.
        schedule: what systemd goes by.
        once: whether it runs on one host of the fleet only.
    """

    command: str
    schedule: str
    once: bool = False


@dataclass(frozen=True)
class Configuration:
    """Settings of one application. Only `name` has to be given; the rest has the conventional place or value.

    Durations are in seconds, sizes in megabytes of 1024 * 1024 bytes.
    """

    name: str
    user: str = ""
    build_user: str = ""
    root: Path = Path()
    # Whether it answers requests. Otherwise it is processes and timers alone, without service and socket.
    web: bool = True
    # `stop_first`: only one copy may run. Nothing is rehearsed; the old one ends before the new one starts.
    handover: str = "overlap"
    service: str = ""
    socket_unit: str = ""
    # A unix socket's path, or address:port.
    socket: str = ""
    run_directory: Path = Path()
    # {release} is replaced by the release's id.
    rehearsal_unit: str = ""
    rehearsal_directory: Path = Path()
    # The same; below the directory, each has one of its own.
    stand_in_unit: str = ""
    stand_in_directory: Path = Path()
    lock_directory: Path = Path("/run/farrier")
    log_directory: Path = Path()
    gunicorn_settings: Path = Path()
    library_directory: Path = Path("/usr/local/lib/farrier")
    # This tool, for the units that it starts.
    tool: Path = Path("/usr/local/bin/farrier-release")

    health_path: str = "/healthz"
    health_status: int = 200
    health_host: str = "localhost"
    edge: Edge | None = None

    subdir: str = ""
    # None: the distribution's. "3.13": that version. "/opt/python/bin/python3": that one.
    python: str | None = None
    python_directory: Path = Path("/opt/farrier/python")
    python_mirror: str | None = None
    uv: Path = Path("/opt/farrier/tools/bin/uv")
    server_requirements: Path = Path("/usr/local/lib/farrier/farrier_release/requirements/server.txt")
    build_environment: Mapping[str, str] = field(default_factory=dict)
    # The application's variables that are no secrets, for build hooks.
    hook_environment: Mapping[str, str] = field(default_factory=dict)
    # What leads it to its databases, without passwords. A deploy does not change it.
    needs_environment: Mapping[str, str] = field(default_factory=dict)

    hooks: Hooks = Hooks()
    # Places in the project, each with what a symlink there leads to.
    links: Mapping[str, str] = field(default_factory=dict)
    migrate: tuple[str, ...] = ()
    # What the inventory said of the app when site.yml last ran, by key; of the environment a digest.
    inventory: Mapping[str, Any] = field(default_factory=dict)
    # For an app whose start-up reads what the migration makes. The first release always migrates before.
    migrate_before_rehearsal: bool = False
    # Save first what the app keeps.
    backup_before_migrate: bool = False
    task_properties: tuple[str, ...] = ()
    processes: Mapping[str, Process] = field(default_factory=dict)
    timers: Mapping[str, Timer] = field(default_factory=dict)
    unit_directory: Path = Path("/etc/systemd/system")

    keep_releases: int = 5
    free_disk_min_mb: int = 512
    build_timeout_seconds: int = 900
    rehearsal_timeout_seconds: int = 60
    rehearsal_seconds: float = 2.2
    task_timeout_seconds: int = 900
    migrate_timeout_seconds: int = 3600
    verify_timeout_seconds: int = 30
    service_timeout_seconds: int = 300
    lease_stale_seconds: int = 3600
    # Watched for this long after it went live. The hand-over master keeps the former workers for 10 s.
    watch_seconds: int = 15

    @property
    def seen_by_builds(self) -> dict[str, str]:
        """The application's variables that build hooks have."""
        return {**self.hook_environment, **self.needs_environment}

    @property
    def releases_directory(self) -> Path:
        """Directory of all releases."""
        return self.root / "releases"

    @property
    def current(self) -> Path:
        """The symlink to the live release."""
        return self.root / "current"

    @property
    def former(self) -> Path:
        """The symlink to the release that was live before, whose assets pages in browsers still ask for."""
        return self.root / "former"

    @property
    def incoming_directory(self) -> Path:
        """Where source archives arrive; root's."""
        return self.root / "incoming"

    @property
    def cache_directory(self) -> Path:
        """uv's cache. Below `root`: within one mount of the build's sandbox, uv links instead of copying."""
        return self.root / "cache"

    @property
    def tls(self) -> bool:
        """Whether clients come by TLS; where nginx is on other hosts, they do."""
        return self.edge is None or self.edge.tls

    def release_directory(self, release: str) -> Path:
        """Directory of one release."""
        return self.releases_directory / release

    def rehearsal_unit_of(self, release: str) -> str:
        """Name of the unit that rehearses a release."""
        return self.rehearsal_unit.format(release=release)

    def stand_in_unit_of(self, release: str) -> str:
        """Name of the unit that serves a release while the service restarts."""
        return self.stand_in_unit.format(release=release)


_PATTERNS = {
    "name": (NAME_PATTERN, "a slug: a lower-case letter, then up to 30 of a-z 0-9 -"),
    "health_path": (re.compile(r"/[!-~]*"), "a path that begins with /"),
    "health_host": (re.compile(r"[A-Za-z0-9._:\[\]-]+"), "a host name"),
    "subdir": (re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$))[^\0]*"), "a relative path without .."),
    "python": (re.compile(r"/.+|3\.\d+(\.\d+)?"), "a version such as 3.13, or an absolute path"),
    "handover": (re.compile("overlap|stop_first"), "overlap or stop_first"),
    "rehearsal_unit": (re.compile(r".+\{release\}.*"), "a unit name with {release} in it"),
    "stand_in_unit": (re.compile(r".+\{release\}.*"), "a unit name with {release} in it"),
}
_BESIDE: dict[str, type] = {"Mapping[str, Process]": Process, "Mapping[str, Timer]": Timer}
_MINIMUM = {"keep_releases": 2, "rehearsal_seconds": 0, "free_disk_min_mb": 0, "watch_seconds": 0}


def load(
    app: str, directory: Path = CONFIGURATION_DIRECTORY, *, ignore_unknown: bool = False
) -> Configuration:
    """Read the settings of an application.

    Args:
        app: its name.
        directory: where `APP/release.json` is.
        ignore_unknown: whether keys of another version of the kit are no error.

    Raises:
        ConfigurationError: unknown application, unreadable file, or a key that is unknown, mistyped or
            impossible.
    """
    if not NAME_PATTERN.fullmatch(app):
        raise ConfigurationError(f"{app!r} is not the name of an application.")
    path = directory / app / "release.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = sorted(found.parent.name for found in directory.glob("*/release.json"))
        raise ConfigurationError(
            f"This host has no application {app!r} (no {path}). It has: {', '.join(known) or 'none'}.",
            next_command="ansible-playbook farrier.kit.site",
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"Cannot read {path}: {error}", next_command="ansible-playbook farrier.kit.site"
        ) from error
    if ignore_unknown and isinstance(data, dict):
        ours = {one.name for one in fields(Configuration)}
        data = {key: value for key, value in data.items() if key in ours}
    return parse(data, str(path))


def parse(data: Any, where: str) -> Configuration:
    """Turn decoded JSON into settings.

    Args:
        data: what the file holds.
        where: named in errors.

    Raises:
        ConfigurationError: a key is missing, unknown, mistyped or impossible.
    """
    values = _fields(Configuration, data, where)
    if "name" not in values:
        raise ConfigurationError(f"{where}: name is missing.")
    for key, (pattern, expected) in _PATTERNS.items():
        if values.get(key) is not None and not pattern.fullmatch(values[key]):
            raise ConfigurationError(f"{where}: {key} is {values[key]!r}; expected {expected}.")
    for key, value in values.items():
        lowest = _MINIMUM.get(key, 1)
        if type(value) in (int, float) and value < lowest:
            raise ConfigurationError(f"{where}: {key} is {value}; expected {lowest} or more.")
    name = values["name"]
    conventional: dict[str, Any] = {
        "user": name,
        "build_user": f"{name}-build",
        "root": Path("/srv") / name,
        "service": f"{name}.service",
        "socket_unit": f"{name}.socket",
        "socket": f"/run/farrier/sockets/{name}.sock",
        "run_directory": Path("/run/farrier") / name,
        "rehearsal_unit": f"{name}-rehearsal@{{release}}.service",
        "rehearsal_directory": Path(f"/run/farrier/{name}-rehearsal"),
        "stand_in_unit": f"{name}-stand-in@{{release}}.service",
        "stand_in_directory": Path(f"/run/farrier/{name}-stand-in"),
        "log_directory": Path("/var/log/farrier") / name,
        "gunicorn_settings": CONFIGURATION_DIRECTORY / name / "gunicorn.json",
    }
    return Configuration(**{**conventional, **values})


def changed(configuration: Configuration, data: Any) -> Configuration:
    """The settings with others for some keys, as decoded JSON.

    Raises:
        ConfigurationError: a key is unknown or mistyped.
    """
    return replace(configuration, **_fields(Configuration, data, "settings of the deploy"))


def _fields(kind: type, data: Any, where: str) -> dict[str, Any]:
    """Check that `data` is an object with keys of `kind` alone and values of their types."""
    if not isinstance(data, dict):
        raise ConfigurationError(f"{where}: expected an object, not {type(data).__name__}.")
    known = {one.name: str(one.type) for one in fields(kind)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}. Known: {', '.join(sorted(known))}.")
    return {key: _value(known[key], value, f"{where}: {key}") for key, value in data.items()}


def _value(kind: str, value: Any, where: str) -> Any:
    """Check and convert one value to the annotated type `kind`."""
    if kind.endswith(" | None"):
        return None if value is None else _value(kind.removesuffix(" | None"), value, where)
    if kind in ("Edge", "Hooks"):
        return (Edge if kind == "Edge" else Hooks)(**_fields(Edge if kind == "Edge" else Hooks, value, where))
    if kind == "tuple[str, ...]" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if (
        kind == "Mapping[str, str]"
        and isinstance(value, dict)
        and all(isinstance(v, str) for v in value.values())
    ):
        return value
    if kind == "Mapping[str, Any]" and isinstance(value, dict):
        return value
    if kind in _BESIDE and isinstance(value, dict):
        of = _BESIDE[kind]
        return {name: of(**_fields(of, one, f"{where}.{name}")) for name, one in value.items()}
    if kind == "Path" and isinstance(value, str) and value.startswith("/"):
        return Path(value)
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str) and value:
        return value
    if kind == "str" and where.endswith(": subdir") and value == "":
        return value
    if kind == "int" and type(value) is int:
        return value
    if kind == "float" and type(value) in (int, float):
        return float(value)
    expected = {
        "tuple[str, ...]": "a list of strings",
        "Mapping[str, str]": "an object of strings",
        "Mapping[str, Any]": "an object",
        **dict.fromkeys(_BESIDE, "an object of objects"),
        "Path": "an absolute path",
        "str": "a text",
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
    }[kind]
    raise ConfigurationError(f"{where} is {value!r}; expected {expected}.")
