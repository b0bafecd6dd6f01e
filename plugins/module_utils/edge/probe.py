"""Whether the authority would reach this host's answer to a challenge: the host asks itself first."""

from __future__ import annotations

import secrets
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path

CHALLENGES = ".well-known/acme-challenge"
TIMEOUT_SECONDS = 10  # as long as an authority waits
POINT_HERE = "Point the name's A and AAAA records to this host, and open port 80 to the internet"


def problem(domain: str, webroot: Path, port: int = 80) -> str:
    """Return why a challenge for the domain would fail, with address and way out, or "" if it would not.

    Args:
        domain: Name that a certificate is wanted for, resolved as this host resolves names.
        webroot: Directory below which the challenges are.
        port: Port that is asked.
    """
    try:
        found = socket.getaddrinfo(domain, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"{domain} does not resolve on this host ({error.strerror or error}). {POINT_HERE}."
    addresses = ", ".join(dict.fromkeys(str(entry[4][0]) for entry in found))
    reason = _refusal(domain, webroot, port)
    return f"{domain} ({addresses}) {reason}. {POINT_HERE}." if reason else ""


def _refusal(domain: str, webroot: Path, port: int) -> str:
    token = f"farrier-{secrets.token_hex(16)}"
    place = webroot / CHALLENGES / token
    try:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.write_text(token)
        place.chmod(0o644)
        answer = _fetch(f"http://{domain}:{port}/{CHALLENGES}/{token}")
    except urllib.error.HTTPError as error:
        return f"answers {error.code} to a challenge: it points to another server"
    except OSError as error:
        return f"cannot be reached from this host on port {port} ({getattr(error, 'reason', error)})"
    finally:
        place.unlink(missing_ok=True)
    return "" if answer == token else "answers a challenge with something else: it points to another server"


def _fetch(url: str) -> str:
    # As the authority does: redirects are followed, and no certificate is looked at on the way.
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
    )
    with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
        return str(answer.read(1024).decode(errors="replace"))
