"""The service of each app, seen by its effects and its effective systemd properties."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from testinfra.host import Host

GROUP = "app"
APPS = ("observatory", "second")


def properties(host: Host, unit: str, *names: str) -> dict[str, str]:
    """Return the effective properties of a unit."""
    shown = host.check_output(f"systemctl show {unit} --property={','.join(names)}")
    return dict(line.split("=", 1) for line in shown.splitlines())


def workers(host: Host, app: str) -> list[dict[str, Any]]:
    """Return what the workers of an app say of themselves."""
    return json.loads(host.check_output(f"jq --slurp . /run/farrier/{app}/workers/*.json"))


@pytest.mark.parametrize("app", APPS)
def test_service_and_socket_run_and_start_with_the_host(host: Host, app: str) -> None:
    """A site that is up only until the next reboot is not up."""
    for unit in (f"{app}.service", f"{app}.socket"):
        assert host.service(unit).is_running, unit
        assert host.service(unit).is_enabled, unit


@pytest.mark.parametrize(("app", "limit"), [("observatory", 1.2), ("second", 1.0)])
def test_sandbox_is_as_tight_as_promised(host: Host, app: str, limit: float) -> None:
    """The score sums up a hundred directives; `second` has no outbound network and must do better."""
    table = host.check_output(f"systemd-analyze security --no-pager {app}.service")
    exposure = float(table.rsplit("exposure level for", 1)[1].split(":")[1].split()[0])
    assert exposure <= limit


@pytest.mark.parametrize("app", APPS)
def test_failures_never_end_the_socket(host: Host, app: str) -> None:
    """With systemd's defaults five quick failures end the service and then the socket, for good."""
    service = properties(host, f"{app}.service", "StartLimitIntervalUSec", "Restart", "OOMPolicy")
    assert service == {"StartLimitIntervalUSec": "0", "Restart": "always", "OOMPolicy": "continue"}
    assert properties(host, f"{app}.socket", "TriggerLimitIntervalUSec") == {"TriggerLimitIntervalUSec": "0"}


@pytest.mark.parametrize("app", APPS)
def test_backlog_is_what_was_asked_for(host: Host, app: str) -> None:
    """UvicornWorker calls listen() again, which would put its own backlog in place of the socket unit's."""
    listening = host.check_output(
        f"ss --no-header --listening --unix src unix:/run/farrier/sockets/{app}.sock"
    )
    assert listening.split()[3] == "2048"


def test_workers_are_sized_from_the_processors(host: Host) -> None:
    """One per core and at least two is the contract's default."""
    assert len(workers(host, "observatory")) == max(2, int(host.check_output("nproc")))


def test_systemd_waits_longer_than_gunicorn(host: Host) -> None:
    """A stop that systemd cuts short cuts requests short."""
    settings = json.loads(host.file("/etc/farrier/observatory/gunicorn.json").content_string)
    stop = properties(host, "observatory.service", "TimeoutStopUSec")["TimeoutStopUSec"]
    minutes, _, seconds = stop.rpartition("min ")
    stop_seconds = int(minutes or 0) * 60 + int(seconds.removesuffix("s"))
    assert stop_seconds > settings["graceful_timeout_seconds"]


@pytest.mark.parametrize(("reader", "other"), [("observatory", "second"), ("second", "observatory")])
def test_an_app_cannot_read_another_ones_files(host: Host, reader: str, other: str) -> None:
    """Two apps on a host trust each other no more than two hosts do."""
    for path in (
        f"/srv/{other}/current/",
        f"/var/lib/farrier/{other}/",
        f"/etc/farrier/{other}/environment.json",
    ):
        assert host.run(f"test -e {path}").succeeded, f"{path} must be there for the test to mean something"
        assert host.run(f"setpriv --reuid={reader} --regid={reader} --init-groups -- ls {path}").failed, path
        assert host.run(f"setpriv --reuid={other} --regid={other} --init-groups -- ls {path}").succeeded, path


def test_secrets_stay_between_root_and_the_app(host: Host) -> None:
    """A secret in a process list, in `systemctl show` or in the journal is no secret."""
    path = "/etc/farrier/observatory/environment.json"
    assert "c4n4ry-secret" in host.file(path).content_string
    assert host.file(path).mode == 0o640
    assert host.run(f"setpriv --reuid=www-data --regid=www-data --init-groups -- cat {path}").failed
    for command in (
        "ps -eo args",
        "systemctl show observatory.service",
        "journalctl --no-pager",
        "cat /run/farrier/observatory/master.json",
    ):
        assert "c4n4ry-secret" not in host.check_output(command), command


def test_app_cannot_change_its_own_code(host: Host) -> None:
    """Whoever gets into the app must not be able to stay in it."""
    as_app = "setpriv --reuid=observatory --regid=observatory --init-groups --"
    writable = host.run(
        f"{as_app} find -L /srv/observatory/current /usr/local/lib/farrier -writable ! -type l"
    )
    assert writable.stdout == ""
    assert host.run(f"{as_app} test -w /var/lib/farrier/observatory").succeeded


def logged(host: Host, *options: str) -> list[dict[str, Any]]:
    """Send a request to the app, and return the journal's entries of it as soon as there are some."""
    mark = f"probe-{time.time_ns()}"
    curl = "curl --silent --unix-socket /run/farrier/sockets/observatory.sock"
    host.check_output(f"{curl} --header 'X-Request-ID: {mark}' http://localhost/version")
    journal = " ".join(["journalctl", "--no-pager", "--output=json", "--lines=200", *options])
    deadline = time.monotonic() + 20
    while True:
        entries = [json.loads(line) for line in host.check_output(journal).splitlines()]
        found = [entry for entry in entries if mark in str(entry["MESSAGE"])]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_access_log_is_json_under_the_apps_name(host: Host) -> None:
    """`journalctl -t NAME` is where the operator looks, and jq is what reads it."""
    (entry,) = logged(host, "--identifier=observatory")
    line = json.loads(entry["MESSAGE"])
    assert (line["path"], line["status"]) == ("/version", 200)


def test_each_worker_has_its_own_stream_in_the_journal_of_the_service(host: Host) -> None:
    """`journalctl -u NAME` finds its lines, though it is not systemd that has opened the stream."""
    (entry,) = logged(host, "--unit=observatory.service")
    assert entry["_PID"] != properties(host, "observatory.service", "MainPID")["MainPID"]


def test_a_killed_service_comes_back_by_itself(host: Host) -> None:
    """Nobody is awake when the kernel kills a process."""
    before = properties(host, "second.service", "MainPID")["MainPID"]
    host.check_output(f"kill -KILL {before}")
    host.check_output(
        "curl --silent --fail --retry 10 --retry-all-errors --unix-socket /run/farrier/sockets/second.sock http://localhost/healthz"
    )
    assert properties(host, "second.service", "MainPID")["MainPID"] not in (before, "0")
