"""Shared parts: certificates, and a directory as certbot keeps it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

SERVER = "https://acme.example/directory"
HOOK = "/usr/local/sbin/deployed"
ACCOUNT = "0123abcd"

MakeCertificate = Callable[..., Path]
MakeLineage = Callable[..., Path]


@pytest.fixture
def make_certificate(tmp_path: Path) -> MakeCertificate:
    """Return a function that makes a self-signed certificate and its key in a directory."""

    def make(domains: Sequence[str], directory: Path = tmp_path, days: int = 90) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        names = ",".join(f"DNS:{domain}" for domain in domains)
        request = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]
        request += ["-subj", "/CN=test", "-addext", f"subjectAltName={names}", "-days", str(days)]
        request += ["-keyout", str(directory / "privkey.pem"), "-out", str(directory / "cert.pem")]
        subprocess.run(request, check=True, capture_output=True)
        return directory / "cert.pem"

    return make


@pytest.fixture
def make_lineage(tmp_path: Path, make_certificate: MakeCertificate) -> MakeLineage:
    """Return a function that lays out a certificate as certbot does, and gives certbot's directory."""

    def make(
        name: str,
        domains: Sequence[str],
        *,
        days: int = 90,
        server: str = SERVER,
        hook: str = HOOK,
        authenticator: str = "webroot",
    ) -> Path:
        configuration = tmp_path / "letsencrypt"
        make_certificate(domains, configuration / "live" / name, days)
        renewal = configuration / "renewal" / f"{name}.conf"
        renewal.parent.mkdir(exist_ok=True)
        renewal.write_text(
            "# renew_before_expiry = 30 days\nversion = 4.0.0\n\n[renewalparams]\n"
            f"account = {ACCOUNT}\nauthenticator = {authenticator}\nrenew_hook = {hook}\nserver = {server}\n"
            "[[webroot_map]]\n"
        )
        (configuration / "accounts" / server.partition("://")[2] / ACCOUNT).mkdir(parents=True, exist_ok=True)
        return configuration

    return make
