"""What nginx can do decides what is configured, and what is refused before anything has changed."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge.build import candidate, has_http3

BUILD = "nginx version: nginx/1.26.3\nconfigure arguments: --with-http_ssl_module --with-http_v2_module"
POLICY = "nginx:\n  Installed: (none)\n  Candidate: {}\n  Version table:\n     1.29.0-1 500\n"


@pytest.mark.parametrize(
    ("build", "version", "expected"),
    [
        (f"{BUILD} --with-http_v3_module --with-pcre-jit", "", True),
        (BUILD, "", False),
        ("", "1.26.3", True),
        ("", "1.22.1", False),
        ("", "1.9.15", False),
        ("", "", True),
    ],
    ids=["built with it", "built without", "to come", "too old", "far too old", "unknown to apt"],
)
def test_http3_is_a_matter_of_the_build(build: str, version: str, expected: bool) -> None:
    """Where there is one to ask: the same version is built with it and without."""
    assert has_http3(build, version) is expected


@pytest.mark.parametrize(
    ("said", "version"),
    [("1.22.1-9+deb12u11", "1.22.1"), ("2:1.26.3-3", "1.26.3"), ("(none)", "")],
    ids=["Debian's", "with an epoch", "none"],
)
def test_apt_says_what_would_come(said: str, version: str) -> None:
    """The candidate, not another of its table."""
    assert candidate(POLICY.format(said)) == version
