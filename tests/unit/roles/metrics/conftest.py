"""A host below a temporary directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from farrier_metrics.settings import Settings

_PLACES = (
    *("access_log", "releases", "run", "log", "backup_settings", "backup_state", "postgresql"),
    *(
        "reboot_required",
        "cgroups",
        "processes",
        "output",
        "state",
        "drained_directory",
        "maintenance_directory",
    ),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a host that has nothing."""
    places = {name: tmp_path / str(getattr(Settings, name)).lstrip("/") for name in _PLACES}
    for path in (places["output"], places["access_log"], places["state"] / "any"):
        path.parent.mkdir(parents=True, exist_ok=True)
    return replace(Settings(), **places)
