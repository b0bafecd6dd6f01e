"""That a certificate lies on the disk says nothing about what the world is shown."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import served

from tests.unit.certificates import MakeCertificate


@pytest.fixture
def show() -> Iterator[Callable[[Path], int]]:
    """Return a function that starts a TLS server with the certificate of a directory and gives its port."""
    listening: list[socket.socket] = []

    def start(certificate: Path) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("privkey.pem"))
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def accept() -> None:
            while True:
                try:
                    plain, _ = server.accept()
                    context.wrap_socket(plain, server_side=True).close()
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        return int(server.getsockname()[1])

    yield start
    for server in listening:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_the_certificate_itself_is_compared(
    tmp_path: Path, make_certificate: MakeCertificate, show: Callable[[Path], int]
) -> None:
    """A renewed one has the same names: only the bytes tell the two apart."""
    old = make_certificate(["one.example"], tmp_path / "old")
    new = make_certificate(["one.example"], tmp_path / "new")
    port = show(old)
    assert served.shows("one.example", old, port)
    assert not served.shows("one.example", new, port)


def test_of_a_chain_the_first_one_counts(
    tmp_path: Path, make_certificate: MakeCertificate, show: Callable[[Path], int]
) -> None:
    """certbot's fullchain.pem goes on with the authority's."""
    certificate = make_certificate(["one.example"], tmp_path / "one")
    authority = make_certificate(["ca.example"], tmp_path / "ca")
    chain = tmp_path / "fullchain.pem"
    chain.write_text(certificate.read_text() + authority.read_text())
    assert served.shows("one.example", chain, show(certificate))


def test_a_server_that_is_down_shows_nothing(tmp_path: Path, make_certificate: MakeCertificate) -> None:
    """The run goes on and says so at its end."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # held, so that nobody else listens there
        port = closed.getsockname()[1]
        assert not served.comes_to_show("one.example", make_certificate(["one.example"]), 0, port)
