"""Which worker class serves a release: the server is the release's, how it is run is the settings'."""

from __future__ import annotations

from typing import Any

import pytest
from farrier_gunicorn.servers import SERVERS, WORKER_CLASSES, of_release


@pytest.mark.parametrize(
    ("named", "manifest", "chosen"),
    [
        ("handover_h11", {"server": "uvicorn"}, "handover_h11"),
        ("stock", {"server": "uvicorn"}, "stock"),
        ("handover_daphne", {"server": "uvicorn"}, "handover"),
        ("stock_h11", {"server": "hypercorn"}, "handover_hypercorn"),
        ("handover", {"server": "gthread"}, "handover_wsgi"),
        # Built before there was a choice.
        ("handover_wsgi", {}, "handover_wsgi"),
        ("handover_hypercorn", {}, "handover"),
    ],
)
def test_release_keeps_its_server(named: str, manifest: dict[str, Any], chosen: str) -> None:
    """It has no other one's packages."""
    assert of_release(named, manifest) == chosen


def test_default_of_a_server_is_one_that_hands_over() -> None:
    """And one of its own."""
    for name, server in SERVERS.items():
        assert WORKER_CLASSES[server.default].server == name
        assert WORKER_CLASSES[server.default].hands_over
