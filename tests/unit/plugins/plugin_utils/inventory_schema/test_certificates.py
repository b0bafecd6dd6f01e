"""A certificate that an app brings along is looked at before any host is, and mistakes are told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    Hidden,
    HostView,
    MistakeError,
    Problem,
    inventory_problems,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.explain import shown
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

DOMAINS = ["example.org", "www.example.org"]
NOW = datetime.now(UTC)

Bring = Callable[..., dict[str, str]]


def certificate(key: ec.EllipticCurvePrivateKey, names: list[str], days: float, age_days: float = 1) -> bytes:
    """Return a certificate for names, valid for so many days from now on."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=age_days)).not_valid_after(
        NOW + timedelta(days=days)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def written(key: ec.EllipticCurvePrivateKey, lock: KeySerializationEncryption | None = None) -> bytes:
    """Return a key as a file has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption())


KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
GOOD = certificate(KEY, DOMAINS, 90)


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    """Return a function that writes both files, and gives the key `certificate` of an app that names them."""

    def write(fullchain: bytes = GOOD, privkey: bytes = written(KEY)) -> dict[str, str]:
        files = {"fullchain": tmp_path / "chain.pem", "privkey": tmp_path / "key.pem"}
        files["fullchain"].write_bytes(fullchain)
        files["privkey"].write_bytes(privkey)
        return {"source": "files", **{key: str(path) for key, path in files.items()}}

    return write


def check(given: object, domains: list[str] = DOMAINS, hosts: int = 1, **other: Any) -> list[Problem]:
    """Check an inventory with one app that has this key `certificate`."""
    app = {
        "name": "shop",
        "domains": domains,
        "source": {"git": "https://git.example.org/x.git", "version": "v1"},
        "module": "x.main:app",
        "certificate": given,
    }
    views = {
        f"web{number}": HostView([app], settings={"ansible_host": f"192.0.2.{number}"})
        for number in range(hosts)
    }
    return inventory_problems({"edge": list(views), "app": list(views)}, views, **other)


def test_a_good_certificate_passes(bring: Bring) -> None:
    """With whatever of its authority behind it, and with names that nobody has asked for."""
    assert check(bring()) == []
    assert check(bring(GOOD + certificate(OTHER, [], 900))) == []
    assert check(bring(), DOMAINS[1:]) == []


@pytest.mark.parametrize(
    ("fullchain", "privkey", "key", "what"),
    [
        (b"hello", written(KEY), "fullchain", "holds no certificate, or a broken one"),
        (b"", written(KEY), "fullchain", "holds no certificate, or a broken one"),
        (GOOD[:200], written(KEY), "fullchain", "holds no certificate, or a broken one"),
        (GOOD, GOOD, "privkey", "holds no private key, or a broken one"),
        (GOOD, b"\x00\xff", "privkey", "holds no private key, or a broken one"),
        (GOOD, written(KEY, BestAvailableEncryption(b"x")), "privkey", "is encrypted with a passphrase"),
        (GOOD, written(OTHER), "privkey", "does not belong to the certificate in fullchain"),
        (
            certificate(OTHER, [], 900) + GOOD,
            written(KEY),
            "fullchain",
            "has the site's own certificate at position 2",
        ),
        pytest.param(
            certificate(KEY, DOMAINS, -0.5),
            written(KEY),
            "fullchain",
            f"expired on {NOW - timedelta(days=0.5):%Y-%m-%d}",
            id="expired",
        ),
        pytest.param(
            certificate(KEY, DOMAINS, 90, age_days=-1),
            written(KEY),
            "fullchain",
            f"is not valid before {NOW + timedelta(days=1):%Y-%m-%d %H:%M} UTC",
            id="not valid yet",
        ),
        (
            certificate(KEY, [], 90),
            written(KEY),
            "fullchain",
            "covers no name, not example.org, www.example.org",
        ),
        (
            certificate(KEY, ["*.example.org"], 90),
            written(KEY),
            "fullchain",
            "covers *.example.org, not example.org",
        ),
    ],
)
def test_what_would_fail_on_a_host_is_said_here(
    bring: Bring, fullchain: bytes, privkey: bytes, key: str, what: str
) -> None:
    """nginx would refuse some of it, and the world's browsers the rest."""
    given = bring(fullchain, privkey)
    (problem,) = check(given)
    assert (problem.subject, problem.key, problem.what) == ("app shop", f"certificate.{key}", what)
    assert problem.value == shown(given[key], ())
    assert problem.fix
    assert not problem.is_warning


def test_the_last_days_are_a_warning(bring: Bring) -> None:
    """A deploy at night goes on with a certificate that is good until tomorrow, and says what to do."""
    given = bring(certificate(KEY, DOMAINS, 6.5))
    (problem,) = check(given)
    assert problem.is_warning
    assert problem.lines() == [
        f"app shop, key certificate.fullchain: {shown(given['fullchain'], ())} expires on "
        f"{NOW + timedelta(days=6.5):%Y-%m-%d}, in 6 day(s)",
        "fix: bring a new one",
        "(hosts: web0)",
    ]
    assert check(bring(certificate(KEY, DOMAINS, 7.5))) == []


def test_a_wildcard_is_for_one_label(bring: Bring) -> None:
    """Browsers see it so; one for another wildcard is for exactly that."""
    domains = ["www.example.org", "*.example.org"]
    given = bring(certificate(KEY, ["*.EXAMPLE.org"], 90))
    assert check(given, domains) == []
    (problem,) = check(given, [*domains, "a.b.example.org", "*.b.example.org"])
    assert problem.what == "covers *.EXAMPLE.org, not a.b.example.org, *.b.example.org"


@pytest.mark.parametrize("key", ["fullchain", "privkey"])
def test_files_have_to_be_there(bring: Bring, key: str) -> None:
    """A path that is mistyped is one problem, whatever the other file holds."""
    (problem,) = check({**bring(), key: "/nonexistent/file.pem"})
    assert (problem.key, problem.what) == (f"certificate.{key}", "is not a file on the controller")
    assert problem.fix == "correct it; `ls /nonexistent` shows what is there"


def test_every_mistake_is_told_at_once(bring: Bring) -> None:
    """Beside what the contract says of the other keys, and what it cannot check is left out."""
    found = check(bring(certificate(KEY, ["a.org"], 1), b"x"), ["shop.example.org", "Shop.example.org"])
    assert [problem.key for problem in found] == [
        "domains[1]",
        "certificate.privkey",
        "certificate.fullchain",
        "certificate.fullchain",
    ]
    for broken in [{"source": "files", "fullchain": 5, "privkey": "/x"}, {"source": "files"}, "files", None]:
        assert {problem.key.partition(".")[0] for problem in check(broken)} == {"certificate"}
    (problem,) = check(bring(), [5])  # type: ignore[list-item]  # as an inventory may have it
    assert problem.key == "domains[0]"


def test_keys_are_never_shown(bring: Bring) -> None:
    """Not when they are broken, nor in the wrong file, nor is a path that a vault keeps."""
    key = written(KEY)
    body = key.splitlines()[1].decode()
    for fullchain, privkey in [(key, GOOD), (GOOD, key[:100]), (GOOD, key.replace(b"A", b"B"))]:
        found = check(bring(fullchain, privkey))
        assert found
        assert body[:20] not in repr(found)
    hidden = Hidden("/nonexistent/hidden")
    problem = check({**bring(), "privkey": hidden})[0]
    assert problem.value == ""


def test_the_reader_may_refuse(bring: Bring) -> None:
    """A vault without its password, and a file that belongs to somebody else."""

    def locked(path: Path) -> bytes:
        if path.name == "key.pem":
            raise MistakeError("cannot be decrypted", "give the password")
        raise PermissionError(13, "Permission denied")

    assert [(problem.key, problem.what) for problem in check(bring(), read=locked)] == [
        ("certificate.fullchain", "cannot be read (Permission denied)"),
        ("certificate.privkey", "cannot be decrypted"),
    ]


def test_files_are_read_once_for_all_hosts(bring: Bring) -> None:
    """Decryption takes its time on purpose, and a fleet shares its apps."""
    asked: list[Path] = []

    def count(path: Path) -> bytes:
        asked.append(path)
        return path.read_bytes()

    assert check(bring(), hosts=5, read=count) == []
    assert len(asked) == 2
