"""Ask an application whether it is healthy and which release it is."""

from __future__ import annotations

import http.client
import io
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from farrier_release.config import Edge
from farrier_release.host import run

_BODY_MAX_BYTES = 65536
# nginx gives up on a head of more than 16 KiB.
_ANSWER_MAX_BYTES = _BODY_MAX_BYTES + 32 * 1024
_CERTIFICATE_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        status: HTTP status, or 0 when there was no answer.
        release: the X-Release header, or "".
        error: why there was no answer, or "".
        location: where it sends the client, or "".
    """

    status: int
    release: str = ""
    error: str = ""
    location: str = ""

    def fault(self, release: str, status: int = 200) -> str:
        """Why this is not a good answer of `release`, one with a status, or "" when it is."""
        if self.error:
            return self.error
        if self.status != status:
            redirect = f" (to {self.location})" if self.location else ""
            return f"answered {self.status}{redirect}, not {status}"
        if self.release != release:
            return f"answered with X-Release {self.release or '(none)'}, not {release}"
        return ""


def ask(address: str, path: str, host: str, *, timeout_seconds: float, tls: bool = True) -> Answer:
    """Send a GET, as nginx would pass it on, on a fresh connection to where gunicorn listens.

    Args:
        address: path of a unix socket, or address:port.
        path: what to ask for.
        host: Host header.
        timeout_seconds: for all of it, from the connection to the end of the answer.
        tls: whether nginx speaks TLS to its clients.
    """

    def connect() -> socket.socket:
        if not address.startswith("/"):
            name, _, port = address.rpartition(":")
            return socket.create_connection((name.strip("[]"), int(port)), timeout_seconds)
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(timeout_seconds)
            connected.connect(address)
        except OSError:
            connected.close()
            raise
        return connected

    return _get(connect, path, headers(host, tls=tls), timeout_seconds)


def headers(host: str, *, tls: bool) -> dict[str, str]:
    """What nginx sets for a client on this machine.

    Args:
        host: that the client asks for.
        tls: whether nginx speaks TLS to its clients.
    """
    client = "127.0.0.1"
    return {
        "Host": host,
        "X-Real-IP": client,
        "X-Forwarded-For": client,
        "X-Forwarded-Host": host,
        "X-Forwarded-Port": "443" if tls else "80",
        "X-Forwarded-Proto": "https" if tls else "http",
        "X-Request-ID": secrets.token_hex(16),
    }


def get(path: str, sent: dict[str, str]) -> bytes:
    """A GET as it goes over a connection, with these headers."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return "\r\n".join([*lines, "User-Agent: farrier-release", "", ""]).encode()


def ask_edge(edge: Edge, path: str, *, timeout_seconds: float) -> Answer:
    """Send a GET on a fresh connection through nginx; `timeout_seconds` are for all of it."""

    def connect() -> socket.socket:
        if edge.tls:
            return _handshake(edge, timeout_seconds)
        return socket.create_connection((edge.address, edge.port), timeout_seconds)

    return _get(connect, edge.prefix.rstrip("/") + path, {"Host": edge.host}, timeout_seconds)


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


def _get(
    connect: Callable[[], socket.socket], path: str, sent: dict[str, str], timeout_seconds: float
) -> Answer:
    deadline = time.monotonic() + timeout_seconds
    try:
        with connect() as connected:
            connected.sendall(get(path, {**sent, "Connection": "close"}))
            reader = _Reader(connected, deadline)
            # The reader stands for the socket: `makefile` is all that is asked of it.
            with http.client.HTTPResponse(reader, method="GET") as response:  # type: ignore[arg-type]
                response.begin()
                body = response.read(_BODY_MAX_BYTES)
                if response.length and len(body) < _BODY_MAX_BYTES:
                    raise http.client.IncompleteRead(body, response.length)
                location = response.getheader("Location", "")
                return Answer(response.status, response.getheader("X-Release", ""), location=location)
    except TimeoutError:
        return Answer(0, error=f"gave no complete answer within {timeout_seconds:.1f} s")
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, error=str(error) or type(error).__name__)


class _Reader(io.RawIOBase):
    """What arrives on a socket until a deadline; stands for the socket in front of `http.client`."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline
        self._left = _ANSWER_MAX_BYTES

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        remaining_seconds = self._deadline - time.monotonic()
        if remaining_seconds <= 0:
            raise TimeoutError
        self._connected.settimeout(remaining_seconds)
        count = self._connected.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise http.client.HTTPException(f"answered with more than {_ANSWER_MAX_BYTES} bytes")
        return count
