#!/usr/bin/python3 -sP
"""Replace the certificates that their authority wants replaced by now, as when it has revoked one (RFC 9773).

certbot asks by itself from 4.1 on; Debian 13 has 4.0, Debian 12 has 2.1.
"""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

CONFIGURATION = Path("/etc/letsencrypt")
SETTING = re.compile(r"^(\w+) = (.*)$", re.MULTILINE)
MINUTE = "%Y-%m-%d %H:%M %Z"
TIMEOUT_SECONDS = 10
# An authority that wants each new certificate replaced as well must not be asked for one at every run.
PAUSE = timedelta(days=1)


def main() -> int:
    """Run as `farrier-certificate-replacement HOOK COMMAND...`, see `replace`; return the exit status."""
    _, hook, *command = sys.argv
    state = Path(os.environ["STATE_DIRECTORY"])
    return 0 if replace(CONFIGURATION, state, hook, command, datetime.now(UTC)) else 1


def replace(configuration: Path, state: Path, hook: str, command: Sequence[str], now: datetime) -> bool:
    """Replace the certificates that are wanted replaced, and tell whether all of these were.

    If the authority cannot be asked, that is logged and the certificate is left to certbot.

    Args:
        configuration: certbot's directory, /etc/letsencrypt.
        state: Directory in which a file per certificate bears the time of its last replacement.
        hook: Program that certbot runs after a new certificate, by which ours are known.
        command: Renews with certbot; gets the name of one certificate, and that it is to be renewed now.
        now: Time by which they are wanted replaced.
    """
    all_well = True
    for name, server in lineages(configuration, hook):
        try:
            reason = why_now(server, configuration / "live" / name / "cert.pem", now)
        except Exception as error:  # whatever one authority answers, the others are still asked
            print(f"{name}: {server} does not say whether it wants the certificate replaced: {error!r}")
            continue
        if not reason:
            continue
        replaced = state / name
        if replaced.exists() and now - datetime.fromtimestamp(replaced.stat().st_mtime, UTC) < PAUSE:
            print(f"{name}: {reason}; it was replaced less than a day ago, and stays for now")
            continue
        print(f"{name}: {reason}", flush=True)
        if subprocess.run([*command, "--cert-name", name, "--force-renewal"], check=False).returncode == 0:
            replaced.touch()
        else:
            all_well = False
            print(
                f"{name}: it was not replaced, see /var/log/letsencrypt/letsencrypt.log; the next run of "
                "certbot.timer tries again, and so does "
                f"ansible-playbook farrier.kit.site -e certbot_force_renewal={name}"
            )
    return all_well


def lineages(configuration: Path, hook: str) -> Iterator[tuple[str, str]]:
    """Yield the names of the certificates that bear our hook, each with the address of its ACME directory."""
    for renewal in sorted((configuration / "renewal").glob("*.conf")):
        settings = dict(SETTING.findall(renewal.read_text()))
        if settings.get("renew_hook") == hook:
            yield renewal.stem, settings["server"]


def why_now(server: str, certificate: Path, now: datetime) -> str:
    """Return why a certificate is to be replaced by now, or "" when it is not or its authority never says.

    Args:
        server: Address of the authority's ACME directory.
        certificate: PEM file.
        now: Any moment of the authority's window will do (RFC 9773, 4.2): all of it from its start on is due.
            The random delay of certbot's timer keeps the hosts from coming at once.

    Raises:
        Exception: The authority cannot be reached, or its answer is none; or the file holds no certificate.
    """
    place = _get(server).get("renewalInfo")
    if not place:
        return ""
    answer = _get(f"{place}/{identifier(x509.load_pem_x509_certificate(certificate.read_bytes()))}")
    start, end = (datetime.fromisoformat(answer["suggestedWindow"][edge]) for edge in ("start", "end"))
    if start >= end:
        raise ValueError(f"a window from {start} to {end}")
    if start > now:
        return ""
    explained = f", see {answer['explanationURL']}" if "explanationURL" in answer else ""
    return f"the authority wants it replaced from {start:{MINUTE}} to {end:{MINUTE}}{explained}"


def identifier(certificate: x509.Certificate) -> str:
    """Return the name under which the authority gives information about a certificate (RFC 9773, 4.1).

    Raises:
        x509.ExtensionNotFound: The certificate does not say which key has signed it.
    """
    signer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert signer, "only the name of who has signed it"
    serial = certificate.serial_number
    # As DER has an integer: the highest bit is the sign.
    return f"{_base64url(signer)}.{_base64url(serial.to_bytes(serial.bit_length() // 8 + 1, 'big'))}"


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _get(url: str) -> dict[str, Any]:
    # The variable is certbot's; without it, the host's own authorities count.
    context = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))
    request = urllib.request.Request(url, headers={"User-Agent": "farrier-certificate-replacement"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


if __name__ == "__main__":
    sys.exit(main())
