"""The units of an app as Ansible renders them, and a worker under their limits."""

from __future__ import annotations

import base64
import json
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import App

from tests.unit.playbooks import run_in
from tests.unit.roles.app_server.host import Host

ROLE = Path(__file__).resolve().parents[4] / "roles" / "app_server"
APP = {
    "name": "example",
    "domains": ["example.org"],
    "source": {"path": "/srv/source"},
    "module": "example:app",
}
LOCALHOST = "all: {hosts: {localhost: {ansible_connection: local}}}\n"
PLAYBOOK = f"""
- hosts: localhost
  gather_facts: false
  vars_files: [{ROLE}/defaults/main.yml, {ROLE}/vars/main.yml]
  vars:
    ansible_managed: by a test
    __app_server_app: "{{{{ app_server_apps | first }}}}"
  tasks:
    - ansible.builtin.set_fact:
        farrier_host: {{vcpus: "{{{{ vcpus | int }}}}", memory_mb: 8192}}
        cacheable: true
    - ansible.builtin.template:
        src: "{ROLE}/templates/etc/{{{{ item }}}}.j2"
        dest: "{{{{ playbook_dir }}}}/{{{{ item | basename }}}}"
        mode: "0644"
      loop: [systemd/system/app.service, systemd/system/app-rehearsal@.service, farrier/app/gunicorn.json]
"""
UNITS = ("app.service", "app-rehearsal@.service")


@pytest.fixture
def render(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return what the role renders of an app, by file name."""

    def render(*, vcpus: int = 2, connections: int = 4096, **app: Any) -> dict[str, str]:
        values = {
            "app_server_apps": [App.model_validate({**APP, **app}).model_dump()],
            "app_server_proxy_connections": connections,
            "vcpus": vcpus,
        }
        done = run_in(tmp_path, PLAYBOOK, "--extra-vars", json.dumps(values), hosts=LOCALHOST)
        assert done.returncode == 0, done.stdout + done.stderr
        return {name: (tmp_path / name).read_text() for name in (*UNITS, "gunicorn.json")}

    return render


def settings(unit: str) -> dict[str, str]:
    """The settings of a unit that come once."""
    return dict(line.split("=", 1) for line in unit.splitlines() if line[:1].isalpha())


def test_open_files_are_enough_for_what_nginx_sends(render: Callable[..., dict[str, str]]) -> None:
    """Half of nginx's connections lead to apps; the other half of the limit is the app's own."""
    for vcpus, connections, expected in ((2, 4096, 16_384), (16, 5000, 80_000)):
        found = render(vcpus=vcpus, connections=connections)
        assert [settings(found[unit])["LimitNOFILE"] for unit in UNITS] == [str(expected)] * 2


def test_limits_of_the_inventory_hold_for_the_service_and_for_the_rehearsal(
    render: Callable[..., dict[str, str]],
) -> None:
    """What is not limited is left to systemd."""
    limits = {"memory_max_mb": 1024, "cpu_percent_max": 150, "tasks_max": 500, "worker_memory_max_mb": 256}
    found = render(vcpus=8, **limits)
    for unit in UNITS:
        values = settings(found[unit])
        assert [values[key] for key in ("MemoryMax", "CPUQuota", "TasksMax")] == ["1024M", "150%", "500"]
        assert "Environment=PYTHONUNBUFFERED=1" in found[unit].splitlines()
    gunicorn = json.loads(found["gunicorn.json"])
    assert (gunicorn["worker_memory_max_mb"], gunicorn["workers"]) == (256, 4)
    found = render(vcpus=8)
    assert not {"MemoryMax", "CPUQuota", "TasksMax"} & settings(found["app.service"]).keys()
    gunicorn = json.loads(found["gunicorn.json"])
    assert (gunicorn["worker_memory_max_mb"], gunicorn["workers"]) == (0, 8)


def test_nobody_reloads_an_app_of_which_one_copy_may_run(render: Callable[..., dict[str, str]]) -> None:
    """Not even by hand. It has one worker, which is never replaced by another."""
    assert "ExecReload" in settings(render()["app.service"])
    found = render(handover="stop_first")
    assert "ExecReload" not in settings(found["app.service"])
    gunicorn = json.loads(found["gunicorn.json"])
    assert (gunicorn["workers"], gunicorn["max_requests"], gunicorn["handover"]) == (1, 0, "stop_first")


@pytest.mark.parametrize(
    ("exception", "lifted", "left"),
    [
        ("jit", {"MemoryDenyWriteExecute"}, {}),
        ("proc", {"ProcSubset"}, {"ProtectProc": "invisible"}),
        ("devices", {"PrivateDevices", "DevicePolicy"}, {}),
        ("netlink", set(), {"RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK"}),
    ],
)
def test_an_exception_lifts_its_part_of_the_sandbox_and_no_other(
    render: Callable[..., dict[str, str]], exception: str, lifted: set[str], left: dict[str, str]
) -> None:
    """For the service and its rehearsal alike: what passes the one must not die in the other."""
    before, after = render(), render(sandbox={exception: True})
    for unit in UNITS:
        was, becomes = settings(before[unit]), settings(after[unit])
        assert was.keys() - becomes.keys() == lifted
        changed = {key: value for key, value in becomes.items() if value != was[key]}
        changed.pop("Environment", None)
        assert changed == {key: value for key, value in left.items() if was[key] != value}
        assert left.items() <= becomes.items()


@contextmanager
def open_files(limit: int) -> Iterator[None]:
    """Let this process, and those that it starts, open so many files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_one_worker_holds_1500_websockets(
    make_host: Callable[..., Host], render: Callable[..., dict[str, str]]
) -> None:
    """systemd's default would leave them unanswered from the thousandth on."""
    host = make_host(workers=1)
    host.add_release("1")
    host.activate("1")
    with open_files(int(settings(render()["app.service"]).get("LimitNOFILE", 1024))):
        host.start()
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    with open_files(4000), ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(1500)]
        for client in clients:
            client.settimeout(10)
            client.connect(str(host.socket))
            client.sendall(head)
            assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
        assert host.get()["pid"] == host.ready()[0].pid
        for client in clients:
            client.sendall(b"\x81\x81\0\0\0\0a")
            assert client.recv(100) == b"\x81\x031 a"


def test_a_process_gets_the_signal_alone_and_has_a_limit_of_its_own(tmp_path: Path) -> None:
    """Children that were told to stop with it would lose their jobs."""
    worker = {
        "command": "arq 50%",
        "memory_max_mb": 256,
        "stop_signal": "SIGINT",
        "stop_timeout_seconds": 600,
    }
    app = App.model_validate({**APP, "memory_max_mb": 1024, "processes": {"worker": worker}}).model_dump()
    values = {"app_server_apps": [app], "__app_server_unit": {"name": "worker"}, "vcpus": 2}
    playbook = PLAYBOOK.replace("systemd/system/app.service, ", "systemd/system/app-process@.service, ")
    done = run_in(tmp_path, playbook, "--extra-vars", json.dumps(values), hosts=LOCALHOST)
    assert done.returncode == 0, done.stdout + done.stderr
    found = settings((tmp_path / "app-process@.service").read_text())
    keys = ("KillMode", "KillSignal", "TimeoutStopSec", "MemoryMax", "Slice", "User", "ProtectSystem")
    assert [found[key] for key in keys] == [
        *("mixed", "SIGINT", "600", "256M", "farrier-example.slice", "example", "strict"),
    ]
    assert found["ExecStart"].endswith('--copy /srv/example/releases/%i -- "arq" "50%%"')
