"""What an inventory says of firewall and SSH server is checked before any host is touched."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import Guard, HostView
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.guard_settings import (
    guard_problems,
)


def problems(**settings: Any) -> list[str]:
    """Return what is wrong with the settings of two hosts."""
    view = HostView(settings=settings)
    return [" ".join(problem.lines()) for problem in guard_problems({"a": view, "b": view})]


def test_the_examples_of_the_documentation_are_right() -> None:
    """And an inventory without any is, too."""
    examples = {name: (field.examples or [None])[0] for name, field in Guard.model_fields.items()}
    assert problems(**examples) == []
    assert problems() == []
    assert not Guard().firewall_enabled
    assert not Guard().ssh_hardened


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"firewall_allow": [{"port": 70000, "comment": "x"}]},
            "firewall_allow[0].port: 70000 is above 65535",
        ),
        ({"firewall_allow": [{"port": 9000}]}, "firewall_allow[0].comment: is missing"),
        ({"firewall_allow": [{"port": 9000, "comment": 'a "b"'}]}, "is not a comment of nft"),
        (
            {"firewall_allow": [{"port": 9, "comment": "x", "from": ["10.0.0.0/8"]}]},
            "firewall_allow[0].from: is an unknown key",
        ),
        ({"firewall_allow": [{"port": 9, "comment": "x", "addresses": ["10.0.0.1/8"]}]}, "write 10.0.0.0/8"),
        ({"firewall_ssh_from": ["office"]}, "is not an address or network"),
        ({"firewall_close": ["9000"]}, "write it without quotes"),
        ({"firewall_enabled": "on"}, "is text, not true or false"),
    ],
)
def test_a_mistake_is_told_once_with_its_hosts(settings: dict[str, Any], told: str) -> None:
    """With key, value and fix."""
    [problem] = problems(**settings)
    assert told in problem
    assert "(hosts: a, b)" in problem
