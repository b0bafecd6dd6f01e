"""How clients know a database or cache host, and it knows them: see the role server_key."""

from __future__ import annotations

import base64
import hashlib
import hmac

DIRECTORY = "/etc/farrier/server_key"


def certificate(address: str) -> str:
    """Return the file with the certificate of a host, on itself and on its clients."""
    return f"{DIRECTORY}/{address}.pem"


def password(secret: str, service: str, name: str) -> str:
    """Return a password, which the secret of a host, a service and the name of an app make up; "" without.

    Args:
        secret: What the role server_key keeps on the host.
        service: As in "postgresql".
        name: Of the app.
    """
    if not secret:
        return ""
    digest = hmac.new(secret.encode(), f"{service} {name}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
