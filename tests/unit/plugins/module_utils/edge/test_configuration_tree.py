"""What nginx refuses must leave no trace, and what others made must stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import configuration_tree

MARKER = "# made by the kit"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a live configuration with a file of the kit and one of the operator."""
    root = tmp_path / "nginx"
    (root / "kit/apps").mkdir(parents=True)
    (root / "main.conf").write_text("distribution\n")
    (root / "kit/apps/old.conf").write_text(f"{MARKER}\nold\n")
    (root / "kit/apps/operator.conf").write_text("mine\n")
    return root


def wanted(root: Path, **files: str) -> configuration_tree.Changes:
    """Compare with what is wanted."""
    contents = {path.replace("_", "/") + ".conf": content for path, content in files.items()}
    return configuration_tree.compare(root, contents, "kit", MARKER, ["enabled/default"])


def contents(root: Path) -> dict[str, str]:
    """Return the content of every file."""
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_nothing_changes_when_all_is_as_wanted(root: Path) -> None:
    """A second run says that nothing changed."""
    assert not wanted(root, main="distribution\n", kit_apps_old=f"{MARKER}\nold\n")


def test_only_the_kits_own_files_are_removed(root: Path) -> None:
    """The operator's file lies in the same directory."""
    changes = wanted(root, main="distribution\n")
    assert changes.remove == ["kit/apps/old.conf"]
    assert changes.write == {}


def test_unwanted_files_are_removed_even_if_they_lead_nowhere(root: Path) -> None:
    """Debian's default site is a link."""
    (root / "enabled").mkdir()
    (root / "enabled/default").symlink_to("/nonexistent")
    assert "enabled/default" in wanted(root).remove


def test_live_files_are_untouched_until_they_are_published(root: Path) -> None:
    """Between the two nginx is asked, and may refuse."""
    before = contents(root)
    changes = wanted(root, main="new\n", kit_apps_new=f"{MARKER}\nnew\n")
    with configuration_tree.staged(root, changes) as stage:
        assert contents(stage) == {
            "main.conf": "new\n",
            "kit/apps/new.conf": f"{MARKER}\nnew\n",
            "kit/apps/operator.conf": "mine\n",
        }
        assert contents(root) == before
        configuration_tree.publish(stage, root, changes)
    assert contents(root) == {
        "main.conf": "new\n",
        "kit/apps/new.conf": f"{MARKER}\nnew\n",
        "kit/apps/operator.conf": "mine\n",
    }
    assert not stage.exists()


def test_a_run_that_was_killed_leaves_nothing_behind(root: Path) -> None:
    """What it had staged must not find its way into the next stage."""
    leftover = root.with_name(f".{root.name}.staged")
    leftover.mkdir()
    (leftover / "broken.conf").write_text("broken\n")
    with configuration_tree.staged(root, wanted(root, main="new\n")) as stage:
        assert stage == leftover
        assert not (stage / "broken.conf").exists()


def test_what_a_link_leads_to_is_not_written(root: Path, tmp_path: Path) -> None:
    """The stage is a copy with links: writing through one would change the live file it leads to."""
    target = tmp_path / "target"
    target.write_text("elsewhere\n")
    (root / "main.conf").unlink()
    (root / "main.conf").symlink_to(target)
    changes = wanted(root, main="new\n")
    with configuration_tree.staged(root, changes) as stage:
        assert target.read_text() == "elsewhere\n"
        configuration_tree.publish(stage, root, changes)
    assert target.read_text() == "elsewhere\n"
    assert (root / "main.conf").read_text() == "new\n"


@pytest.mark.parametrize(("status", "content"), [(0, True), (1, False)])
def test_complaints_name_the_place_where_the_file_will_be(
    root: Path, tmp_path: Path, status: int, content: bool
) -> None:
    """The stage is gone when the operator reads the message."""
    stage = tmp_path / ".nginx.staged"
    said = configuration_tree.test(
        ["sh", "-c", f"echo wrong in {stage}/kit/a.conf:3 >&2; exit {status}"], stage, root
    )
    assert said == (content, f"wrong in {root}/kit/a.conf:3")
