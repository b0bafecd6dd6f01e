"""An app of which only one copy may run gets to another release and back, while its requests wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from testinfra.host import Host

from tests.harness.deploys import run
from tests.harness.meanwhile import repeated

INVENTORY = Path(__file__).resolve().parents[1] / "inventory"
CURRENT = "readlink /srv/alone/current"


def test_requests_wait_for_the_other_copy(host: Host, get: Callable[..., tuple[int, str]]) -> None:
    """None is refused, and none meets two copies: the second would not have started."""
    first = host.check_output(CURRENT)
    live = []
    with repeated(lambda: get("alone"), every_seconds=0.1) as answers:
        for playbook, variables in (("deploy", {"version": "second"}), ("rollback", {})):
            done = run(INVENTORY, playbook, app="alone", **variables)
            assert not done.failed, done.output
            assert "restart: only one copy of the app may run" in done.output
            live.append(host.check_output(CURRENT))
    assert {status for status, _ in answers} == {200}
    assert len({release for _, release in answers}) == 2
    assert (live[0] != first, live[1]) == (True, first)
