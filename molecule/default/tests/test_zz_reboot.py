"""Last of all: the host goes down and comes up, and nobody helps."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

GROUP = "app"
PODMAN = Path(__file__).resolve().parents[3] / "playbooks/lab/podman"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def rebooted(request: pytest.FixtureRequest, host: Host) -> str:
    """Return the name of the host after its container was stopped, as a machine is, and started again."""
    name = host.check_output("hostname")
    subprocess.run([PODMAN, "stop", "--time", "30", name], check=True, capture_output=True)
    subprocess.run([PODMAN, "start", name], check=True, capture_output=True)
    return name
