"""A name that leads elsewhere is found out before the authority counts it as a failure."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import probe

Serve = Callable[
    [type[http.server.BaseHTTPRequestHandler] | partial[http.server.SimpleHTTPRequestHandler]], int
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a directory, without a log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Elsewhere(Quiet):
    """A server that answers everything with its own page."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>It works!</html>")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server and gives its port."""
    servers = []

    def start(handler: type[http.server.BaseHTTPRequestHandler]) -> int:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def no_token_is_left(webroot: Path) -> bool:
    """Tell whether the webroot is as it was."""
    return not [path for path in webroot.rglob("*") if path.is_file()]


def test_who_serves_the_challenges_has_no_problem(tmp_path: Path, serve: Serve) -> None:
    """The usual case, on a name that resolves to this machine."""
    port = serve(partial(Quiet, directory=tmp_path))
    assert probe.problem("localhost", tmp_path, port) == ""
    assert no_token_is_left(tmp_path)


def test_another_server_is_found_out(tmp_path: Path, serve: Serve) -> None:
    """It may answer with an error, or with a page of its own."""
    empty = tmp_path / "empty"
    empty.mkdir()
    missing = probe.problem("localhost", tmp_path, serve(partial(Quiet, directory=empty)))
    assert "answers 404 to a challenge: it points to another server" in missing
    page = probe.problem("localhost", tmp_path, serve(Elsewhere))
    assert "answers a challenge with something else" in page
    assert no_token_is_left(tmp_path)


def test_address_and_way_out_are_named(tmp_path: Path) -> None:
    """Mostly the record is wrong, and the address says which."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # held, so that nobody else listens there
        found = probe.problem("localhost", tmp_path, closed.getsockname()[1])
    assert found.startswith("localhost (")
    assert "127.0.0.1" in found
    assert "Connection refused" in found
    assert "A and AAAA records" in found
    assert no_token_is_left(tmp_path)


def test_a_name_without_an_address_is_said_to_have_none(tmp_path: Path) -> None:
    """.invalid never resolves."""
    assert "nowhere.invalid does not resolve on this host" in probe.problem("nowhere.invalid", tmp_path)
