"""The inventory as a whole: groups, what apps share, sources on this machine, and the message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    HostView,
    Problem,
    Unresolved,
    core_problems,
    inventory_problems,
    render,
)

GROUPS = {"all": ["web1"], "ungrouped": [], "edge": ["web1"], "app": ["web1"]}


def app(name: str = "observatory", **changes: Any) -> dict[str, Any]:
    """Return a sound app whose domain follows from its name."""
    return {
        "name": name,
        "domains": [f"{name}.example.org"],
        "source": {"git": "https://git.example.org/x.git", "version": "v1"},
        "module": "x.main:app",
        **changes,
    }


def at(host: str) -> dict[str, object]:
    """Return the variables that give a host an address of its own."""
    return {"ansible_host": f"192.0.2.{host.removeprefix('web')}"}


def check(*apps: object) -> list[Problem]:
    """Check an inventory of one host with these apps."""
    return inventory_problems(GROUPS, {"web1": HostView(list(apps))})


def test_sound_inventory_has_no_problems() -> None:
    """Several apps on one host are fine, and so is a host that is to get its first one later."""
    assert check(app("a"), app("b")) == []
    assert check() == []


@pytest.mark.parametrize("group", ["edge", "app"])
def test_group_without_hosts_is_refused(group: str) -> None:
    """A run that does nothing, because a group is empty, would look like success."""
    (problem,) = inventory_problems({**GROUPS, group: []}, {"web1": HostView([app()])})
    assert (problem.subject, problem.what) == (f"group {group}", "has no hosts")


def test_apps_without_domains_need_no_edge() -> None:
    """Nobody sends them requests."""
    bot = app(processes={"bot": {"command": "python bot.py"}})
    del bot["domains"], bot["module"]
    assert inventory_problems({"app": ["web1"]}, {"web1": HostView([bot])}) == []
    (problem,) = inventory_problems({"app": ["web1"]}, {"web1": HostView([bot, app("site")])})
    assert problem.subject == "group edge"


def test_mistyped_group_is_suggested() -> None:
    """`apps:` as a group is the usual mistake."""
    groups = {"edge": ["web1"], "apps": ["web1"]}
    (problem,) = inventory_problems(groups, {"web1": HostView([app()])})
    assert problem.fix == "rename the group apps to app"


@pytest.mark.parametrize("apps", [None, HostView().apps])
def test_host_without_apps_is_refused(apps: object) -> None:
    """An edge that does not see the apps, since they stand in group_vars/app.yml, would serve nothing."""
    groups = {"edge": ["edge1"], "app": ["web1"]}
    hosts = {"web1": HostView([app()]), "edge1": HostView(apps)}
    (problem,) = inventory_problems(groups, hosts)
    assert (problem.subject, problem.key, problem.hosts) == ("group edge", "apps", ["edge1"])
    assert "group_vars/all.yml" in problem.fix


def test_mistyped_variable_is_suggested() -> None:
    """`app:` instead of `apps:` is found among the host's variables."""
    (problem,) = inventory_problems(GROUPS, {"web1": HostView(variables=["app", "ansible_host"])})
    assert problem.fix == "rename the variable app to apps"


def test_apps_that_is_no_list_or_unresolved_is_refused() -> None:
    """The list as a whole may be wrong, too."""
    (problem,) = inventory_problems(GROUPS, {"web1": HostView({"observatory": {}})})
    assert problem.what == "is not a list"
    (problem,) = inventory_problems(GROUPS, {"web1": HostView(Unresolved("cannot be resolved", "define it"))})
    assert problem.fix == "define it"


def test_duplicate_app_name_is_refused() -> None:
    """Two apps of one name would share a user and overwrite each other's units."""
    (problem,) = check(app("a"), app("a", domains=["other.example.org"]))
    assert (problem.subject, problem.key, problem.value) == ("apps[1]", "name", '"a"')


def test_domain_of_two_apps_is_refused() -> None:
    """nginx would silently take the first."""
    (problem,) = check(app("a"), app("b", domains=["b.example.org", "a.example.org"]))
    assert (problem.subject, problem.key) == ("app b", "domains[1]")
    assert problem.what == "is also claimed by app a"


def test_domain_of_two_apps_on_different_hosts_is_refused() -> None:
    """A name leads to one app, wherever that runs."""
    hosts = {"web1": HostView([app("a")]), "web2": HostView([app("b", domains=["a.example.org"])])}
    (problem,) = inventory_problems({"edge": ["web1"], "app": ["web1", "web2"]}, hosts)
    assert problem.hosts == ["web2"]


def test_one_app_on_several_hosts_is_accepted() -> None:
    """A fleet serves one app from many hosts."""
    hosts = {name: HostView([app()], settings=at(name)) for name in ("web1", "web2", "web3")}
    assert inventory_problems({"edge": ["web1"], "app": list(hosts)}, hosts) == []


def test_apps_share_their_domains_by_path() -> None:
    """Each has a URL prefix of its own; one may lie within another."""
    domains = ["shop.example.org"]
    sharing = [app(name, domains=domains, path=path) for name, path in (("b", "/api"), ("c", "/api/v2/"))]
    assert check(app("a", domains=domains), *sharing) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"path": "/api/"}, "is also claimed by app a for the path /api"),
        ({"path": "/b", "domains": ["a.example.org", "b.example.org"]}, "domains or certificate differ"),
        ({"path": "/b", "certificate": {"source": "self_signed"}}, "domains or certificate differ"),
    ],
)
def test_apps_that_cannot_share_a_domain_are_refused(changes: dict[str, Any], problem: str) -> None:
    """One server of nginx has one certificate, and a URL leads to one app."""
    shared = {"domains": ["a.example.org"]}
    (found,) = check(app("a", **shared, path="/api"), app("b", **{**shared, **changes}))
    assert (found.subject, found.key) == ("app b", "domains[0]")
    assert problem in found.what


def test_domain_listed_twice_is_refused() -> None:
    """A repeated line is a mistake that was meant to be another name."""
    (problem,) = check(app("a", domains=["a.example.org", "a.example.org"]))
    assert problem.what == "is listed twice"


def test_process_and_timer_whose_unit_is_that_of_another_app_is_refused() -> None:
    """systemd would run one of the two in the place of the other."""
    worker = {"command": "work"}
    digest = {"command": "digest", "schedule": "daily"}
    (problem,) = check(app("shop-api"), app("shop", timers={"api": digest}))
    assert (problem.subject, problem.key) == ("app shop", "timers.api")
    assert problem.what == "would have the unit shop-api, which is also that of app shop-api"
    (problem,) = check(
        app("shop", processes={"api-worker": worker}), app("shop-api", processes={"worker": worker})
    )
    assert "which is also that of app shop, key processes.api-worker" in problem.what
    assert check(app("shop", processes={"worker": worker}), app("blog", processes={"worker": worker})) == []


def test_variable_in_env_and_secrets_is_refused() -> None:
    """Which of the two wins is nobody's to guess; neither value is shown."""
    (problem,) = check(app(env={"API_KEY": "public"}, secrets={"API_KEY": "hunter2"}))
    assert problem.key == "env.API_KEY"
    assert "hunter2" not in repr(problem)
    assert "public" not in repr(problem)


def test_local_sources_must_exist(tmp_path: Path) -> None:
    """A path on this machine is looked at now, not when a host is half done."""
    (tmp_path / "file").touch()
    there = str(tmp_path)
    checksum = "sha256:" + "0" * 64
    expected: list[tuple[dict[str, str], str]] = [
        ({"path": f"{there}/none"}, "does not exist on the controller"),
        ({"path": f"{there}/file"}, "is not a directory"),
        ({"path": there, "subdir": "none"}, f"is not a folder of {there}"),
        ({"git": f"{there}/none.git", "version": "v1"}, "does not exist on the controller"),
        ({"archive": f"{there}/none.tar.gz", "checksum": checksum}, "does not exist on the controller"),
        ({"archive": there, "checksum": checksum}, "is not a file"),
    ]
    for source, what in expected:
        (problem,) = check(app(source=source))
        assert problem.what == what
    for source in [
        {"path": there},
        {"git": there, "version": "v1"},
        {"archive": f"{there}/file", "checksum": checksum},
    ]:
        assert check(app(source=source)) == []


def test_same_problem_of_many_hosts_is_reported_once() -> None:
    """Ten hosts of a group share their variables, and a mistake in them."""
    hosts = {
        name: HostView([app(workers=0)], settings=at(name))
        for name in (f"web{number}" for number in range(10))
    }
    (problem,) = inventory_problems({"edge": ["web1"], "app": list(hosts)}, hosts)
    assert problem.hosts == list(hosts)


def test_location_is_the_nearest_known() -> None:
    """A missing key is looked for where its app begins."""
    view = HostView([app(workers=0, module=None)], {"[0]": "apps.yml:2", "[0].workers": "apps.yml:7"})
    view.entries()[0].pop("module")
    assert [view.location(0, key) for key in ("module", "workers")] == ["apps.yml:2", "apps.yml:7"]
    found = {problem.key: problem.location for problem in inventory_problems(GROUPS, {"web1": view})}
    assert found == {"module": "apps.yml:2", "workers": "apps.yml:7"}


def test_message_reads_as_intended() -> None:
    """App, key, value, what is wrong, fix, place and hosts, in this order."""
    problems = [
        Problem("app a", "workers", "0", "is below 1", "workers: 1", "apps.yml:7", ["web1", "web2"]),
        Problem("group app", "", "", "has no hosts", "put hosts into it"),
    ]
    assert render(problems) == (
        "The inventory has 2 mistakes; no host was touched.\n\n"
        "1. app a, key workers: 0 is below 1\n"
        "   fix: workers: 1\n"
        "   at apps.yml:7 (hosts: web1, web2)\n\n"
        "2. group app: has no hosts\n"
        "   fix: put hosts into it"
    )
    assert render(problems[1:]).startswith("The inventory has one mistake; no host")


@pytest.mark.parametrize("version", ["2.19.0", "2.19.14", "2.20.10", "2.21.5", "2.21.0rc1"])
def test_supported_ansible_core_is_accepted(version: str) -> None:
    """All releases of the tested series."""
    assert core_problems(version) == []


@pytest.mark.parametrize("version", ["2.18.9", "2.22.0", "2.9.27", "3.0", "unknown"])
def test_other_ansible_core_is_refused(version: str) -> None:
    """The plugins build on what only the tested series has."""
    (problem,) = core_problems(version)
    assert (problem.subject, problem.value) == ("ansible-core", version)
