"""What the operator reads at the end of a deploy to several hosts, and where a fleet runs two releases."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.rollout import mixed, table

OLD, NEW = "20261120T101500Z-3f2c1ab0", "20261121T165606Z-f9051f1a"
ROWS: list[dict[str, Any]] = [
    {"host": "web1", "from": OLD, "to": NEW, "path": "reload", "seconds": 9.04, "result": "live"},
    {"host": "web10", "from": None, "to": NEW, "path": "start", "seconds": 12, "result": "live"},
    {"host": "web2", "from": NEW, "to": NEW, "result": "unchanged"},
]


def test_table_reads_as_intended() -> None:
    """Columns are as wide as their widest entry, numbers end in one place."""
    assert table(ROWS) == [
        "host   from                       to                         path    seconds  result",
        f"web1   {OLD}  {NEW}  reload      9.0  live",
        f"web10  -                          {NEW}  start      12.0  live",
        f"web2   {NEW}  {NEW}  -             -  unchanged",
    ]


def test_table_without_hosts_has_its_columns() -> None:
    """A deploy that reached nobody has an end, too."""
    assert table([]) == ["host  from  to  path  seconds  result"]


@pytest.mark.parametrize(
    "releases",
    [
        {},
        {"web1": None, "web2": None},
        {"web1": NEW},
        {"web1": NEW, "web2": "20261122T000000Z-f9051f1a"},
    ],
)
def test_one_version_is_not_mixed(releases: dict[str, str | None]) -> None:
    """Each host has an id of its own time for what was built there."""
    assert mixed(releases) == ""


def test_mixed_fleet_is_told_with_its_choices() -> None:
    """The part after the time says the version, hyphens in it included."""
    assert mixed({"web1": f"{OLD}-1", "web2": f"{NEW}-1"}) == (
        "The hosts do not run the same release:\n"
        f"    web1: {OLD}-1\n"
        f"    web2: {NEW}-1\n"
        "Bring them to one release: ansible-playbook farrier.kit.rollback -e release=ID\n"
        "Or deploy over it: add -e mixed=accept"
    )


def test_host_without_a_release_cannot_go_back() -> None:
    """A machine that has just joined is deployed to."""
    message = mixed({"web1": NEW, "web2": None})
    assert "    web2: none\n" in message
    assert "rollback" not in message
    assert "mixed=accept" in message
