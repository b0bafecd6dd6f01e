"""How certbot is asked for a certificate, and what it says when it gets none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPORTED = re.compile(r"The Certificate Authority reported these problems:\n(.*?)(?:\n\n|\Z)", re.DOTALL)
NOISE = re.compile(
    r"^(Saving debug log|Plugins selected|Account registered|Registering|Ask for help|See the logfile"
    r"|Requesting a certificate|Renewing an existing certificate|Performing the following|.* challenge for "
    r"|Simulating|Using the webroot|Waiting for|Cleaning up|Some challenges have failed"
    r"|An unexpected error occurred:$|- - -|\s*$)"
)
LAST_LINES = 8
NO_REASON = "certbot did not say why; see /var/log/letsencrypt/letsencrypt.log on the host"


@dataclass(frozen=True)
class Order:
    """What every certificate is asked for with.

    Attributes:
        server: Address of the ACME directory.
        email: Address that the authority may write to, or "".
        webroot: Directory below which the challenges are.
        hook: Program that certbot runs after each new certificate of a lineage, the first included.
    """

    server: str
    email: str
    webroot: Path
    hook: str


def arguments(name: str, domains: Sequence[str], order: Order) -> list[str]:
    """Return the command that gets a certificate with exactly these domains, in place of any there is."""
    command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email"]
    command += ["--server", order.server]
    command += ["--email", order.email] if order.email else ["--register-unsafely-without-email"]
    command += ["--cert-name", name, "--key-type", "ecdsa", "--elliptic-curve", "secp256r1"]
    command += ["--renew-with-new-domains", "--force-renewal", "--deploy-hook", order.hook]
    command += ["--webroot", "--webroot-path", str(order.webroot)]
    for domain in domains:
        command += ["--domain", domain]
    return command


def problem(output: str) -> str:
    """Return what matters of certbot's output after a failure: the authority's own words if there are any."""
    reported = REPORTED.search(output)
    if reported:
        return "\n".join(line.strip() for line in reported[1].splitlines() if line.strip())
    lines = [line.strip() for line in output.splitlines() if not NOISE.match(line)]
    return "\n".join(lines[-LAST_LINES:]) or NO_REASON
