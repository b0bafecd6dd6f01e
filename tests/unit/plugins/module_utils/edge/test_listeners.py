"""Who holds a port must be named rightly: the operator will stop what is named."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from ansible_collections.farrier.kit.plugins.module_utils.edge.listeners import SHOW, listeners

WEB = {"tcp": [80, 443]}
APACHE = 'tcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("apache2",pid=1234,fd=4),("apache2",pid=99,fd=4))'


def process(proc: Path, pid: int, unit: str) -> None:
    """Lay out a process of a unit."""
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cgroup").write_text(f"1:name=systemd:/system.slice/{unit}\n0::/system.slice/{unit}\n")


def test_process_and_unit_are_named(tmp_path: Path) -> None:
    """The workers of one unit count once, by their first process."""
    process(tmp_path, 1234, "apache2.service")
    process(tmp_path, 99, "apache2.service")
    expected = {
        "port": 80,
        "protocol": "tcp",
        "process": "apache2",
        "pid": 99,
        "unit": "apache2.service",
    }
    assert listeners(APACHE, WEB, tmp_path) == [expected]


def test_each_port_counts_also_on_ipv6_alone(tmp_path: Path) -> None:
    """A server that listens on [::] alone still keeps nginx from the port."""
    said = 'tcp LISTEN 0 9 127.0.0.1:443 0.0.0.0:* users:(("caddy",pid=7,fd=3))\n'
    said += 'tcp LISTEN 0 9 [::]:80 [::]:* users:(("caddy",pid=7,fd=4))\n'
    assert [entry["port"] for entry in listeners(said, WEB, tmp_path)] == [80, 443]


def test_other_ports_do_not_count(tmp_path: Path) -> None:
    """A server on 8080 is in nobody's way, nor is one without a port."""
    said = APACHE.replace(":80", ":8080") + "\n" + APACHE.replace("0.0.0.0:80", "*:*")
    assert listeners(said, WEB, tmp_path) == []


def test_a_listener_whose_process_is_out_of_sight_counts(tmp_path: Path) -> None:
    """In a container of its own it is not in this /proc, but the port is taken."""
    expected = {"port": 80, "protocol": "tcp", "process": "an unknown process", "pid": 0, "unit": ""}
    assert listeners("tcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:*", WEB, tmp_path) == [expected]


def test_udp_has_ports_of_its_own(tmp_path: Path) -> None:
    """A VPN on UDP 443 is in the way of HTTP/3 and of nothing else."""
    said = 'udp UNCONN 0 0 0.0.0.0:443 0.0.0.0:* users:(("openvpn",pid=8,fd=3))\n'
    said += 'udp UNCONN 0 0 [::]:443 [::]:* users:(("other",pid=9,fd=3))\n'
    process(tmp_path, 8, "openvpn.service")
    process(tmp_path, 9, "other.service")
    assert listeners(said, WEB, tmp_path) == []
    found = listeners(said, {"udp": [443]}, tmp_path)
    assert [entry["process"] for entry in found] == ["openvpn", "other"]


def shown() -> str:
    """Return what `ss` says here."""
    return subprocess.run(SHOW, capture_output=True, text=True, check=True).stdout


def test_this_process_is_found() -> None:
    """The form is that of the real `ss`; a client's connected socket is no listener."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            found = listeners(shown(), {"tcp": [port]})
    assert [entry["pid"] for entry in found] == [os.getpid()]
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        found = listeners(shown(), {"udp": [port]})
        assert [entry["pid"] for entry in found] == [os.getpid()]
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect(server.getsockname())
            assert listeners(shown(), {"udp": [client.getsockname()[1]]}) == []
