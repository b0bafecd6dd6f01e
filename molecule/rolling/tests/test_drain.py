"""An app host is taken out of rotation and put back; nobody but the edges reaches one."""

from __future__ import annotations

from fleet_under_load import Fleet

DRAINED = "app2"
ENOUGH_REQUESTS = 300


# --- drain and undrain


def check_nobody_asks_the_drained(fleet: Fleet) -> None:
    """Requests enough for all hosts go to the others alone."""
    before = {name: fleet.answers(name) for name in fleet.apps}
    fleet.load.wait_for_requests(ENOUGH_REQUESTS)
    asked = {name for name in fleet.apps if fleet.answers(name) > before[name]}
    assert asked == fleet.apps.keys() - {DRAINED}


def test_a_drained_host_is_not_asked_until_it_is_put_back(fleet: Fleet) -> None:
    """Work on a machine begins when no request goes there any more; site.yml does not put it back."""
    fleet.begin("drain")
    for name in fleet.apps:
        fleet.wait_for_answers(name)
    with fleet.drained(DRAINED):
        check_nobody_asks_the_drained(fleet)
        done = fleet.site("--tags", "nginx")
        assert not done.failed, done.output
        check_nobody_asks_the_drained(fleet)
        said = fleet.run("status")
        assert f"sends no requests to {DRAINED} (drained by: operator)" in said.output, said.output
    fleet.wait_for_answers(DRAINED)
    fleet.check_nothing_was_lost()


# --- who reaches an app host


def test_only_edges_reach_the_ports_of_an_app_host(fleet: Fleet) -> None:
    """Behind the edge there is no TLS, no limit and no log: a neighbour must not get there."""
    fleet.begin("ports")
    listening = fleet.apps["app1"].host.check_output("ss --no-header --listening --tcp --numeric").split("\n")
    endpoints = [line.split()[3] for line in listening]
    private = [endpoint.rpartition(":")[::2] for endpoint in endpoints if endpoint.startswith("10.77.77.")]
    assert private, listening
    for address, port in private:
        attempt = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}'"
        assert fleet.edge_host.run(attempt).succeeded, (address, port)
        assert fleet.stranger.run(attempt).failed, (address, port)
    fleet.check_nothing_was_lost()
