"""The inventory of a fleet: its variables, who has to reach whom, and on which port."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    App,
    Fleet,
    HostView,
    Problem,
    Unresolved,
    endpoint,
    inventory_problems,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.fleet_settings import (
    private_address,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.mistakes import MistakeError

from tests.unit.plugins.plugin_utils.inventory_schema.test_inventory import app

# Two names whose derived ports are the same, 23967.
TWINS = ("app35", "app238")


def host(number: int, *names: str, **settings: object) -> HostView:
    """Return a host that has these apps, one named observatory by default, and an address."""
    apps = [app(name) for name in names or ("observatory",)]
    return HostView(apps, settings={"ansible_host": f"192.0.2.{number}", **settings})


def check(edges: dict[str, HostView], apps: dict[str, HostView]) -> list[Problem]:
    """Check an inventory of these groups."""
    return inventory_problems({"edge": list(edges), "app": list(apps)}, {**edges, **apps})


def only(edges: dict[str, HostView], apps: dict[str, HostView]) -> Problem:
    """Return the one problem of an inventory."""
    found = check(edges, apps)
    assert len(found) == 1, found
    return found[0]


def of_one(**settings: object) -> Problem:
    """Return the one problem that variables of a single machine make."""
    view = host(1, **settings)
    return only({"web1": view}, {"web1": view})


def test_fleet_on_machines_of_its_own_is_accepted() -> None:
    """Two edges, three app hosts, nothing said but where they are."""
    edges = {f"edge{number}": host(number) for number in (1, 2)}
    assert check(edges, {f"web{number}": host(number) for number in (11, 12, 13)}) == []


def test_every_example_of_the_model_is_accepted() -> None:
    """Examples end up in the docs and in messages."""
    examples = {key: field.examples[0] for key, field in Fleet.model_fields.items() if field.examples}
    assert set(examples) == set(Fleet.model_fields)
    view = host(1, **examples)
    assert check({"web1": view}, {"web1": view}) == []


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("release_batches[0]", 0, "is below 1"),
        ("release_batches[1]", [1, "0%"], "is not from 1% to 100%"),
        ("release_batches[0]", "quarter", "is neither a whole number nor a percentage"),
        ("release_batches", [], "is empty"),
        ("release_on_failure", "back", "is not rollback or hold"),
        ("release_soak_seconds", -1, "is below 0"),
        ("release_error_percent_max", 101, "is above 100.0"),
        ("release_error_percent_max", 5, "is never checked, because release_soak_seconds is 0"),
        ("release_min_serving_hosts", -1, "is below 0"),
        ("release_min_serving_hosts", "most", "is neither a whole number nor a percentage"),
        ("release_min_serving_hosts", Unresolved("cannot be resolved", "define it"), "cannot be resolved"),
    ],
)
def test_broken_variable_is_refused(key: str, value: object, what: str) -> None:
    """It would be found in the middle of a deploy otherwise."""
    problem = of_one(**{key.partition("[")[0]: value})
    assert (problem.subject, problem.key, problem.what) == ("group app", key, what)
    assert problem.fix
    assert problem.hosts == ["web1"]


def test_place_of_a_broken_variable_is_told() -> None:
    """Its own line, or the one where the list begins."""
    view = host(1, release_batches=[0, 0], release_min_serving_hosts=-1)
    view.locations |= {"release_batches": "all.yml:3", "release_batches[1]": "all.yml:5", "": "apps.yml:1"}
    found = {problem.key: problem.location for problem in check({"web1": view}, {"web1": view})}
    assert found == {
        "release_batches[0]": "all.yml:3",
        "release_batches[1]": "all.yml:5",
        "release_min_serving_hosts": "",
    }


def test_app_hosts_that_disagree_are_named() -> None:
    """One deploy has one soak; to say what is the default anyway is no disagreement."""
    edges = {"edge1": host(1, release_soak_seconds=5)}
    apps = {
        "web1": host(11, release_batches=1),
        "web2": host(12, release_batches=[1], release_soak_seconds=0),
    }
    assert check(edges, apps) == []
    apps["web3"] = host(13, release_batches=[1], release_soak_seconds=60)
    problem = only(edges, apps)
    assert (problem.key, problem.what) == ("release_soak_seconds", "is 0 on web1 and 60 on web3")


@pytest.mark.parametrize("release_min_serving_hosts", [2, 3, "51%", "100%"])
def test_minimum_that_keeps_every_host_is_refused(release_min_serving_hosts: object) -> None:
    """A restart would wait for ever, or drain a host that has to stay."""
    edges = {"edge1": host(1, "a", "b", "c")}
    apps = {
        "web1": host(11, "a", "b", release_min_serving_hosts=release_min_serving_hosts),
        "web2": host(12, "a", "b", release_min_serving_hosts=release_min_serving_hosts),
        "web3": host(13, "c", release_min_serving_hosts=release_min_serving_hosts),
    }
    problem = only(edges, apps)
    assert (problem.subject, problem.key) == ("group app", "release_min_serving_hosts")
    assert "keeps all app hosts of a, b in rotation" in problem.what
    assert "below 2" in problem.fix


@pytest.mark.parametrize("release_min_serving_hosts", [1, 2, "100%"])
def test_minimum_of_a_single_app_host_is_any(release_min_serving_hosts: object) -> None:
    """It is never drained."""
    view = host(1, release_min_serving_hosts=release_min_serving_hosts)
    assert check({"web1": view}, {"web1": view}) == []


def test_app_host_that_cannot_be_reached_is_refused() -> None:
    """The edge would have nothing to connect to; the host that is the edge itself needs no address."""
    web1, web2 = host(1), host(2, ansible_host="web2.example.org")
    problem = only({"web1": web1}, {"web1": web1, "web2": web2})
    assert (problem.subject, problem.key) == ("host web2", "private_address")
    assert "web2.example.org, where Ansible reaches the host, is not an IP address" in problem.what
    assert "web1 has to reach it there" in problem.what
    assert problem.fix == "set it for this host, as in private_address: 10.0.0.11"
    web2.settings["private_address"] = "fd00::12"
    assert check({"web1": web1}, {"web1": web1, "web2": web2}) == []


def test_edge_without_an_address_is_refused() -> None:
    """App hosts let in only edges whose address they know."""
    problem = only({"edge1": host(1, ansible_host="edge1.example.org")}, {"web1": host(11)})
    assert problem.subject == "host edge1"
    assert "web1 accepts only edges whose address it knows" in problem.what


def test_address_that_cannot_be_resolved_is_told_as_such() -> None:
    """The template is what has to be corrected."""
    broken = Unresolved("cannot be resolved", "define it")
    problem = only({"edge1": host(1)}, {"web1": host(11, ansible_host=broken)})
    assert problem.what.startswith("cannot be resolved; edge1")
    assert problem.fix == "define it"


def test_machines_that_are_edge_and_app_host_alone_need_no_address() -> None:
    """Two sites in one inventory, each on one machine, reached by name or through one address."""
    views = {
        "web1": host(1, "a", ansible_host="gateway.example.org"),
        "web2": host(2, "b", ansible_host="gateway.example.org"),
    }
    assert check(views, views) == []
    for view in views.values():
        view.settings["ansible_host"] = "192.0.2.1"
    assert check(views, views) == []


@pytest.mark.parametrize(
    "given", ["web1", "10.0.0.1:80", "10.0.0.0/8", "[fd00::1]", "127.0.0.1", "::", "fe80::1"]
)
def test_private_address_that_is_of_no_use_is_refused_once(given: str) -> None:
    """As a broken value; not as a missing one, too."""
    problem = only({"edge1": host(1)}, {"web1": host(11, private_address=given)})
    assert (problem.subject, problem.key, problem.hosts) == ("host web1", "private_address", ["web1"])
    assert problem.value == f'"{given}"'


def test_app_hosts_with_one_address_are_refused() -> None:
    """An edge would count one machine twice, however the address is written."""
    apps = {"web1": host(11, private_address="fd00::1"), "web2": host(12, private_address="fd00:0::1")}
    problem = only({"edge1": host(1)}, apps)
    assert (problem.subject, problem.value) == ("host web2", '"fd00::1"')
    assert problem.what == "is also the address of app host web1"


def test_edge_and_app_host_may_have_one_address() -> None:
    """One machine under two names: it reaches itself."""
    assert check({"edge1": host(1)}, {"web1": host(1)}) == []


def test_app_on_an_edge_that_nobody_runs_is_refused() -> None:
    """nginx would have a site without a server behind it."""
    problem = only({"edge1": host(1, "a", "b"), "edge2": host(2, "b")}, {"web1": host(11, "a")})
    assert (problem.subject, problem.hosts) == ("app b", ["edge1", "edge2"])
    assert "no host of group app has it" in problem.what


def test_front_end_needs_an_edge_that_has_its_files() -> None:
    """The app, which would be asked in its place, does not know these paths."""
    edges, apps = {"edge1": host(1, "a"), "edge2": host(2, "a")}, {"web1": host(11, "a")}
    for view in (*edges.values(), *apps.values()):
        view.entries()[0] |= {"static": {"/": "dist"}, "app_paths": ["/api"], "health_path": "/api"}
    problem = only(edges, apps)
    assert (problem.subject, problem.key, problem.hosts) == ("app a", "static", ["edge1", "edge2"])
    assert check(apps, apps) == []


def test_apps_of_an_app_host_that_are_no_list_make_one_problem() -> None:
    """What they would have been is not known."""
    problem = only({"edge1": host(1)}, {"web1": HostView({"observatory": {}})})
    assert problem.what == "is not a list"


def test_port_of_two_apps_is_refused() -> None:
    """Derived ports meet once in ten thousand, and then the second app would not start."""
    first, second = TWINS
    apps = {"web1": host(11, *TWINS), "web2": host(12, *TWINS)}
    problem = only({"edge1": host(1, *TWINS)}, apps)
    assert (problem.subject, problem.key, problem.value) == (f"app {second}", "port", "23967")
    assert problem.what == f"is also the port of app {first}"
    assert problem.fix.startswith("give one of them `port:`")
    assert problem.hosts == ["web1", "web2"]
    for view in [*apps.values(), edge := host(1, *TWINS)]:
        view.entries()[1]["port"] = 23968
    assert check({"edge1": edge}, apps) == []


def test_apps_on_different_hosts_may_have_one_port() -> None:
    """It is theirs alone there."""
    assert check({"edge1": host(1, *TWINS)}, {"web1": host(11, TWINS[0]), "web2": host(12, TWINS[1])}) == []


def test_port_that_edge_and_app_host_see_differently_is_refused() -> None:
    """The edge would knock at a closed door."""
    web1 = host(11)
    web1.entries()[0]["port"] = 3000
    problem = only({"edge1": host(1)}, {"web1": web1})
    assert (problem.subject, problem.value) == ("app observatory", "3000")
    assert problem.what == "is where it listens, but edge1 expects it on 20377"


def test_port_follows_from_the_name() -> None:
    """Edges and app hosts find the same without being told, today and after an upgrade."""
    assert App.model_validate(app()).port == 20377
    assert {App.model_validate(app(name)).port for name in TWINS} == {23967}
    assert App.model_validate(app(port=1024)).port == 1024


@pytest.mark.parametrize("port", [1023, 32_768, "20123", True])
def test_port_is_neither_the_systems_nor_that_of_a_client(port: object) -> None:
    """A connection of somebody else could be on it when the app starts."""
    with pytest.raises(ValueError, match="port"):
        App.model_validate(app(port=port))


def test_address_of_a_host_is_where_ansible_reaches_it() -> None:
    """Its name, where the inventory has nothing but addresses."""
    assert private_address("10.0.0.1", {}) == "10.0.0.1"
    assert private_address("web1", {"ansible_host": "10.0.0.1"}) == "10.0.0.1"
    assert private_address("web1", {"ansible_host": "10.0.0.1", "private_address": "FD00::1"}) == "fd00::1"
    with pytest.raises(MistakeError, match="reaches no other machine"):
        private_address("web1", {"ansible_host": "127.0.0.1"})


def test_endpoint_of_ipv6_is_in_brackets() -> None:
    """Or the port would be a part of the address."""
    assert (endpoint("10.0.0.1", 80), endpoint("fd00::1", 80)) == ("10.0.0.1:80", "[fd00::1]:80")


def test_edges_of_one_site_need_addresses_that_nginx_can_read() -> None:
    """It would refuse all of its configuration for an alias of SSH; edges of other sites may have one."""
    shop, other = [app("shop", domains=["a.example.org"])], [app("other", domains=["b.example.org"])]
    edges = {
        "alias.invalid": HostView(shop),
        "web2": HostView(shop, settings={"private_address": "10.0.0.2"}),
        "other.invalid": HostView(other),
    }
    found = [problem for problem in check(edges, {}) if problem.key == "private_address"]
    assert [problem.subject for problem in found] == ["host alias.invalid"]
    assert "web2 passes challenges for certificates on to it" in found[0].what
