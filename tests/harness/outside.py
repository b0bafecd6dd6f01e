"""A host as the world sees it: by its address, under a name of an app."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 20
HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
HTTP2_FRAME_HEADER_BYTES = 9
HTTP2_SETTINGS = 4


def authority(scenario: Path) -> Path:
    """Return the certificate of the scenario's own authority.

    Args:
        scenario: Directory whose `inventory/hosts.yml` has a group `lab_acme`.
    """
    groups = yaml.safe_load((scenario / "inventory/hosts.yml").read_text())["all"]["children"]
    host: str = next(iter(groups["lab_acme"]["hosts"]))
    return ROOT / "build/lab" / host / "ca.pem"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes


class Outside:
    """A client somewhere in the world.

    Args:
        address: of the host that is asked, whatever the name.
        ca: file with the only authority that is trusted. None: whoever answers is believed, for
            certificates that are self-signed.
    """

    def __init__(self, address: str, ca: Path | None = None) -> None:
        self.address = address
        self._ca = ca

    def https(
        self,
        domain: str,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        host: str | None = None,
    ) -> Answer:
        """Ask for a path over TLS.

        Args:
            domain: Name in the TLS handshake, which the certificate must bear.
            path: Path and query.
            method: HTTP method.
            headers: Headers besides Host.
            body: What is sent along.
            host: Header Host, where it is not the domain.

        Raises:
            ssl.SSLError: The handshake or the certificate is not as it should be.
            http.client.RemoteDisconnected: The connection was closed without an answer.
        """
        with self.tls(domain) as secured:
            return _ask(secured, method, path, {"Host": host or domain, **(headers or {})}, body)

    def http(self, domain: str, path: str = "/") -> Answer:
        """Ask for a path in clear.

        Raises:
            http.client.RemoteDisconnected: The connection was closed without an answer.
        """
        with self._connect(80) as plain:
            return _ask(plain, "GET", path, {"Host": domain}, None)

    @contextmanager
    def tls(self, domain: str | None, context: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
        """Shake hands for a domain, or for no name at all."""
        context = context or self.context()
        with self._connect(443) as plain, context.wrap_socket(plain, server_hostname=domain) as secured:
            yield secured

    def context(self) -> ssl.SSLContext:
        """Return TLS settings that trust the lab's authority only, or anybody."""
        if self._ca is None:
            return ssl._create_unverified_context()
        return ssl.create_default_context(cafile=str(self._ca))

    def speaks_http2(self, domain: str) -> bool:
        """Tell whether the host answers an HTTP/2 greeting in kind."""
        context = self.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with self.tls(domain, context) as secured:
            if secured.selected_alpn_protocol() != "h2":
                return False
            secured.sendall(HTTP2_GREETING)
            with secured.makefile("rb") as answers:
                return answers.read(HTTP2_FRAME_HEADER_BYTES)[3:4] == bytes([HTTP2_SETTINGS])

    def first_line(self, domain: str, path: str, prefix: bytes) -> bytes:
        """Return the first line with this prefix of an answer that need never end."""
        with self.tls(domain) as secured, secured.makefile("rwb") as stream:
            stream.write(f"GET {path} HTTP/1.1\r\nHost: {domain}\r\n\r\n".encode())
            stream.flush()
            return next((line for line in stream if line.startswith(prefix)), b"")

    def _connect(self, port: int) -> socket.socket:
        return socket.create_connection((self.address, port), timeout=TIMEOUT_SECONDS)


def _ask(
    connected: socket.socket, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> Answer:
    connection = http.client.HTTPConnection(headers["Host"])
    connection.sock = connected
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    return Answer(answer.status, answer.headers, answer.read())
