"""The two edges as their operator and the world see them, and the host on which the judges are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from testinfra.host import Host

from tests.harness.deploys import Run, run
from tests.harness.load import Load
from tests.harness.outside import Outside, authority

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

    def site(self, **variables: Any) -> Run:
        """Run what site.yml has for this edge's web server and certificates."""
        return site("nginx,certbot", "--limit", self.name, **variables)

    def load(self, name: str, ca: Path | None = None, **options: float) -> Load:
        """Clients of every kind, 64 connections of them unless told, that keep it busy."""
        return Load(
            f"https://{DOMAIN}",
            ca=ca or authority(SCENARIO),
            resolve={DOMAIN: self.address},
            name=name,
            no_notes=True,  # either edge may ask the other's app, which has a database of its own
            **{"rate": 100, "seconds": 600, **options},
        )


def site(tags: str, *options: str, **variables: Any) -> Run:
    """Run the part of site.yml that some tags name, with variables of the operator's on top."""
    return run(INVENTORY, "site", ("--tags", tags, *options), **variables)


def signed_by_itself(key: ec.EllipticCurvePrivateKey, left: timedelta) -> x509.Certificate:
    """A certificate for the site's domains; `left` is negative where it has expired."""
    return _for_the_site(key.public_key(), _name(DOMAIN), left).sign(key, hashes.SHA256())


def bought(left: timedelta) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate, x509.Certificate]:
    """A key, a certificate of it for the site's domains, and that of the authority that has signed it."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name, identity = _name("An authority"), x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = (
        _certificate(root_key.public_key(), name, name, left)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(identity, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    certificate = (
        _for_the_site(key.public_key(), name, left)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identity), False)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return key, certificate, root


def pem(thing: ec.EllipticCurvePrivateKey | x509.Certificate) -> str:
    """A key or a certificate as a file holds it."""
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(Encoding.PEM).decode()
    return thing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _for_the_site(
    key: ec.EllipticCurvePublicKey, issuer: x509.Name, left: timedelta
) -> x509.CertificateBuilder:
    names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in DOMAINS])
    return _certificate(key, _name(DOMAIN), issuer, left).add_extension(names, critical=False)


def _certificate(
    key: ec.EllipticCurvePublicKey, subject: x509.Name, issuer: x509.Name, left: timedelta
) -> x509.CertificateBuilder:
    ends = datetime.now(UTC) + left
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    return builder.not_valid_before(ends - timedelta(days=80)).not_valid_after(ends)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _usage(**chosen: bool) -> x509.KeyUsage:
    usages = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**dict.fromkeys(usages, False) | chosen)
