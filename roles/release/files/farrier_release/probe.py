"""Ask an application whether it is healthy and which release it is."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass

from farrier_release.config import Edge
from farrier_release.host import run

_BODY_MAX_BYTES = 65536
_CERTIFICATE_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        status: HTTP status, or 0 when there was no answer.
        release: the X-Release header, or "".
        body_release: key `release` of a JSON body, or "".
        error: why there was no answer, or "".
    """

    status: int
    release: str = ""
    body_release: str = ""
    error: str = ""

    def fault(self, release: str) -> str:
        """Why this is not a good answer of `release`, or "" when it is."""
        if self.error:
            return self.error
        if self.status != 200:
            return f"answered {self.status}"
        if self.release != release:
            return f"answered with X-Release {self.release or '(none)'}, not {release}"
        if self.body_release not in ("", release):
            return f"answered with release {self.body_release!r} in its body, not {release}"
        return ""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(address: str, path: str, host: str, *, timeout_seconds: float) -> Answer:
    """Send a GET on a fresh connection to where gunicorn listens.

    Args:
        address: path of a unix socket, or address:port.
        path: what to ask for.
        host: Host header.
        timeout_seconds: for each step of the connection.
    """
    connection: http.client.HTTPConnection
    if address.startswith("/"):
        connection = _UnixConnection(address, timeout_seconds)
    else:
        connection = http.client.HTTPConnection(address, timeout=timeout_seconds)
    return _get(connection, path, host)


def ask_edge(edge: Edge, path: str, *, timeout_seconds: float) -> Answer:
    """Send a GET on a fresh connection through nginx."""
    if not edge.tls:
        return _get(
            http.client.HTTPConnection(edge.address, edge.port, timeout=timeout_seconds), path, edge.host
        )
    connection = http.client.HTTPSConnection(edge.host, edge.port, timeout=timeout_seconds)
    try:
        connection.sock = _handshake(edge, timeout_seconds)
    except OSError as error:
        return Answer(0, error=str(error) or type(error).__name__)
    return _get(connection, path, edge.host)


def certificate_of(edge: Edge) -> str | None:
    """Until when nginx's certificate is valid, or None when that cannot be found out."""
    if not edge.tls:
        return None
    try:
        with _handshake(edge, _CERTIFICATE_TIMEOUT_SECONDS) as connected:
            certificate = ssl.DER_cert_to_PEM_cert(connected.getpeercert(binary_form=True) or b"")
    except OSError:
        return None
    argv = ["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601"]
    done = run(argv, stdin=certificate, timeout_seconds=_CERTIFICATE_TIMEOUT_SECONDS)
    return done.stdout.strip().removeprefix("notAfter=").replace(" ", "T") or None


def _handshake(edge: Edge, timeout_seconds: float) -> ssl.SSLSocket:
    """A TLS connection to nginx. Whose certificate it shows is not what is asked here.

    Raises:
        OSError: there is nobody, or no TLS.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    raw = socket.create_connection((edge.address, edge.port), timeout_seconds)
    return context.wrap_socket(raw, server_hostname=edge.host)


def _get(connection: http.client.HTTPConnection, path: str, host: str) -> Answer:
    try:
        connection.request(
            "GET", path, headers={"Host": host, "Connection": "close", "User-Agent": "farrier-release"}
        )
        response = connection.getresponse()
        body = response.read(_BODY_MAX_BYTES)
        return Answer(response.status, response.getheader("X-Release", ""), _release_in(body))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, error=str(error) or type(error).__name__)
    finally:
        connection.close()


def _release_in(body: bytes) -> str:
    try:
        data = json.loads(body)
    except ValueError:
        return ""
    return str(data["release"]) if isinstance(data, dict) and data.get("release") else ""
