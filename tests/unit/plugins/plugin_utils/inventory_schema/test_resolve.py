"""Variables become plain data, whatever ansible-core tells of where they were written."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import resolve


def test_a_core_that_names_no_line_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that is imported for it is private to ansible-core."""
    monkeypatch.setattr(resolve, "Origin", None)
    resolver = resolve.Resolver(lambda value: value, RuntimeError, KeyError)
    assert resolver.resolve([{"name": "shop"}]) == [{"name": "shop"}]
    assert resolver.locations == {}
