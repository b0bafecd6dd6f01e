"""The page that is generated from the inventory contract."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import App, Fleet, app_problems
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/inventory.md"


def test_page_is_up_to_date() -> None:
    """The model is the one source; `make docs` brings the page up to date."""
    command = [sys.executable, str(ROOT / "tools/inventory_docs.py"), "--check"]
    check = subprocess.run(command, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr


def test_stale_page_is_found(tmp_path: Path) -> None:
    """The check fails when it should: on a copy of the tree whose page lacks a line."""
    for name in ("tools/inventory_docs.py", "docs/inventory.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "collections").symlink_to(ROOT / "collections")
    command = [sys.executable, str(tmp_path / "tools/inventory_docs.py")]
    page = tmp_path / "docs/inventory.md"
    page.write_text(page.read_text().replace("worker_memory_mb", "memory"))
    assert subprocess.run([*command, "--check"], capture_output=True, check=False).returncode == 1
    assert subprocess.run(command, check=False).returncode == 0
    assert page.read_text() == PAGE.read_text()


def test_first_example_keeps_the_contract() -> None:
    """What a user copies first works once the templates in it are resolved."""
    text = PAGE.read_text().split("```yaml\n")[1].split("```")[0]
    (app,) = yaml.safe_load(text)["apps"]
    assert app_problems({**app, "source": {"path": "/srv/app"}}, 0) == []


@pytest.mark.parametrize(("section", "model"), [("Keys of an app", App), ("Variables of a fleet", Fleet)])
def test_every_key_is_on_the_page(section: str, model: type[BaseModel]) -> None:
    """With its meaning, and "required" where it is."""
    page = PAGE.read_text().split(f"## {section}\n")[1].split("## ")[0]
    for key, field in model.model_fields.items():
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{key}` |")]
        assert str(field.description) in line
        assert ("**required**" in line) == field.is_required()
