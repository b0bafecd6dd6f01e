"""Who holds a port must be named rightly: the operator will stop what is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ansible_collections.farrier.kit.plugins.module_utils.edge.listeners import listeners

HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(address: str, state: str, inode: int) -> str:
    """Return a line of /proc/net/tcp or /proc/net/udp."""
    return f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1\n"


def process(proc: Path, pid: int, name: str, unit: str, *inodes: int) -> None:
    """Lay out a process that holds sockets."""
    directory = proc / str(pid)
    (directory / "fd").mkdir(parents=True)
    (directory / "comm").write_text(f"{name}\n")
    (directory / "cgroup").write_text(f"1:name=systemd:/system.slice/{unit}\n0::/system.slice/{unit}\n")
    for number, inode in enumerate(inodes):
        (directory / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


def machine(proc: Path, tcp: str, tcp6: str = "", udp: str = "", udp6: str = "") -> Path:
    """Lay out the tables of sockets."""
    (proc / "net").mkdir(parents=True)
    for table, rows in {"tcp": tcp, "tcp6": tcp6, "udp": udp, "udp6": udp6}.items():
        (proc / "net" / table).write_text(HEADING + rows)
    return proc


def test_process_and_unit_are_named(tmp_path: Path) -> None:
    """Port 80 is 0050 in the table; the workers of one unit count once, by their first process."""
    proc = machine(tmp_path, row("00000000:0050", "0A", 11))
    process(proc, 1234, "apache2", "apache2.service", 11)
    process(proc, 99, "apache2", "apache2.service", 11)
    expected = {
        "port": 80,
        "protocol": "tcp",
        "process": "apache2",
        "pid": 99,
        "unit": "apache2.service",
    }
    assert listeners([80, 443], proc) == [expected]


def test_each_port_counts_also_on_ipv6_alone(tmp_path: Path) -> None:
    """A server that listens on [::] alone still keeps nginx from the port."""
    proc = machine(
        tmp_path, row("0100007F:01BB", "0A", 12), row("00000000000000000000000000000000:0050", "0A", 13)
    )
    process(proc, 7, "caddy", "caddy.service", 12, 13)
    assert [entry["port"] for entry in listeners([80, 443], proc)] == [80, 443]


def test_connections_and_other_ports_do_not_count(tmp_path: Path) -> None:
    """A client's connection from port 80 is no listener, nor is a server on 8080."""
    proc = machine(tmp_path, row("00000000:0050", "01", 14) + row("00000000:1F90", "0A", 15))
    process(proc, 7, "python3", "other.service", 14, 15)
    assert listeners([80, 443], proc) == []


def test_a_listener_whose_process_is_out_of_sight_counts(tmp_path: Path) -> None:
    """In a container of its own it is not in this /proc, but the port is taken."""
    proc = machine(tmp_path, row("00000000:0050", "0A", 16))
    expected = {"port": 80, "protocol": "tcp", "process": "an unknown process", "pid": 0, "unit": ""}
    assert listeners([80], proc) == [expected]


def test_udp_has_ports_of_its_own(tmp_path: Path) -> None:
    """A VPN on UDP 443 is in the way of HTTP/3 and of nothing else; a client's connected socket is not."""
    proc = machine(
        tmp_path,
        row("00000000:0050", "0A", 17),
        udp=row("00000000:01BB", "07", 18) + row("0100007F:01BB", "01", 20),
        udp6=row("00000000000000000000000000000000:01BB", "07", 19),
    )
    process(proc, 7, "caddy", "caddy.service", 17)
    process(proc, 8, "openvpn", "openvpn.service", 18)
    process(proc, 9, "other", "other.service", 19)
    process(proc, 10, "client", "client.service", 20)
    assert [entry["process"] for entry in listeners([80, 443], proc)] == ["caddy"]
    assert [(entry["process"], entry["protocol"]) for entry in listeners([80, 443], proc, "udp")] == [
        ("openvpn", "udp"),
        ("other", "udp"),
    ]


def test_this_process_is_found() -> None:
    """The form of the real /proc is the kernel's, not this file's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = listeners([server.getsockname()[1]])
    assert [entry["pid"] for entry in found] == [os.getpid()]
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        found = listeners([server.getsockname()[1]], protocol="udp")
    assert [entry["pid"] for entry in found] == [os.getpid()]
