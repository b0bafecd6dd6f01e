"""A host is taken out of an edge's rotation and put back, whole or not at all, and whoever asked is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.farrier.kit.plugins.module_utils.edge import upstream_members

LoadPlugin = Callable[[str, str], ModuleType]

SHOP = """upstream farrier_shop {
    # app1
    server 10.0.0.11:20123 max_fails=2;
    # app2
    server 10.0.0.12:20123 max_fails=2;
}
"""
BLOG = SHOP.replace("20123", "20456")
# Of app2 alone.
WIKI = "# app2\nserver 10.0.0.12:20789;\n"
SHOP_WITHOUT_APP1 = SHOP.replace("10.0.0.11:20123 max_fails=2;", "10.0.0.11:20123 max_fails=2 down;")
RELOAD = ["systemctl", "reload", "nginx.service"]


class Edge:
    """A machine with nginx, two app hosts that both answer `blog` and `shop`, and one of them `wiki`.

    Attributes:
        commands: what was run.
        refusal: what nginx says against its configuration; "" when it takes it up.
        dead: addresses at which nobody answers.
        open_connections: how many there are, each time that they are counted; then none.
        counted: the addresses whose connections were counted.
    """

    def __init__(self, directory: Path, main: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
        self.apps, self.drained = directory / "apps", directory / "drained"
        for path in (self.apps, self.drained):
            path.mkdir()
        for name, text in (("shop", SHOP), ("blog", BLOG), ("wiki", WIKI)):
            (self.apps / f"{name}.conf").write_text(text)
        self.commands: list[list[str]] = []
        self.refusal = ""
        self.dead: set[str] = set()
        self.open_connections: list[int] = []
        self.counted: list[str] = []
        self._main, self._capsys = main, capsys

    def run(self, *, check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
        """Run the module."""
        own = {"drained_directory": str(self.drained), "configuration_directory": str(self.apps)}
        with (
            patch_module_args({**own, "_ansible_check_mode": check_mode, **arguments}),
            pytest.raises(SystemExit),
        ):
            self._main()
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return result

    def everything(self) -> dict[str, str]:
        """All that the module may change."""
        return {path.name: path.read_text() for path in (*self.apps.iterdir(), *self.drained.iterdir())}

    def command(self, command: list[str]) -> tuple[int, str, str]:
        """Stands in for `run_command`."""
        self.commands.append(command)
        return (1 if self.refusal else 0), "", self.refusal

    def count(self, addresses: list[str]) -> int:
        """Stands in for `upstream_members.open_connections`."""
        self.counted = addresses
        return self.open_connections.pop(0) if self.open_connections else 0


@pytest.fixture
def edge(
    load_plugin: LoadPlugin,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Edge:
    """Return one, where all answer and no connection is open."""
    module = load_plugin("modules", "nginx_upstream_member")
    edge = Edge(tmp_path, module.main, capsys)
    monkeypatch.setattr(AnsibleModule, "run_command", edge.command)
    monkeypatch.setattr(upstream_members, "answers", lambda address: address not in edge.dead)
    monkeypatch.setattr(upstream_members, "open_connections", edge.count)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    return edge


def test_a_host_goes_out_and_comes_back(edge: Edge) -> None:
    """Of all its apps with one reload, and the second time nothing is left to do."""
    before = edge.everything()
    for changed in (True, False):
        result = edge.run(hosts=["app1"], state="drained", reason="deploy")
        assert (result["changed"], result["drained_by_us"], result["open_connections"]) == (
            changed,
            ["app1"],
            0,
        )
        assert edge.commands == [RELOAD]
    assert edge.counted == ["10.0.0.11:20456", "10.0.0.11:20123"]
    assert edge.everything() == {
        **before,
        "shop.conf": SHOP_WITHOUT_APP1,
        "blog.conf": SHOP_WITHOUT_APP1.replace("20123", "20456"),
        "app1": "deploy\n",
    }
    assert edge.run()["drained"] == {"app1": "deploy"}
    for changed in (True, False):
        assert edge.run(hosts=["app1"], state="present")["changed"] is changed
        assert edge.commands == [RELOAD] * 2
    assert edge.everything() == before


def test_hosts_go_out_together_or_not_at_all(edge: Edge) -> None:
    """Each change makes clients come anew: one for all of them, and no half of a batch."""
    before = edge.everything()
    refused = edge.run(hosts=["app1", "app2"], state="drained")
    assert refused["msg"].startswith(
        "Without app1, app2, 0 host(s) would serve blog, but release_min_serving_hosts requires 1."
    )
    refused = edge.run(hosts=["app1", "app3"], state="drained")
    assert refused["msg"].startswith("No app of this edge is served by app3.")
    assert (edge.everything(), edge.commands) == (before, [])
    edge.run(hosts=["app2"], state="drained", min_serving_hosts=0)
    result = edge.run(hosts=["app1", "app2"], state="drained", reason="deploy", min_serving_hosts=0)
    # Who was out already is somebody else's.
    assert (result["changed"], result["drained_by_us"]) == (True, ["app1"])
    assert edge.counted == [
        "10.0.0.11:20456",
        "10.0.0.12:20456",
        "10.0.0.11:20123",
        "10.0.0.12:20123",
        "10.0.0.12:20789",
    ]
    assert edge.run()["drained"] == {"app1": "deploy", "app2": "operator"}
    assert edge.run(hosts=["app1", "app2"], state="present")["changed"] is True
    assert edge.commands == [RELOAD] * 3
    # Of one of them, a run that was cut short has left the mark.
    (edge.drained / "app2").write_text("deploy\n")
    assert edge.run(hosts=["app1", "app2"], state="present")["changed"] is True
    assert edge.commands == [RELOAD] * 4
    assert edge.everything() == before


def test_no_app_is_left_with_fewer_than_must_serve(edge: Edge) -> None:
    """One that is down, or is out already, serves nobody: nothing at all is changed."""
    before = edge.everything()
    refused = edge.run(hosts=["app2"], state="drained")
    assert refused["failed"]
    assert refused["msg"].startswith(
        "Without app2, 0 host(s) would serve wiki, but release_min_serving_hosts requires 1."
    )
    edge.dead = {"10.0.0.12:20123", "10.0.0.12:20789"}
    refused = edge.run(hosts=["app1"], state="drained")
    assert refused["msg"].startswith("Without app1, 0 host(s) would serve shop,")
    assert edge.everything() == before
    assert edge.commands == []
    assert edge.run(hosts=["app1"], state="drained", min_serving_hosts=0)["changed"] is True
    # What is so already is not refused, and whoever comes back needs nobody else.
    assert edge.run(hosts=["app1"], state="drained")["changed"] is False
    assert edge.run(hosts=["app1"], state="present", min_serving_hosts=2)["changed"] is True


def test_an_app_of_one_host_may_keep_it(edge: Edge) -> None:
    """Its requests wait while the host restarts; the apps of several hosts do without."""
    assert edge.run(hosts=["app2"], state="drained", keep_sole_members=True)["changed"] is True
    assert edge.everything()["wiki.conf"] == WIKI
    assert edge.everything()["shop.conf"] != SHOP
    edge.dead = {"10.0.0.12:20123"}
    assert edge.run(hosts=["app2"], state="present")["changed"] is True
    assert edge.run(hosts=["app1"], state="drained", keep_sole_members=True)["failed"]


def test_a_host_that_nobody_knows_is_a_mistake(edge: Edge) -> None:
    """A name that was mistyped must not look as if the host were out."""
    refused = edge.run(hosts=["app3"], state="drained")
    assert refused["msg"] == "No app of this edge is served by app3. Its app hosts are: app1, app2."
    assert refused["failed"]
    reported = edge.run(hosts=["app3"], state="drained", defer_failure=True)
    assert (reported["problem"], reported.get("failed")) == (refused["msg"], None)


def test_a_host_goes_with_what_becomes_of_it(edge: Edge) -> None:
    """Without a state, a host that is out would come back."""
    assert "parameters are required together: hosts, state" in edge.run(hosts=["app1"])["msg"]


def test_what_nginx_refuses_is_taken_back(edge: Edge) -> None:
    """The next reload, whoever asks for it, must not fail because of this one."""
    before = edge.everything()
    edge.refusal = "nginx: [emerg] no such file\n"
    refused = edge.run(hosts=["app1"], state="drained")
    assert refused["msg"].endswith("goes on as before: nginx: [emerg] no such file")
    assert edge.everything() == before


@pytest.mark.parametrize(("state", "goal"), [("drained", SHOP_WITHOUT_APP1), ("present", SHOP)])
def test_a_run_that_was_cut_short_before_the_reload_is_finished(edge: Edge, state: str, goal: str) -> None:
    """The files say what is wanted already, and nginx still does the contrary."""
    for name in ("shop", "blog"):
        port = "20123" if name == "shop" else "20456"
        (edge.apps / f"{name}.conf").write_text(goal.replace("20123", port))
    if state == "present":
        (edge.drained / "app1").write_text("deploy\n")
    assert edge.run(hosts=["app1"], state=state)["changed"] is True
    assert edge.commands == [RELOAD]
    assert (edge.drained / "app1").exists() is (state == "drained")


def test_a_host_that_somebody_else_took_out_stays_theirs(edge: Edge) -> None:
    """A deploy that put it back would undo the work of an operator who has it open."""
    edge.run(hosts=["app1"], state="drained")
    assert edge.run(hosts=["app1"], state="drained", reason="deploy")["drained_by_us"] == []
    assert edge.run()["drained"] == {"app1": "operator"}


def test_requests_under_way_are_waited_for(edge: Edge) -> None:
    """Until the last has ended, or the time is up: a WebSocket lasts for hours."""
    edge.open_connections = [2, 1]
    assert edge.run(hosts=["app1"], state="drained", wait_seconds=60)["open_connections"] == 0
    edge.open_connections = [3]
    assert edge.run(hosts=["app1"], state="drained")["open_connections"] == 3


def test_check_mode_only_says_so(edge: Edge) -> None:
    """Also what would be refused."""
    before = edge.everything()
    result = edge.run(hosts=["app1"], state="drained", check_mode=True)
    assert (result["changed"], result["drained_by_us"]) == (True, ["app1"])
    assert edge.run(hosts=["app1"], state="present", check_mode=True)["changed"] is False
    assert edge.run(hosts=["app2"], state="drained", check_mode=True)["failed"]
    assert edge.everything() == before
    assert edge.commands == []


def test_an_edge_that_cannot_be_reached_is_a_problem_where_that_was_asked(
    load_plugin: LoadPlugin,
) -> None:
    """A deploy stops in words and puts back what it has taken out; for others it is the end of the edge."""
    plugin = load_plugin("action", "nginx_upstream_member")
    asked: list[Any] = []

    def reach(*arguments: Any) -> dict[str, Any]:
        asked.append(arguments[:2])
        if len(asked) > 1:
            raise AnsibleConnectionFailure("timed out")
        return {"changed": True}

    action = plugin.ActionModule.__new__(plugin.ActionModule)
    arguments = {"hosts": ["app1"], "state": "drained", "defer_failure": True}
    action._task = SimpleNamespace(args=arguments, check_mode=True, async_val=0)
    action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    action._execute_module = reach
    assert action.run() == {"changed": True}
    assert asked == [("farrier.kit.nginx_upstream_member", arguments)]
    assert action.run() == {"changed": False, "problem": "An edge cannot be reached: timed out"}
    action._task.args = {"hosts": ["app1"], "state": "drained"}
    with pytest.raises(AnsibleConnectionFailure):
        action.run()
