"""What certbot keeps on the host for one certificate, and whether it is still the wanted one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RETIRED = ".retired"
SETTING = re.compile(r"^(\w+) = (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Lineage:
    """One certificate that certbot keeps.

    Attributes:
        domains: Names in the certificate.
        expires: When it stops being valid.
        server: Address of the ACME directory that it came from and will be renewed at.
        account: Name of the account that it will be renewed with.
        authenticator: Plugin of certbot that will answer the challenges.
    """

    domains: frozenset[str]
    expires: datetime
    server: str
    account: str
    authenticator: str


def read(configuration: Path, name: str) -> Lineage | None:
    """Return the lineage, or None where there is none that certbot could renew.

    Args:
        configuration: certbot's directory, /etc/letsencrypt.
        name: Name of the certificate.
    """
    certificate = configuration / "live" / name / "cert.pem"
    renewal = configuration / "renewal" / f"{name}.conf"
    if not certificate.exists() or not renewal.exists():
        return None
    domains, expires = inspect(certificate)
    settings = _settings(renewal)
    return Lineage(
        domains, expires, *(settings.get(key, "") for key in ("server", "account", "authenticator"))
    )


def inspect(certificate: Path) -> tuple[frozenset[str], datetime]:
    """Return the names in a certificate and when it expires.

    Raises:
        subprocess.CalledProcessError: The file holds no certificate.
    """
    show = ["openssl", "x509", "-noout", "-enddate", "-ext", "subjectAltName", "-in", str(certificate)]
    shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    expires = re.search(r"notAfter=(.+) GMT", shown)
    assert expires, shown
    when = datetime.strptime(expires[1], "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    return frozenset(re.findall(r"DNS:([^,\s]+)", shown)), when


def why_not(
    lineage: Lineage | None,
    domains: Collection[str],
    server: str,
    accounts: Collection[str],
    authenticator: str,
    now: datetime,
) -> str:
    """Return why the lineage is not the wanted one, or "" when it is.

    Args:
        lineage: What certbot has.
        domains: Wanted names.
        server: Wanted ACME directory.
        accounts: Names of the accounts at that directory.
        authenticator: Plugin of certbot that is to answer the challenges.
        now: Time by which it must not have expired.
    """
    if lineage is None:
        return "there is no certificate yet"
    added, dropped = set(domains) - lineage.domains, lineage.domains - set(domains)
    if added or dropped:
        return ", ".join(
            [f"{name} was added" for name in sorted(added)]
            + [f"{name} was dropped" for name in sorted(dropped)]
        )
    if lineage.server != server:
        return f"the certificate came from {lineage.server}"
    if lineage.account not in accounts:
        return "its account is gone, so it could not be renewed"
    if lineage.authenticator != authenticator:
        return f"its challenges are answered by {lineage.authenticator or 'nothing'}, not by {authenticator}"
    if lineage.expires <= now:
        return f"the certificate expired on {lineage.expires:%Y-%m-%d}"
    return ""


def left_over(configuration: Path, names: Collection[str], hook: str) -> Iterator[Path]:
    """Yield the renewal settings of certificates that bear our hook and are no longer wanted."""
    for renewal in sorted((configuration / "renewal").glob("*.conf")):
        if renewal.stem not in names and _settings(renewal).get("renew_hook") == hook:
            yield renewal


def retire(renewal: Path) -> None:
    """Keep a certificate and its key, but stop certbot from renewing it."""
    renewal.rename(renewal.with_name(renewal.name + RETIRED))


def retired(configuration: Path, name: str) -> Path | None:
    """Return the renewal settings of a certificate that was retired, if it was."""
    renewal = configuration / "renewal" / f"{name}.conf"
    aside = renewal.with_name(renewal.name + RETIRED)
    return aside if aside.exists() and not renewal.exists() else None


def revive(aside: Path) -> None:
    """Let certbot renew a retired certificate again."""
    aside.rename(aside.with_name(aside.name.removesuffix(RETIRED)))


def _settings(renewal: Path) -> dict[str, str]:
    return dict(SETTING.findall(renewal.read_text()))
