"""The filters of plugins/filter/: defaults of apps, and the number of workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import App, Source, worker_count
from farrier_gunicorn.servers import WORKER_CLASSES

from tests.unit.playbooks import Play

REQUIREMENTS = Path(__file__).parents[4] / "roles/release/files/farrier_release/requirements"

APP: dict[str, Any] = {
    "name": "observatory",
    "domains": ["observatory.example.org"],
    "source": {"git": "https://git.example.org/x.git", "version": "v1"},
    "module": "x.main:app",
}


@pytest.fixture
def filters(load_plugin: Callable[[str, str], ModuleType]) -> dict[str, Callable[..., Any]]:
    """Return the filters as Ansible gets them."""
    found: dict[str, Callable[..., Any]] = load_plugin("filter", "inventory").FilterModule().filters()
    found |= load_plugin("filter", "rollout").FilterModule().filters()
    return found


def test_defaults_are_the_models(filters: dict[str, Callable[..., Any]]) -> None:
    """Roles read every key without `default()`, and the model alone knows the defaults."""
    (app,) = filters["app_defaults"]([APP])
    assert set(app) == set(App.model_fields)
    assert set(app["source"]) == set(Source.model_fields)
    assert app["hooks"]["after_build"] == []
    assert (app["workers"], app["health_path"], app["python"]) == ("per_core", "/healthz", None)
    assert app["name"] == "observatory"


def test_defaults_are_not_shared(filters: dict[str, Callable[..., Any]]) -> None:
    """A role that changes one app's data changes no other's."""
    first, second = filters["app_defaults"]([APP, {**APP, "name": "other"}])
    first["env"]["A"] = "b"
    first["hooks"]["after_build"].append("x")
    assert second["env"] == {}
    assert second["hooks"]["after_build"] == []


@pytest.mark.parametrize("apps", [[{**APP, "workers": 0}], {"observatory": {}}, None])
def test_broken_apps_are_refused(filters: dict[str, Callable[..., Any]], apps: object) -> None:
    """A role that is used without the check of the inventory still gets no nonsense."""
    with pytest.raises(AnsibleFilterError):
        filters["app_defaults"](apps)


def test_worker_count_takes_an_app(filters: dict[str, Callable[..., Any]]) -> None:
    """Facts may come as text from a template."""
    (app,) = filters["app_defaults"]([{**APP, "workers": "double"}])
    result = filters["worker_count"](app, "2", "4096")
    assert result == {"count": 5, "reason": "two per core and one more (2 cores)"}


@pytest.mark.parametrize(
    ("keys", "worker_class", "requirements"),
    [
        ({}, "handover", "server.txt"),
        ({"worker_class": "stock_h11"}, "stock_h11", "server.txt"),
        ({"worker_class": "handover_asgi"}, "handover_asgi", "server.txt"),
        ({"interface": "wsgi"}, "handover_wsgi", "server-wsgi.txt"),
        ({"interface": "wsgi", "server": "uwsgi"}, "handover_uwsgi", "server-uwsgi.txt"),
        ({"server": "hypercorn"}, "handover_hypercorn", "server-hypercorn.txt"),
        ({"server": "daphne"}, "handover_daphne", "server-daphne.txt"),
    ],
)
def test_server_decides_about_the_worker_and_its_packages(
    filters: dict[str, Callable[..., Any]], keys: dict[str, str], worker_class: str, requirements: str
) -> None:
    """Both exist under these names."""
    (app,) = filters["app_defaults"]([{**APP, **keys}])
    assert (filters["worker_class"](app), filters["server_requirements"](app)) == (worker_class, requirements)
    assert worker_class in WORKER_CLASSES
    assert (REQUIREMENTS / requirements).is_file()


@pytest.mark.parametrize(
    ("workers", "vcpus", "expected"),
    [
        ("per_core", 1, 2),
        ("per_core", 2, 2),
        ("per_core", 8, 8),
        ("double", 1, 3),
        ("double", 4, 9),
        (1, 8, 1),
        (6, 2, 6),
    ],
)
def test_policies(workers: int | str, vcpus: int, expected: int) -> None:
    """One per core but at least 2, 2n+1, or the number given."""
    assert worker_count(workers, vcpus, 64_000, 128).count == expected


@pytest.mark.parametrize(
    ("workers", "memory_mb", "app_count", "expected"),
    [
        # 256 MB are the system's, and a reload needs each worker twice.
        (8, 256 + 8 * 2 * 128, 1, 8),
        (8, 256 + 8 * 2 * 128 - 1, 1, 7),
        (8, 256 + 8 * 2 * 128, 2, 4),
        ("per_core", 512, 1, 1),
        (4, 128, 1, 1),
    ],
)
def test_memory_limits_the_number(workers: int | str, memory_mb: int, app_count: int, expected: int) -> None:
    """Never more than memory allows, shared among the apps, and never none."""
    assert worker_count(workers, 2, memory_mb, 128, app_count).count == expected


def test_the_apps_own_limit_counts_too(filters: dict[str, Callable[..., Any]]) -> None:
    """Where it is less than the app's share of the host."""
    (app,) = filters["app_defaults"]([{**APP, "memory_max_mb": 600}])
    assert filters["worker_count"](app, 8, 8192)["count"] == 2
    assert filters["worker_count"](app, 8, 512)["count"] == 1


def test_limited_number_says_why() -> None:
    """An operator who asked for 8 and got 1 finds the reason beside the number."""
    reason = worker_count(8, 2, 700, 128).reason
    assert reason == "8 wanted (as the inventory says), but 444 MB hold 1: 128 MB each, twice during a reload"


@pytest.fixture
def places(filters: dict[str, Callable[..., Any]]) -> Callable[..., dict[str, dict[str, Any]]]:
    """Return the places of an app by prefix."""

    def of(paths: dict[str, Any], **static: str) -> dict[str, dict[str, Any]]:
        named = {f"/{prefix}": directory for prefix, directory in static.items()}
        (app,) = filters["app_defaults"]([{**APP, "edge": {"paths": paths}, "static": named}])
        return {place["prefix"]: place for place in filters["edge_locations"](app)}

    return of


def test_a_place_in_a_protected_one_is_protected(places: Callable[..., Any]) -> None:
    """Who allows large uploads below /admin does not mean to open it to the world."""
    found = places(
        {
            "/": {"connections": 9},
            "/admin": {"allow": ["10.0.0.0/8"], "connections": 3},
            "/admin/upload": {"request_body_max_mb": 500},
            "/admin/upload/open": {"allow": []},
            "/administrators": {},
        }
    )
    assert (found["/admin/upload"]["allow"], found["/admin/upload"]["connections"]) == (["10.0.0.0/8"], 3)
    assert found["/admin/upload/open"]["allow"] == []
    assert (found["/administrators"]["allow"], found["/administrators"]["connections"]) == (None, 9)
    # nginx takes the first expression that fits.
    assert list(found) == sorted(found, key=len, reverse=True)
    assert len({place["id"] for place in found.values()}) == len(found)


def test_files_below_a_static_prefix_are_found(places: Callable[..., Any]) -> None:
    """A rule for some of them does not make them answers of the app."""
    found = places({"/static/assets": {"immutable": True}}, static="public/")
    assert (found["/static"]["directory"], found["/static"]["immutable"]) == ("public", None)
    assert (found["/static/assets"]["directory"], found["/static/assets"]["immutable"]) == (
        "public/assets",
        True,
    )
    assert found["/"]["directory"] is None


def test_front_end_has_all_but_what_the_app_answers(filters: dict[str, Callable[..., Any]]) -> None:
    """A rule for some of its routes does not make them files of a directory of their own."""
    entry = {
        **APP,
        "path": "/shop",
        "static": {"/": "dist/", "/img": "images"},
        "app_paths": ["/api", "/healthz"],
        "edge": {"paths": {"/assets": {"immutable": True}, "/api/old": {"connections": 1}}},
    }
    (app,) = filters["app_defaults"]([entry])
    found = {
        place["prefix"]: (place["kind"], place["directory"], place["outside"])
        for place in filters["edge_locations"](app)
    }
    assert found == {
        "/shop/healthz": ("", None, "/shop/healthz"),
        "/shop/api/old": ("", None, "/shop/api/old"),
        "/shop/assets": ("front_end", "dist", "/shop"),
        "/shop/api": ("", None, "/shop/api"),
        "/shop/img": ("static", "images", "/shop/img"),
        "/shop": ("front_end", "dist", "/shop"),
    }


def test_media_are_files_of_the_state(filters: dict[str, Callable[..., Any]]) -> None:
    """Rules of a prefix hold for them, as for other files."""
    media = {
        **APP,
        "media": {"/media": "uploads/"},
        "edge": {"paths": {"/media/own": {"allow": ["10.0.0.0/8"]}}},
    }
    (app,) = filters["app_defaults"]([media])
    own, everyones, rest = filters["edge_locations"](app)
    assert (own["kind"], own["directory"], own["allow"]) == ("media", "uploads/own", ["10.0.0.0/8"])
    assert (everyones["kind"], everyones["directory"]) == ("media", "uploads")
    assert (rest["kind"], rest["directory"]) == ("", None)


def test_apps_that_left_are_those_with_a_user_of_the_kit(filters: dict[str, Callable[..., Any]]) -> None:
    """Neither the users that build, nor people."""
    homes = {
        "shop": "/var/lib/farrier/shop",
        "shop-build": "/var/cache/farrier/shop",
        "blog": "/var/lib/farrier/blog",
        "ann": "/home/ann",
    }
    assert filters["left_apps"](homes, ["blog"]) == ["shop"]


def test_places_of_apps_that_share_a_domain_are_in_the_server_of_one(
    filters: dict[str, Callable[..., Any]],
) -> None:
    """That of the whole site, whose certificate it has. What an app says of a prefix is below its own."""
    apps = filters["app_defaults"](
        [
            {**APP, "name": "api", "path": "/api", "static": {"/static": "public"}},
            {**APP, "name": "front", "edge": {"paths": {"/api/v1/old": {"connections": 1}}}},
        ]
    )
    api, front = apps
    assert filters["certificate_apps"](apps) == [front]
    assert filters["edge_places"](apps, api) == []
    found = [(place["prefix"], place["app"]["name"]) for place in filters["edge_places"](apps, front)]
    assert found == [("/api/v1/old", "front"), ("/api/static", "api"), ("/api", "api"), ("/", "front")]


def test_files_of_passwords_bear_the_id_of_their_place(filters: dict[str, Callable[..., Any]]) -> None:
    """nginx looks for them under that name."""
    paths = {"/admin": {"users": {"ben": "$6$b", "ann": "$6$a"}}, "/admin/open": {"users": {}}}
    (app,) = filters["app_defaults"]([{**APP, "edge": {"paths": paths}}])
    place = next(place for place in filters["edge_locations"](app) if place["prefix"] == "/admin")
    expected = {"name": f"observatory-{place['id']}", "content": "ann:$6$a\nben:$6$b\n"}
    assert filters["edge_users"](app) == [expected]


def test_peers_have_addresses_that_nginx_can_read(filters: dict[str, Callable[..., Any]]) -> None:
    """IPv6 in brackets, the private address first, a name by what it resolves to; no other site's edges."""
    shop, other = [{"name": "shop", "domains": ["a.org"]}], [{"name": "shop", "domains": ["b.org"]}]
    hostvars: dict[str, dict[str, Any]] = {
        "edge1": {"ansible_host": "192.0.2.1", "apps": shop},
        "edge2": {"ansible_host": "192.0.2.2", "private_address": "10.0.0.2", "apps": shop},
        "edge3": {"ansible_host": "2001:DB8::3", "apps": shop},
        "alias": {"apps": other},
    }
    peers = filters["acme_peers"]
    assert peers("edge1", list(hostvars), hostvars) == ["10.0.0.2", "[2001:db8::3]"]
    assert peers("edge2", list(hostvars), hostvars) == ["192.0.2.1", "[2001:db8::3]"]
    assert peers("alias", list(hostvars), hostvars) == []


def test_an_alias_of_ssh_is_no_address(filters: dict[str, Callable[..., Any]]) -> None:
    """nginx would refuse all of its configuration for a name that nobody resolves."""
    apps = [{"name": "shop", "domains": ["a.org"]}]
    hostvars: dict[str, dict[str, Any]] = {"edge1": {"apps": apps}, "alias.invalid": {"apps": apps}}
    with pytest.raises(AnsibleFilterError, match=r"alias\.invalid.*set it for this host"):
        filters["acme_peers"]("edge1", list(hostvars), hostvars)


def test_a_name_is_resolved_here(
    filters: dict[str, Callable[..., Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses that lead nowhere else, as Debian's own of a host, are passed over."""
    answers = [(0, 0, 0, "", (address, 0)) for address in ("127.0.1.1", "192.0.2.9", "fe80::1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: answers)
    apps = [{"name": "shop", "domains": ["a.org"]}]
    hostvars: dict[str, dict[str, Any]] = {"edge1": {"apps": apps}, "edge2.example.org": {"apps": apps}}
    assert filters["acme_peers"]("edge1", list(hostvars), hostvars) == ["192.0.2.9"]


def test_defaults_have_a_port(filters: dict[str, Callable[..., Any]]) -> None:
    """Roles compare and write it; None would end up in a unit."""
    first, second = filters["app_defaults"]([APP, {**APP, "name": "other", "port": 3000}])
    assert (first["port"], second["port"]) == (20377, 3000)


def test_fleet_has_every_variable(filters: dict[str, Callable[..., Any]]) -> None:
    """Playbooks read them without `default()`; what is not a variable of a fleet is passed over."""
    found = filters["fleet_defaults"]({"release_batches": 2, "private_address": "10.0.0.1", "apps": []})
    assert found == {
        "release_batches": [2],
        "release_on_failure": "rollback",
        "release_soak_seconds": 0,
        "release_error_percent_max": None,
        "release_min_serving_hosts": 1,
    }
    assert filters["min_serving_hosts"]("50%", 3) == 2
    with pytest.raises(AnsibleFilterError, match="release_on_failure"):
        filters["fleet_defaults"]({"release_on_failure": "back"})


def test_batches_that_come_before_a_host(filters: dict[str, Callable[..., Any]]) -> None:
    """So long a host keeps its lease while it waits."""
    hosts = ["web1", "web2", "web3", "web4"]
    before = [filters["batches_before"](host, hosts, [1, "50%"]) for host in hosts]
    assert before == [0, 1, 1, 2]


A, B = {"name": "a", "domains": ["a.example"]}, {"name": "b", "domains": ["b.example"]}
BOT: dict[str, Any] = {"name": "bot"}
FLEET: dict[str, dict[str, Any]] = {
    "edge1": {"ansible_host": "10.0.0.1", "apps": [A, B, BOT]},
    "web1": {"ansible_host": "10.0.0.11", "apps": [A]},
    "web2": {"private_address": "fd00::12", "apps": [B, A, BOT]},
    "both": {"ansible_host": "both.example.org", "apps": [A, B, BOT]},
    "bare": {},
}
APPS = [{**A, "port": 20001}, {**B, "port": 20002}]


def test_edge_finds_the_servers_of_each_app(filters: dict[str, Callable[..., Any]]) -> None:
    """Over its unix socket where that is on the same machine, which needs no address."""
    assert filters["upstream_servers"](APPS, "both", ["web2", "both", "web1", "bare"], FLEET) == {
        "a": [
            {"host": "web2", "address": "[fd00::12]:20001"},
            {"host": "both", "address": "unix"},
            {"host": "web1", "address": "10.0.0.11:20001"},
        ],
        "b": [{"host": "web2", "address": "[fd00::12]:20002"}, {"host": "both", "address": "unix"}],
    }


def test_server_without_an_address_is_told(filters: dict[str, Callable[..., Any]]) -> None:
    """A role that is used without the check of the inventory still gets no nonsense."""
    with pytest.raises(
        AnsibleFilterError, match=r"host both: private_address is not set.*both\.example\.org"
    ):
        filters["upstream_servers"](APPS, "edge1", ["both"], FLEET)


def test_app_host_listens_where_other_edges_look(filters: dict[str, Callable[..., Any]]) -> None:
    """For their apps alone, and not at all when the only edge is itself."""
    listeners = filters["private_listeners"]
    assert listeners(APPS, "web2", ["edge1"], FLEET) == {"a": "[fd00::12]:20001", "b": "[fd00::12]:20002"}
    assert listeners(APPS, "web2", ["web1", "web2"], FLEET) == {"a": "[fd00::12]:20001"}
    assert listeners(APPS, "both", ["both"], FLEET) == {}


def test_an_app_without_domains_is_no_site(filters: dict[str, Callable[..., Any]]) -> None:
    """No edge balances it, and none asks another for its challenges."""
    hostvars = {
        host: {"ansible_host": f"10.0.0.{number}", "apps": [BOT]} for number, host in enumerate("xy", 1)
    }
    apps = [{**BOT, "domains": [], "port": 20003}]
    assert filters["private_listeners"](apps, "x", ["y"], hostvars) == {}
    assert filters["balancing_edges"]("x", ["x", "y"], ["x", "y"], hostvars) == []
    assert filters["acme_peers"]("x", ["x", "y"], hostvars) == []


def test_edges_on_other_machines_are_known_by_address(filters: dict[str, Callable[..., Any]]) -> None:
    """Those without one serve nothing of this host."""
    assert filters["remote_edge_addresses"]("web1", ["edge1", "web1", "both", "web2"], FLEET) == [
        "10.0.0.1",
        "fd00::12",
    ]


TWO_SITES: dict[str, dict[str, Any]] = {
    "web1": {"ansible_host": "10.0.0.1", "apps": [{"name": "a", "domains": ["one.example"]}]},
    "web2": {"ansible_host": "10.0.0.2", "apps": [{"name": "a", "domains": ["two.example"]}]},
}


def test_the_same_app_for_other_domains_is_another_site(filters: dict[str, Callable[..., Any]]) -> None:
    """Two machines that each serve an app of their own answer for themselves, and need no port."""
    hosts = ["web1", "web2"]
    apps = [{"name": "a", "domains": ["one.example"], "port": 20001}]
    assert filters["upstream_servers"](apps, "web1", hosts, TWO_SITES) == {
        "a": [{"host": "web1", "address": "unix"}]
    }
    assert filters["private_listeners"](apps, "web1", hosts, TWO_SITES) == {}
    assert filters["balancing_edges"]("web1", hosts, hosts, TWO_SITES) == []


def test_a_host_is_taken_out_where_others_take_its_place(filters: dict[str, Callable[..., Any]]) -> None:
    """An edge that knows nobody else for an app would have nobody left."""
    fleet = dict.fromkeys(("edge1", "edge2", "web1", "web3"), TWO_SITES["web1"])
    edges = ["edge1", "edge2", "web2"]
    hosts = {**TWO_SITES, **fleet}
    assert filters["balancing_edges"]("web1", edges, ["web1", "web3", "web2"], hosts) == ["edge1", "edge2"]
    assert filters["balancing_edges"]("web1", edges, ["web1", "web2"], hosts) == []


def test_a_large_fleet_is_not_looked_through_for_each_host(filters: dict[str, Callable[..., Any]]) -> None:
    """One other host with the same sites is enough: a thousand hosts ask this."""
    hosts = [f"web{number}" for number in range(1000)]
    asked = []

    class Variables(dict[str, Any]):
        def __missing__(self, host: str) -> dict[str, Any]:
            asked.append(host)
            return TWO_SITES["web1"]

    assert filters["balancing_edges"]("web7", ["edge1"], hosts, Variables()) == ["edge1"]
    assert len(asked) == 3


BEGUN = {"new": True, "release": "1-new", "from": "1-old"}


def test_a_rollout_goes_on_when_all_is_well_with_those_whose_turn_has_passed(
    filters: dict[str, Callable[..., Any]],
) -> None:
    """Of those of this batch and of later ones nothing is expected yet."""
    hosts = {name: {"__release_begin": BEGUN} for name in ("app1", "app2", "app3", "app4")}
    hosts["app1"]["__release_activation"] = {"how": "reload"}
    assert filters["release_problems"](hosts, ["app2", "app3"], False, False) == {}
    assert filters["release_problems"](hosts, ["app3", "app4"], False, False).keys() == {"app2"}


def test_what_the_operator_accepts_is_not_mistaken(filters: dict[str, Callable[..., Any]]) -> None:
    """Different releases and hosts that do not answer are two decisions."""
    other = {"__release_begin": {**BEGUN, "from": "1-older"}}
    mixed = {"app1": {"__release_begin": BEGUN}, "app2": other}
    gone = {"app1": {"__release_begin": {"problem": "timed out", "unreachable_host": True}}}
    assert filters["release_problems"](mixed, ["app1"], True, False) == {}
    assert filters["release_problems"](mixed, ["app1"], False, True).keys() == {""}
    assert filters["release_problems"](gone, ["app1"], False, True) == {}
    assert filters["release_problems"](gone, ["app1"], True, False).keys() == {"app1"}


def test_any_share_of_errors_is_not_none_of_them(filters: dict[str, Callable[..., Any]]) -> None:
    """Ansible hands on the number as text, and null as None."""
    fault, answers = filters["soak_failure"], [{"requests": 200, "app_errors": 1, "edge_errors": 0}]
    assert fault(answers, "new", "new", None) == ""
    assert fault(answers, "new", "new", "0.5") == ""
    assert "of 200 requests" in fault(answers, "new", "new", "0.4")


FLEET_PLAY = """
- name: What the filters see of other hosts
  hosts: edge1
  gather_facts: false
  connection: local
  vars:
    known: "{{ apps | farrier.kit.app_defaults }}"
    fleet: "{{ hostvars['web1'] | farrier.kit.fleet_defaults }}"
  tasks:
    - name: Told
      ansible.builtin.debug:
        msg: >-
          {{ known | farrier.kit.upstream_servers(inventory_hostname, groups['app'], hostvars) | to_json }}
          {{ known | farrier.kit.private_listeners('web1', groups['edge'], hostvars) | to_json }}
          {{ 'web1' | farrier.kit.remote_edge_addresses(groups['edge'], hostvars) | to_json }}
          {{ fleet.release_min_serving_hosts | farrier.kit.min_serving_hosts(1) }}
"""

FLEET_HOSTS = """
all:
  vars:
    apps:
      - name: observatory
        domains: [observatory.example.org]
        source: {path: /srv}
        module: x.main:app
        env: {PEER: "{{ peer }}"}
edge: {hosts: {edge1: {ansible_host: "{{ network }}.1", peer: me, network: 10.0.0}}}
app:
  hosts: {web1: {ansible_host: "{{ network }}.11", network: 10.0.0, release_min_serving_hosts: "{{ '50%' }}"}}
"""


def test_filters_read_the_variables_of_other_hosts(run_playbook: Play) -> None:
    """Templates in them are resolved where needed; those that only their host can resolve stay alone."""
    run = run_playbook(FLEET_PLAY, hosts=FLEET_HOSTS)
    assert run.returncode == 0, run.stdout + run.stderr
    told = run.stdout.replace("\\", "")
    assert '{"observatory": [{"host": "web1", "address": "10.0.0.11:20377"}]}' in told
    assert '{"observatory": "10.0.0.11:20377"} ["10.0.0.1"] 1' in told


def test_what_runs_once_runs_on_the_first_app_host_that_has_the_app(
    filters: dict[str, Callable[..., Any]],
) -> None:
    """Wherever else the app runs, and whatever other apps do."""
    apps = [
        {
            "name": name,
            "processes": {"worker": {"once": False}, "beat": {"once": True}},
            "timers": {"digest": {"once": True}},
        }
        for name in ("shop", "blog")
    ]
    hostvars: dict[str, Any] = {"web1": {"apps": apps[:1]}, "web2": {"apps": apps}}

    def run(host: str) -> dict[str, list[str]]:
        found = filters["apps_of_host"](hostvars[host]["apps"], host, ["web1", "web2"], hostvars)
        return {app["name"]: [*app["processes"], *app["timers"]] for app in found}

    assert run("web1") == {"shop": ["worker", "beat", "digest"]}
    assert run("web2") == {"shop": ["worker"], "blog": ["worker", "beat", "digest"]}
