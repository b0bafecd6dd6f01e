"""Run certbot for a certificate, and explain why it got none."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPORTED = re.compile(r"The Certificate Authority reported these problems:\n(.*?)(?:\n\n|\Z)", re.DOTALL)
NOISE = re.compile(
    r"^(Saving debug log|Plugins selected|Account registered|Registering|Ask for help|See the logfile"
    r"|Requesting a certificate|Renewing an existing certificate|Performing the following|.* challenge for "
    r"|Simulating|Using the webroot|Waiting for|Cleaning up|Some challenges have failed"
    r"|An unexpected error occurred:$|- - -|\s*$)"
)
ANSWERED = re.compile(r"^acme\.messages\.Error: (urn:ietf:params:acme:error:.+)$", re.MULTILINE)
RATE_LIMITED = "rateLimited"
RETRY_AFTER = re.compile(r"^Retry-After: .+$", re.IGNORECASE | re.MULTILINE)
# An authority's words, certbot's where the directory says that it has to be, and Python's about half a key.
BINDING = re.compile(r"external ?account ?(binding|required)|^binascii\.Error", re.IGNORECASE | re.MULTILINE)
BIND = "Set certbot_eab_kid and certbot_eab_hmac_key as the authority gave them to you, see docs/tls.md."
ACCOUNT_LOST = "urn:ietf:params:acme:error:accountDoesNotExist"
LAST_LINES = 8
LOG = Path("/var/log/letsencrypt/letsencrypt.log")
NO_REASON = f"certbot gave no reason; see {LOG} on the host"


@dataclass(frozen=True)
class Dns:
    """How certbot answers challenges over DNS.

    Attributes:
        authenticator: Plugin of certbot, as in "dns-rfc2136", or "" where there is none.
        credentials: File with the plugin's settings, or "".
        arguments: Further arguments of certbot.
    """

    authenticator: str = ""
    credentials: str = ""
    arguments: Sequence[str] = ()


@dataclass(frozen=True)
class Order:
    """What every certificate is asked for with.

    Attributes:
        server: Address of the ACME directory.
        email: Address that the authority may write to, or "".
        webroot: Directory below which the challenges are.
        hook: Program that certbot runs after each new certificate of a lineage, the first included.
        profile: Kind of certificate to ask for where the authority has it, or "".
        dns: How challenges over DNS are answered.
    """

    server: str
    email: str
    webroot: Path
    hook: str
    profile: str = ""
    dns: Dns = Dns()


def authenticator(order: Order, challenge: str) -> str:
    """Return the plugin of certbot that answers a challenge, by the name that it keeps for renewals."""
    return order.dns.authenticator if challenge == "dns" else "webroot"


def arguments(name: str, domains: Sequence[str], order: Order, challenge: str = "http") -> list[str]:
    """Return the command that gets a certificate with exactly these domains, in place of any there is.

    Args:
        name: Name of the certificate.
        domains: Names in it.
        order: What every certificate is asked for with.
        challenge: "http" or "dns".
    """
    command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email"]
    command += ["--server", order.server]
    command += ["--email", order.email] if order.email else ["--register-unsafely-without-email"]
    command += ["--cert-name", name, "--key-type", "ecdsa", "--elliptic-curve", "secp256r1"]
    command += ["--renew-with-new-domains", "--force-renewal", "--deploy-hook", order.hook]
    command += ["--preferred-profile", order.profile] if order.profile else []
    command += ["--authenticator", authenticator(order, challenge)]
    if challenge == "dns":
        command += ["--preferred-challenges", "dns"]
        if order.dns.credentials:
            command += [f"--{order.dns.authenticator}-credentials", order.dns.credentials]
        command += order.dns.arguments
    else:
        command += ["--webroot-path", str(order.webroot)]
    for domain in domains:
        command += ["--domain", domain]
    return command


@contextmanager
def account_binding(kid: str, hmac_key: str) -> Iterator[list[str]]:
    """Give the arguments that bind a new account to one that the authority knows; none where kid is "".

    The key is in a file that only root can read: everyone on the host sees arguments, and certbot logs them.

    Args:
        kid: Name of the key, from the authority.
        hmac_key: The key, in base64url.
    """
    if not kid:
        yield []
        return
    with tempfile.NamedTemporaryFile("w", prefix="farrier-account-", suffix=".ini") as file:
        file.write(f"eab-kid = {kid}\neab-hmac-key = {hmac_key}\n")
        file.flush()
        yield ["--config", file.name]


def run(command: Sequence[str], environment: Mapping[str, str], timeout_seconds: float) -> str:
    """Run certbot and return "", or after a failure what matters of what it said.

    Raises:
        subprocess.TimeoutExpired: certbot was at it for too long.
    """
    logged_before = LOG.stat().st_size if LOG.exists() else 0
    ran = subprocess.run(
        command, capture_output=True, text=True, env=dict(environment), timeout=timeout_seconds, check=False
    )
    if ran.returncode == 0:
        return ""
    logged = LOG.read_bytes()[logged_before:].decode(errors="replace") if LOG.exists() else ""
    return problem(f"{ran.stdout}\n{ran.stderr}", logged)


def problem(output: str, log: str) -> str:
    """Return what matters after a failure: the authority's own words if there are any, and what to do.

    Args:
        output: What certbot printed. Debian 12's loses the authority's answer behind an error of its own.
        log: What certbot wrote into its log meanwhile.
    """
    said = _said(output, log)
    if RATE_LIMITED in said:
        return f"{said}\n{_wait(log)}"
    return f"{said}\n{BIND}" if BINDING.search(said) else said


def _wait(log: str) -> str:
    header = "".join(f" ({found})" for found in RETRY_AFTER.findall(log)[-1:])
    return (
        f"Wait as long as it says{header} before the next run: each run counts against the authority's limit."
    )


def _said(output: str, log: str) -> str:
    reported = REPORTED.search(output)
    if reported:
        return "\n".join(line.strip() for line in reported[1].splitlines() if line.strip())
    answered = ANSWERED.findall(log)
    if answered:
        return str(answered[-1])
    lines = [line.strip() for line in output.splitlines() if not NOISE.match(line)]
    return "\n".join(lines[-LAST_LINES:]) or NO_REASON


def account(configuration: Path, server: str) -> Path:
    """Return where certbot keeps its accounts at an authority."""
    return configuration / "accounts" / server.partition("://")[2]


def forget_account(configuration: Path, server: str) -> None:
    """Set aside an account that the authority no longer knows, so that certbot registers a new one."""
    place = account(configuration, server)
    aside = place.with_name(f"{place.name}.lost")
    shutil.rmtree(aside, ignore_errors=True)
    place.rename(aside)
