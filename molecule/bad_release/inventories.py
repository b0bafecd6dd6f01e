"""Inventories in which something of the app is different."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from app_under_load import AppUnderLoad


def inventory_with(app_under_load: AppUnderLoad, directory: Path, **changes: Any) -> Path:
    """Write a copy of the inventory in which keys of the app are different."""
    inventory = directory / "inventory"
    shutil.copytree(app_under_load.inventory, inventory)
    path = inventory / "group_vars/all/apps.yml"
    variables = yaml.safe_load(path.read_text())
    variables["apps"][0] |= changes
    path.write_text(yaml.safe_dump(variables))
    return inventory
