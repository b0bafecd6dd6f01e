"""Hosts leave the rotation and come back, and nothing else of the configuration changes."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import upstream_members

CONFIGURATION = """upstream farrier_shop {
    zone farrier_shop 128k;
    # app1
    server 10.0.0.11:20123 max_fails=2 fail_timeout=3s;
    # app11
    server 10.0.0.21:20123 max_fails=2 fail_timeout=3s down;
    # edge1
    server unix:/run/farrier/sockets/shop.sock max_fails=2 fail_timeout=3s;
    keepalive 64;
}
"""
ALONE = """    # web1: there is no other to turn to, so a failure must not switch it off.
    server unix:/run/farrier/sockets/shop.sock max_fails=0;
"""
TABLE = """  sl  local_address rem_address   st tx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   1: 0B00000A:A000 0B00000A:4E9B 01 00000000:00000000
   2: 0B00000A:A001 0B00000A:4E9B 06 00000000:00000000
   3: 0B00000A:A002 0C00000A:4E9B 01 00000000:00000000
   4: 0B00000A:A003 0C00000A:0BB8 01 00000000:00000000
"""
TABLE_IPV6 = """  sl  local_address rem_address   st tx_queue
   0: B80D0120000000000000000001000000:A000 B80D0120000000000000000002000000:4E9B 01 00000000:00000000
"""


def test_hosts_are_known_by_the_comment_before_their_line() -> None:
    """An address says nothing to an operator, and a socket has none."""
    assert upstream_members.servers(CONFIGURATION) == [
        upstream_members.Server("app1", "10.0.0.11:20123", is_out=False),
        upstream_members.Server("app11", "10.0.0.21:20123", is_out=True),
        upstream_members.Server("edge1", "unix:/run/farrier/sockets/shop.sock", is_out=False),
    ]
    assert [server.host for server in upstream_members.servers(ALONE)] == ["web1"]


def test_only_the_line_of_the_host_changes_and_changes_back() -> None:
    """site.yml makes the same text from what is kept, else each run would undo a drain."""
    out = upstream_members.turned(CONFIGURATION, ["app1"], out=True)
    assert out == CONFIGURATION.replace(
        "10.0.0.11:20123 max_fails=2 fail_timeout=3s;", "10.0.0.11:20123 max_fails=2 fail_timeout=3s down;"
    )
    assert upstream_members.turned(out, ["app1"], out=True) == out
    assert upstream_members.turned(out, ["app1"], out=False) == CONFIGURATION


def test_a_host_is_not_out_for_its_name() -> None:
    """It would be passed over where hosts that serve are counted."""
    (server,) = upstream_members.servers("# down down\nserver 10.0.0.11:20123;\n")
    assert not server.is_out


def test_hosts_that_are_out_already_do_not_count_as_left() -> None:
    """Two at a time would leave an app with nobody."""
    unix = "unix:/run/farrier/sockets/shop.sock"
    assert upstream_members.left_without(CONFIGURATION, ["app1"]) == [unix]
    assert upstream_members.left_without(CONFIGURATION, ["app11"]) == ["10.0.0.11:20123", unix]
    assert upstream_members.left_without(CONFIGURATION, ["app1", "edge1"]) == []
    assert upstream_members.left_without(ALONE, ["web1"]) == []


def test_a_host_that_is_down_serves_nobody(tmp_path: Path) -> None:
    """The last one that lives must not be taken out beside it."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        port = server.getsockname()[1]
        unix.bind(str(tmp_path / "app.sock"))
        unix.listen()
        assert upstream_members.answers(f"127.0.0.1:{port}")
        assert upstream_members.answers(f"unix:{tmp_path}/app.sock")
    assert not upstream_members.answers(f"127.0.0.1:{port}")
    assert not upstream_members.answers(f"unix:{tmp_path}/app.sock")


def test_the_brackets_of_an_ipv6_address_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With them nobody would answer, and no host of such a fleet could be taken out."""
    called: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], _: float) -> socket.socket:
        called.append(address)
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert upstream_members.answers("[fd00::12]:20123")
    assert called == [("fd00::12", 20123)]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_host_that_takes_no_connection_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: int
) -> None:
    """An app that hangs fills its queue, and would hold up the deploy of the others."""
    monkeypatch.setattr(upstream_members, "CONNECT_SECONDS", 0.2)
    with socket.socket(family) as server, ExitStack() as clients:
        server.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "app.sock"))
        server.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket(family))
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        # Who waits is let go, and fails by the time that it took.
        end = threading.Timer(5, server.close)
        end.start()
        began = time.monotonic()
        address = (
            f"127.0.0.1:{server.getsockname()[1]}"
            if family == socket.AF_INET
            else f"unix:{tmp_path}/app.sock"
        )
        assert not upstream_members.answers(address)
        assert time.monotonic() - began < 4
        end.cancel()


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["10.0.0.11:20123"], 1),
        (["10.0.0.11:20123", "10.0.0.12:20123"], 2),
        (["10.0.0.11:20124"], 0),
        (["10.0.0.12:3000"], 1),
        (["[2001:db8::2]:20123"], 1),
        (["unix:/run/farrier/sockets/shop.sock"], 0),
    ],
)
def test_connections_that_are_open_are_counted(tmp_path: Path, addresses: list[str], expected: int) -> None:
    """A host is restarted when the last of them has gone, and not before."""
    for name, text in (("tcp", TABLE), ("tcp6", TABLE_IPV6)):
        (tmp_path / name).write_text(text)
    # A kernel without IPv6 has no table of it.
    tables = (tmp_path / "tcp", tmp_path / "tcp6", tmp_path / "absent")
    assert upstream_members.open_connections(addresses, tables) == expected
