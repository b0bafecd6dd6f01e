"""What the role metrics is told of apps."""

from __future__ import annotations

from ansible_collections.farrier.kit.plugins.filter.metrics import metrics_apps


def test_an_app_is_told_with_the_copies_of_its_processes() -> None:
    """One without domains has no web process."""
    shop = {"name": "shop", "domains": ["a.test"], "processes": {"worker": {"count": 2, "command": "x"}}}
    bot = {"name": "bot", "domains": [], "processes": {}}
    assert metrics_apps([shop, bot]) == [
        {"name": "shop", "is_web": True, "processes": {"worker": 2}},
        {"name": "bot", "is_web": False, "processes": {}},
    ]
