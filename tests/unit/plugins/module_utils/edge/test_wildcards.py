"""A wildcard is for one label, and nobody asks an authority for what one covers."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import wildcards


@pytest.mark.parametrize(
    ("names", "domain", "covered"),
    [
        (["example.org"], "example.org", True),
        (["Example.ORG"], "example.org", True),
        (["*.example.org"], "www.example.org", True),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], "a.www.example.org", False),
        (["*.example.org"], "*.example.org", True),
        (["*.example.org"], "*.www.example.org", False),
        (["www.example.org"], "*.example.org", False),
        ([], "example.org", False),
    ],
)
def test_what_a_certificate_is_good_for(names: list[str], domain: str, covered: bool) -> None:
    """As browsers see it."""
    assert wildcards.covers(names, domain) == covered


def test_what_a_wildcard_covers_is_not_asked_for() -> None:
    """Let's Encrypt refuses an order with both; the main name of an app is never a wildcard itself."""
    domains = ["www.example.org", "*.example.org", "example.org", "a.b.example.org", "other.org"]
    assert wildcards.necessary(domains) == ["*.example.org", "example.org", "a.b.example.org", "other.org"]
    assert wildcards.necessary(["www.example.org", "example.org"]) == ["www.example.org", "example.org"]
