"""Which certificate a web server on this host serves."""

from __future__ import annotations

import re
import socket
import ssl
import time
from pathlib import Path

POLL_SECONDS = 0.1
FIRST_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
TIMEOUT_SECONDS = 10


def shows(domain: str, certificate: Path, port: int = 443) -> bool:
    """Tell whether the server serves this certificate for the domain.

    Args:
        domain: Name that the client asks for.
        certificate: PEM file; its first certificate counts.
        port: TCP port on this host.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    first = FIRST_CERTIFICATE.search(certificate.read_text())
    if not first:
        return False
    wanted = ssl.PEM_cert_to_DER_cert(first[0])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=domain) as secured,
        ):
            return secured.getpeercert(binary_form=True) == wanted
    except OSError:
        return False


def comes_to_show(domain: str, certificate: Path, seconds: float, port: int = 443) -> bool:
    """Wait for the server to show the certificate, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not shows(domain, certificate, port):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
