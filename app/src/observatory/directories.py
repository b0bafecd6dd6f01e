"""Where the application may write: the directories that systemd hands to the service."""

import os
from pathlib import Path


def state_directory() -> Path:
    """Directory for what outlives the service; `state/` below the working directory in development."""
    return _from_systemd("STATE_DIRECTORY") or Path.cwd() / "state"


def runtime_directory() -> Path:
    """Directory for what lives as long as the service; the state directory where there is none."""
    return _from_systemd("RUNTIME_DIRECTORY") or state_directory()


def _from_systemd(variable: str) -> Path | None:
    # systemd separates several directories by a colon; the first is the service's own.
    first = os.environ.get(variable, "").partition(":")[0]
    return Path(first) if first else None
