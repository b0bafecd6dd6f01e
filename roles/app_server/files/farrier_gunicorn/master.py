"""What a gunicorn master remembers from one reading of its settings file to the next. One a process."""

from __future__ import annotations

import logging
import os
import platform
import socket
import time
import traceback
from pathlib import Path
from typing import Any

from farrier_gunicorn import change, internals, status
from farrier_gunicorn import configuration as configuration_module
from farrier_gunicorn.configuration import Configuration, ConfigurationError, RestartNeededError
from farrier_gunicorn.generation import Generation
from farrier_gunicorn.release import ReleaseChange

_logger = logging.getLogger("gunicorn.error")

_SD_LISTEN_FDS_START = 3


class Master:
    """Filled by the first reading; later ones that are refused leave it as it is."""

    configuration: Configuration
    release_change: ReleaseChange
    generation: Generation
    """The one that workers forked next belong to."""

    def __init__(self) -> None:
        self.settings_error: str | None = None
        self._needs_restart = False
        self.last_generation = 0
        self._loaded = False
        self._started_at = time.time()
        self._published: status.MasterStatus | None = None

    def load(self) -> Configuration:
        """The settings to run with now.

        Raises SystemExit, with the reason, at the first reading only. Later the last good settings are
        returned and `settings_error` says why: a mistake must not end a master whose workers serve.
        """
        if not self._loaded:
            self._load_first()
            return self.configuration
        self._needs_restart = False
        try:
            configuration = configuration_module.load(self._environ)
            self._check_change(configuration)
        except ConfigurationError as error:
            self.settings_error = str(error)
            self._needs_restart = isinstance(error, RestartNeededError)
        except Exception:
            self.settings_error = traceback.format_exc()
        else:
            self.configuration = configuration
            self.settings_error = None
        return self.configuration

    def _load_first(self) -> None:
        self._environ = dict(os.environ)
        try:
            configuration = configuration_module.load(self._environ)
            if configuration.hands_over:
                internals.check(configuration.server)
            self._listeners = _listeners(configuration, self._environ)
        except (ConfigurationError, internals.UnsupportedServerError) as error:
            raise SystemExit(f"gunicorn cannot be started: {error}") from None
        self.configuration = configuration
        self.release_change = ReleaseChange(configuration)
        self._started_in = configuration.release
        self._library = change.library_digest(Path(__file__).parent)
        self._loaded = True

    def _check_change(self, configuration: Configuration) -> None:
        """Raises ConfigurationError for what this master cannot change into."""
        running = self.configuration
        for key in ("name", "run_directory", "hands_over", "server"):
            if getattr(configuration, key) != getattr(running, key):
                shown = "worker_class" if key == "hands_over" else key
                raise RestartNeededError(f"{shown} has changed: farrier-release --app {running.name} restart")
        if not (configuration.virtual_environment / "bin" / "python").exists():
            raise ConfigurationError(
                f"{configuration.virtual_environment} is missing; build the release again"
            )
        obstacle = self.release_change.obstacle(configuration)
        if obstacle:
            raise RestartNeededError(f"{obstacle}: farrier-release --app {running.name} restart")

    @property
    def trusted_proxies(self) -> str:
        """Whose X-Forwarded-* headers are believed: behind a unix socket there is nobody but the proxy."""
        unix = (self.configuration.bind or self._listeners)[0].startswith(("unix:", "/"))
        return "*" if unix else self._environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")

    def new_generation(self, gunicorn_config: Any) -> Generation:
        """The next generation, with the settings read last."""
        self.last_generation += 1
        self.generation = Generation(self.last_generation, self.configuration, gunicorn_config)
        return self.generation

    def publish(
        self,
        *,
        generation: int,
        candidate: int | None,
        workers: int,
        reloads: int,
        settings: str,
        deaths: int = 0,
    ) -> None:
        """Rewrite the status file when something has changed; `settings` is the digest of what serves."""
        release_change = self.release_change
        record = status.MasterStatus(
            pid=os.getpid(),
            started_at=self._started_at,
            release=self._started_in,
            python=platform.python_version(),
            executable=release_change.executable,
            packages=release_change.packages,
            generation=generation,
            workers=workers,
            boot_timeout_seconds=self.configuration.boot_timeout_seconds,
            candidate=candidate,
            reloads=reloads,
            last_generation=self.last_generation,
            settings_error=self.settings_error,
            needs_restart=self._needs_restart,
            unit=self._environ.get(change.UNIT_VARIABLE, ""),
            library=self._library,
            settings=settings,
            worker_class=self.configuration.worker_class,
            listeners=self._listeners,
            deaths=deaths,
        )
        if record == self._published:
            return
        try:
            status.write(self.configuration.run_directory / "master.json", record)
        except OSError as error:
            _logger.warning("The status of the master cannot be written: %s", error)
        else:
            self._published = record


def _listeners(configuration: Configuration, environ: dict[str, str]) -> list[str]:
    """Addresses of the sockets that systemd has handed over, if it is to.

    Raises ConfigurationError when there is nothing to listen on.
    """
    if configuration.bind:
        return []
    if environ.get("LISTEN_PID") != str(os.getpid()):
        raise ConfigurationError(
            f"systemd passed no socket: start {configuration.name}.socket, or set FARRIER_BIND"
        )
    return [_address(_SD_LISTEN_FDS_START + index) for index in range(int(environ["LISTEN_FDS"]))]


def _address(descriptor: int) -> str:
    """Where a socket listens, as systemd writes it."""
    with socket.fromfd(descriptor, socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        name = listener.getsockname()
    if isinstance(name, str):
        return name
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


MASTER = Master()
