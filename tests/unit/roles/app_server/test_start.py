"""Start, stop and the signals: what systemd sees, and what it hands over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from farrier_gunicorn import status, systemd

from tests.unit.roles.app_server.host import Host, wait_for
from tests.unit.roles.app_server.load import Load
from tests.unit.roles.app_server.test_handover import HANGS, IMPORT_FAILS, START_UP_FAILS, codes


@pytest.mark.parametrize(
    ("prologue", "startup", "reason"),
    [
        (IMPORT_FAILS, "pass", "No module named 'a_module_that_nobody_installed'"),
        ("", START_UP_FAILS, "the database is away"),
        (HANGS, "pass", "took longer than boot_timeout_seconds"),
        ("import os; os._exit(0)", "pass", "ended during its start-up: exit code 0"),
        ("raise SystemExit('SECRET_KEY is not set')", "pass", "SECRET_KEY is not set"),
    ],
)
def test_cold_start_of_a_bad_release_fails(
    make_host: Callable[..., Host], prologue: str, startup: str, reason: str
) -> None:
    """systemd has to see it, and the journal has to say why."""
    host = make_host(boot_timeout_seconds=5)
    host.add_release("bad", prologue=prologue, startup=startup)
    host.activate("bad")
    host.start(wait=False)
    assert host.wait() == 3
    assert reason in host.log.read_text()
    assert reason in status.read_failure(host.run_directory).error
    assert host.processes() == []


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda host: (host.directory / "gunicorn.json").write_text("{"), "gunicorn.json:1:2: not JSON"),
        (lambda host: host.write_settings(workers="two"), "workers must be a whole number"),
        (lambda host: host.write_environment({"A": 1}), "the value of A must be a string"),
        (lambda host: host.current.unlink(), "current: no release there"),
    ],
)
def test_cold_start_with_a_mistake_in_the_settings_says_which(
    host: Host, break_it: Callable[[Host], object], reason: str
) -> None:
    """One line, not a traceback."""
    command = [sys.executable, *host.command[1:]]
    break_it(host)
    host.start(wait=False, command=command)
    assert host.wait() == 1
    log = host.log.read_text()
    assert "gunicorn cannot be started: " in log
    assert reason in log
    assert "Traceback" not in log


def listener(host: Host) -> socket.socket:
    """What the socket unit holds."""
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(host.socket))
    held.listen(512)
    return held


def start_socket_activated(host: Host, held: socket.socket, notify_address: str | None = None) -> None:
    """As systemd does: the socket as descriptor 3, LISTEN_PID, LISTEN_FDS, and a place for READY=1."""
    program = """if True:
        import os, sys
        os.dup2(int(sys.argv[1]), 3)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
        del os.environ["FARRIER_BIND"]
        os.execv(sys.argv[2], sys.argv[2:])
    """
    command = [sys.executable, "-c", program, str(held.fileno()), *host.command]
    environment = {"NOTIFY_SOCKET": notify_address} if notify_address else {}
    host.start(wait=False, command=command, pass_fds=[held.fileno()], **environment)


def test_restart_under_a_held_socket_fails_nobody(host: Host) -> None:
    """While nobody accepts, requests wait in the socket; what was accepted before is answered before."""
    with listener(host) as held:
        start_socket_activated(host, held)
        host.wait_until_serving()
        with Load(host.socket) as load:
            for release in ("2", "1"):
                assert host.stop() == 0
                host.activate(release)
                start_socket_activated(host, held)
                host.wait_until_serving()
                assert codes(host) == {release}
                load.wait_for_more(50)
            assert host.deploy("2").returncode == 0
        assert load.failures == []
        assert set(load.releases) == {"1", "2"}
        assert host.stop() == 0
        assert host.socket.exists()


def test_systemd_is_told_when_a_worker_serves_and_not_before(make_host: Callable[..., Host]) -> None:
    """gunicorn says READY=1 before it forks: `systemctl start` would succeed with an app that cannot boot."""
    host = make_host()
    host.add_release("1", startup="await asyncio.sleep(1)")
    host.activate("1")
    with listener(host) as held, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = str(host.directory / "notify")
        manager.bind(address)
        manager.settimeout(30)
        start_socket_activated(host, held, address)
        message = manager.recv(1000).decode()
        assert message == "STATUS=Release 1 serves\nREADY=1\n"
        assert host.ready() != []
        assert "NOTIFY_SOCKET" not in host.get()["environ"]


def test_a_start_without_a_socket_is_refused(host: Host) -> None:
    """gunicorn would listen on port 8000."""
    command = ["env", "-u", "FARRIER_BIND", *host.command]
    host.start(wait=False, command=command)
    assert host.wait() == 1
    assert "start example.socket, or set FARRIER_BIND" in host.log.read_text()


def test_more_and_fewer_workers(host: Host) -> None:
    """TTIN and TTOU; a reload goes back to the number in the settings, as in gunicorn."""
    host.start()
    with Load(host.socket) as load:
        host.signal(signal.SIGTTIN)
        wait_for(lambda: len(host.ready()) == 3, "there is a third worker", host)
        host.signal(signal.SIGTTOU)
        wait_for(lambda: len(host.ready()) == 2, "there are two workers", host)
        host.signal(signal.SIGTTOU)
        wait_for(lambda: len(host.ready()) == 1, "there is one worker", host)
        host.signal(signal.SIGTTOU)
        load.wait_for_more(50)
        assert len(host.ready()) == 1
        assert host.deploy("2").returncode == 0
        assert len(host.ready()) == 2
        host.write_settings(workers=3)
        assert host.reload().returncode == 0
        assert len(host.ready()) == 3
    assert load.failures == []


def test_second_master_is_refused(host: Host) -> None:
    """USR2 breaks under socket activation, after it has forked."""
    host.start()
    host.signal(signal.SIGUSR2)
    wait_for(lambda: "USR2 is not supported" in host.log.read_text(), "it is refused", host)
    assert codes(host) == {"1"}


def test_workers_do_not_outlive_their_master(host: Host) -> None:
    """Where nothing else cleans up after a master that was killed."""
    host.start()
    workers = [worker.pid for worker in host.ready()]
    os.kill(host.master.pid, signal.SIGKILL)
    host.master.wait()
    wait_for(lambda: not set(workers) & set(host.processes()), "the workers are gone")


def test_blocked_worker_is_replaced(make_host: Callable[..., Host]) -> None:
    """The heartbeat comes from the event loop: a worker that blocks it serves nobody."""
    host = make_host(timeout_seconds=2)
    host.add_release("1")
    host.activate("1")
    host.start()
    with host.connection() as connection:
        connection.request("GET", "/block")
        host.wait_until_one_is_replaced()
    assert "WORKER TIMEOUT" in host.log.read_text()
    assert "in block" in host.log.read_text()  # the stack, in the journal


def test_version_of_a_server_package_that_was_never_tested_is_refused(host: Host) -> None:
    """Internals are relied on; the message has to name the ways out."""
    site_packages = next((host.directory / "releases" / "1" / ".venv" / "lib").glob("*/site-packages"))
    metadata = site_packages / "uvicorn-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: uvicorn\nVersion: 0.1\n")
    host.start(wait=False)
    assert host.wait() == 1
    assert "tested with uvicorn >=" in host.log.read_text()
    assert "deploy again: the kit then brings its own" in host.log.read_text()


def test_reload_command_outside_systemd_says_what_is_missing(host: Host) -> None:
    """For the operator who calls it by hand."""
    host.start()
    environment = {**os.environ, **host.environment}
    done = subprocess.run(
        [sys.executable, "-m", "farrier_gunicorn.reload"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "MAINPID" in done.stderr


def test_error_of_an_app_cannot_pass_for_words_to_systemd(tmp_path: Path) -> None:
    """Each line of a notification is an assignment, of the main process for instance."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        systemd.notify(str(tmp_path / "notify"), "failed: \nMAINPID=1\nREADY=1" + "x" * 1000)
        message = manager.recv(5000).decode()
    assert message.startswith("STATUS=failed: MAINPID=1 READY=1xxx")
    assert message.count("\n") == 1
    assert len(message) < 400
