"""The inventory of monitoring: who watches, and whether hosts reach each other."""

from __future__ import annotations

from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    HostView,
    Problem,
    inventory_problems,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.kit_groups import host_pattern

from tests.unit.plugins.plugin_utils.inventory_schema.test_fleet import host


def check(monitors: dict[str, HostView], **settings: object) -> list[Problem]:
    """Check an inventory of one machine with apps, and these monitors."""
    apps = {"web1": host(1, **settings)}
    groups = {"edge": ["web1"], "app": ["web1"], "monitor": list(monitors)}
    return inventory_problems(groups, {**apps, **monitors})


def test_any_host_may_be_the_monitor() -> None:
    """The only machine, too, and it needs no address."""
    assert check({"watch": host(2)}) == []
    alone = HostView(host(1).apps, settings={"ansible_host": "localhost"})
    assert inventory_problems({"edge": ["a"], "app": ["a"], "monitor": ["a"]}, {"a": alone}) == []


def test_two_monitors_are_refused() -> None:
    """Both are named, and which may stay."""
    [problem] = check({"watch1": host(2), "watch2": host(3)})
    [where, *told] = problem.lines()
    assert "has 2 hosts (watch1, watch2)" in where
    assert "leave one of them: watch1" in " ".join([where, *told])


def test_a_host_without_an_address_cannot_be_asked() -> None:
    """The monitor needs one, too: exporters let in no other."""
    [problem] = check({"watch": host(2)}, ansible_host="localhost")
    assert (problem.subject, problem.key) == ("host web1", "private_address")
    assert "asked by the monitor at this address" in problem.what
    [problem] = check({"watch": host(2, private_address="127.0.0.1")})
    assert "let in by the hosts that it watches at this address" in problem.what


def test_the_pattern_of_all_hosts_has_the_groups_that_are_there() -> None:
    """A play warns of others."""
    assert host_pattern({"all": [], "monitor": ["watch"], "app": ["web1"], "lab": []}) == "app:monitor"
