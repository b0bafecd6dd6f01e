"""What runs takes up what is on disk, whichever run has put it there; nothing restarts without need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from testinfra.host import Host

from tests.harness.connections import reached
from tests.harness.deploys import Run, run

SCENARIO = Path(__file__).resolve().parents[1]
HOSTS = yaml.safe_load((SCENARIO / "inventory/hosts.yml").read_text())["all"]["children"]["app"]["hosts"]
APPS = yaml.safe_load((SCENARIO / "inventory/group_vars/all/apps.yml").read_text())["apps"]
SETTINGS = "/etc/farrier/observatory/gunicorn.json"
RUNNING = ("observatory.socket", "observatory.service", "second.socket", "second.service", "nginx.service")


def site(*tags: str, **variables: Any) -> Run:
    """Run site.yml for some of its roles."""
    done = run(SCENARIO / "inventory", "site", [f"--tags={','.join(tags)}"], **variables)
    assert not done.failed, done.output
    return done


def master(host: Host, app: str) -> dict[str, Any]:
    """Return what the master of an app says of itself."""
    return json.loads(host.check_output(f"cat /run/farrier/{app}/master.json"))


def started(host: Host) -> dict[str, str]:
    """Return the invocation of every unit that must not be restarted without need."""
    return {unit: host.check_output(f"systemctl show --value -p InvocationID {unit}") for unit in RUNNING}


def test_what_an_earlier_run_has_left_is_taken_up_and_a_comment_restarts_nothing() -> None:
    """The files are as they are to be, and what runs goes by others. Comments of all units have changed."""
    hosts = [reached(name) for name in HOSTS]
    for host in hosts:
        host.check_output(f"cp -p {SETTINGS} /root/settings")
        host.check_output(f"jq '.max_requests = 777777' /root/settings > {SETTINGS}")
        host.check_output(f"systemctl reload observatory.service && cp -p /root/settings {SETTINGS}")
        for unit in (*RUNNING[:4], "nginx.service.d/farrier.conf"):
            host.check_output(f"sed -i '1i # other words' /etc/systemd/system/{unit}")
        host.check_output("sed -i '1a # other words' /etc/nginx/nginx.conf")
    before = [(started(host), master(host, "observatory"), master(host, "second")) for host in hosts]
    site("app_server", "nginx")
    for host, (units, observatory, second) in zip(hosts, before, strict=True):
        assert started(host) == units
        assert master(host, "observatory")["generation"] == observatory["generation"] + 1
        assert master(host, "second") == second
        assert (
            host.check_output("systemctl show --value -p NeedDaemonReload nginx second.service") == "no\n\nno"
        )


def test_what_a_reload_refuses_is_handed_over_by_a_restart() -> None:
    """A stock worker and back, the reason is said, and a further run has nothing to do."""
    for was, wanted in (("handover", "stock"), ("stock", "handover")):
        apps = [{**app, "worker_class": wanted} if app["name"] == "second" else app for app in APPS]
        done = site("app_server", apps=apps)
        assert f"second: worker_class was {was} and is {wanted}" in done.output
        for host in map(reached, HOSTS):
            assert master(host, "second")["worker_class"] == wanted
            host.check_output(
                "curl -fsS --unix-socket /run/farrier/sockets/second.sock http://localhost/healthz"
            )
        assert "restarts" not in site("app_server", apps=apps).output
