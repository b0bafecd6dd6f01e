"""Every file that names a range of ansible-core names the one of the inventory contract."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.versions import (
    CORE_BEFORE,
    CORE_OLDEST,
)

ROOT = Path(__file__).resolve().parents[2]
OLDEST, BEFORE = (".".join(map(str, version)) for version in (CORE_OLDEST, CORE_BEFORE))
NEWEST = f"{CORE_BEFORE[0]}.{CORE_BEFORE[1] - 1}"


def test_the_lock_and_the_collection_take_the_same_ansible_core() -> None:
    """What pip installs is what a run accepts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"ansible-core>={OLDEST},<{BEFORE}" in project["dependencies"]
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
    assert runtime["requires_ansible"] == f">={OLDEST}.0,<{BEFORE}.0"


def test_roles_name_the_oldest_ansible_core() -> None:
    """Ansible Galaxy shows it."""
    named = {
        yaml.safe_load(path.read_text())["galaxy_info"]["min_ansible_version"]
        for path in ROOT.glob("roles/*/meta/main.yml")
    }
    assert named == {OLDEST}


def test_the_strategy_and_the_readme_name_the_newest_one() -> None:
    """A core without a tested mitogen would be slow without a word in the changelog."""
    series = re.findall(r"\((\d+), (\d+)\)", (ROOT / "plugins/strategy/farrier.py").read_text())
    assert {(int(major), int(minor)) for major, minor in series} >= {
        (CORE_OLDEST[0], minor) for minor in range(CORE_OLDEST[1], CORE_BEFORE[1])
    }
    assert f"ansible-core {OLDEST} to {NEWEST}" in (ROOT / "README.md").read_text()
