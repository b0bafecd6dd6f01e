"""What an operator has written is not replaced without a word; what a package brings is nobody's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import foreign_configuration

MARKER = "# made by the kit"
REPLACED = ["nginx.conf", "sites-enabled/default"]
PACKAGED = "of the distribution\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the configuration of a fresh package: its site is a link."""
    (tmp_path / "sites-available").mkdir()
    (tmp_path / "sites-enabled").mkdir()
    for name in ("nginx.conf", "sites-available/default"):
        (tmp_path / name).write_text(PACKAGED)
    (tmp_path / "sites-enabled/default").symlink_to(tmp_path / "sites-available/default")
    return tmp_path


def foreign(root: Path) -> list[str]:
    """Return what is somebody else's, by what dpkg says."""
    digest = hashlib.md5(PACKAGED.encode()).hexdigest()
    said = f"\n {root}/nginx.conf {digest}\n {root}/sites-available/default {digest} obsolete\n\n"
    return foreign_configuration.foreign(root, REPLACED, MARKER, foreign_configuration.packaged(said))


def test_a_fresh_package_is_nobodys(root: Path) -> None:
    """Nor is what is not there."""
    assert foreign(root) == []
    (root / "sites-enabled/default").unlink()
    (root / "nginx.conf").unlink()
    assert foreign(root) == []


def test_the_kits_own_is_nobody_elses(root: Path) -> None:
    """A second run replaces it as it likes."""
    (root / "nginx.conf").write_text(f"{MARKER}\nuser x;\n")
    assert foreign(root) == []


@pytest.mark.parametrize("name", ["nginx.conf", "sites-available/default"])
def test_a_changed_file_is_somebodys(root: Path, name: str) -> None:
    """Also behind the link."""
    (root / name).write_text(f"{PACKAGED}# and a line\n")
    assert foreign(root) == ["nginx.conf" if name == "nginx.conf" else "sites-enabled/default"]


def test_a_site_of_ones_own_under_the_name_default_is_somebodys(root: Path) -> None:
    """A file in place of the link, whatever it says; a link that leads nowhere is nobody's."""
    (root / "sites-enabled/default").unlink()
    (root / "sites-enabled/default").write_text("server { listen 80; }\n")
    assert foreign(root) == ["sites-enabled/default"]
    (root / "sites-enabled/default").unlink()
    (root / "sites-enabled/default").symlink_to("/nonexistent")
    assert foreign(root) == []


def test_copies_have_the_contents_and_are_roots_alone(root: Path, tmp_path: Path) -> None:
    """A configuration may hold secrets."""
    backup = tmp_path / "backups" / "nginx-1"
    foreign_configuration.back_up(root, REPLACED, backup)
    assert [(backup / name).read_text() for name in REPLACED] == [PACKAGED, PACKAGED]
    assert not (backup / "sites-enabled/default").is_symlink()
    assert backup.stat().st_mode & 0o077 == 0
