"""The two edges as their operator and the world see them, and the host on which the judges are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from shared.deploys import Run, run
from shared.outside import Outside, authority
from testinfra.host import Host

from tests.load import Load

SCENARIO = Path(__file__).parent
INVENTORY = SCENARIO / "inventory"
DOMAIN = "tls.lab.test"
DOMAINS = (DOMAIN, "www.tls.lab.test")


@dataclass(frozen=True)
class Edge:
    """One edge.

    Args:
        name: of its host.
        address: of its host.
        host: where commands run as root.
    """

    name: str
    address: str
    host: Host

    @property
    def outside(self) -> Outside:
        """A client that trusts the lab's authority only."""
        return Outside(self.address, authority(SCENARIO))

    def certificate(self, domain: str = DOMAIN) -> x509.Certificate:
        """The certificate that it shows, whoever signed it."""
        with self.outside.tls(domain, ssl._create_unverified_context()) as secured:
            shown = secured.getpeercert(binary_form=True)
        assert shown
        return x509.load_der_x509_certificate(shown)

    def names(self) -> list[str]:
        """The names in the certificate that it shows, in alphabetical order."""
        extension = self.certificate().extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return sorted(extension.value.get_values_for_type(x509.DNSName))

    def load(self, name: str, ca: Path | None = None, **options: float) -> Load:
        """Clients of every kind, 64 connections of them unless told, that keep it busy."""
        return Load(
            f"https://{DOMAIN}",
            ca=ca or authority(SCENARIO),
            resolve={DOMAIN: self.address},
            name=name,
            **{"rate": 400, "seconds": 600, **options},
        )


def site(*tags: str, **variables: Any) -> Run:
    """Run site.yml with variables of the operator's on top, as a whole or some of it."""
    return run(INVENTORY, "site", tags=tags, **variables)
