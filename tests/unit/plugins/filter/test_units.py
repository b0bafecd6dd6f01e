"""What of a unit is worth a restart."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

UNIT = """[Unit]
Description=shop

[Service]
# A comment.
ExecStart=/bin/shop
TimeoutStopSec=70
NoNewPrivileges=yes
"""


@pytest.mark.parametrize(
    ("was", "becomes", "same"),
    [
        ("# A comment.", "# Other words.\n; and more", True),
        ("Description=shop", "Description=the shop", True),
        ("TimeoutStopSec=70", "TimeoutStopSec=90\nRestart=always\nExecReload=/bin/true", True),
        ("ExecStart=/bin/shop", "ExecStart=/bin/other", False),
        ("NoNewPrivileges=yes", "", False),
        ("ExecStart=/bin/shop", "ExecStart=/bin/shop\nMemoryMax=1G", False),
    ],
)
def test_a_digest_changes_with_what_a_process_is_started_by(
    load_plugin: Callable[[str, str], ModuleType], was: str, becomes: str, same: bool
) -> None:
    """A comment must not restart a fleet, and a changed sandbox must not go unnoticed."""
    digest = load_plugin("filter", "units").unit_digest
    assert was in UNIT
    assert (digest(UNIT) == digest(UNIT.replace(was, becomes))) == same


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("arq shop.jobs", '"arq" "shop.jobs"'),
        ("sh -c 'echo $HOME 100%'", '"sh" "-c" "echo $$HOME 100%%"'),
        ("""say 'a "b"' 'c\\d' ''""", r'"say" "a \"b\"" "c\\d" ""'),
    ],
)
def test_systemd_reads_the_words_of_a_shell(
    load_plugin: Callable[[str, str], ModuleType], command: str, line: str
) -> None:
    """And expands nothing in them."""
    assert load_plugin("filter", "units").exec_words(command) == line


def test_links_lead_to_directories_that_are_made_and_to_files_that_are_not(
    load_plugin: Callable[[str, str], ModuleType],
) -> None:
    """A file is the app's to make; what is above it has to be there."""
    units = load_plugin("filter", "units")
    app = {"name": "shop", "links": {"logs/": "logs/web", "data/app.db": "data/app.db", "cache": "logs"}}
    assert units.state_directories(app) == ["logs", "logs/web", "data"]
    assert units.state_links(app)["logs"] == "/var/lib/farrier/shop/logs/web"
    assert units.state_links(app)["data/app.db"] == "/var/lib/farrier/shop/data/app.db"
