"""Whether the certificate files of an app suit the app."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.farrier.kit.plugins.module_utils.edge.wildcards import covers

from .explain import shown
from .mistakes import MistakeError, Problem

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

Reader = Callable[[Path], bytes]

WARN_BEFORE = timedelta(days=7)
FILES = ("fullchain", "privkey")


class ExpiresSoonError(MistakeError):
    """Of a certificate that is good today, and not for as long as it has to be."""


def read_plainly(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        OSError: It cannot be read.
    """
    return path.read_bytes()


def certificate_problems(subject: str, app: Mapping[str, Any], read: Reader) -> list[Problem]:
    """Look at the files that `certificate` names.

    Args:
        subject: Names the app in the problems.
        app: The app, of whatever quality.
        read: Returns the content of a file; raises OSError or :class:`MistakeError` where it cannot.
    """
    given, domains = app.get("certificate"), app.get("domains")
    if not isinstance(given, Mapping) or given.get("source") != "files":
        return []
    if not all(isinstance(given.get(key), str) and given[key].startswith("/") for key in FILES):
        return []
    problems: list[Problem] = []
    contents: dict[str, bytes] = {}

    def add(key: str, mistake: MistakeError) -> None:
        value = shown(given[key], ("certificate", key))
        # It serves as well after the run as before; a deploy at night cannot wait for an authority.
        is_warning = isinstance(mistake, ExpiresSoonError)
        problems.append(
            Problem(subject, f"certificate.{key}", value, mistake.what, mistake.fix, is_warning=is_warning)
        )

    for key in FILES:
        try:
            contents[key] = _content(Path(given[key]), read)
        except MistakeError as error:
            add(key, error)
    wanted = [domain for domain in domains if isinstance(domain, str)] if isinstance(domains, list) else []
    for key, mistake in mistakes(contents.get("fullchain"), contents.get("privkey"), wanted, WARN_BEFORE):
        add(key, mistake)
    return problems


def mistakes(
    fullchain: bytes | None, privkey: bytes | None, domains: Sequence[str], left_at_least: timedelta
) -> Iterator[tuple[str, MistakeError]]:
    """Yield what keeps a certificate from being of use, each with "fullchain" or "privkey"; never the key.

    Args:
        fullchain: Certificates in PEM, the site's own first; None leaves out what has to do with them.
        privkey: Key in PEM; None leaves out what has to do with it.
        domains: Names that it has to be good for.
        left_at_least: For how long it has to be valid from now on.
    """
    chain: list[Certificate] = []
    public = b""
    try:
        chain = _certificates(fullchain) if fullchain is not None else []
    except MistakeError as mistake:
        yield "fullchain", mistake
    try:
        public = _public_half(privkey) if privkey is not None else b""
    except MistakeError as mistake:
        yield "privkey", mistake
    if not chain:
        return
    place = 0
    if public:
        fitting = [number for number, one in enumerate(chain) if _spki(one.public_key()) == public]
        if not fitting:
            what = "does not belong to the certificate in fullchain"
            yield "privkey", MistakeError(what, "name the key that this certificate was asked for with")
        elif (place := fitting[0]) > 0:
            what = f"has the site's own certificate at position {place + 1}"
            yield (
                "fullchain",
                MistakeError(what, "put it first, then the one that signed it, and so on"),
            )
    yield from (("fullchain", mistake) for mistake in _unfit(chain[place], domains, left_at_least))


def names(fullchain: bytes) -> list[str]:
    """Return the names that a certificate is for.

    Args:
        fullchain: Certificates in PEM, the site's own first.

    Raises:
        MistakeError: There is none in it.
    """
    return _names(_certificates(fullchain)[0])


def signed_by(fullchain: bytes, authority: bytes) -> bool:
    """Tell whether an authority has signed a certificate.

    Args:
        fullchain: Certificates in PEM, the site's own first.
        authority: The authority's own certificate in PEM.

    Raises:
        MistakeError: There is no certificate in one of them.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        _certificates(fullchain)[0].verify_directly_issued_by(_certificates(authority)[0])
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _content(path: Path, read: Reader) -> bytes:
    if not path.is_file():
        raise MistakeError(
            "is not a file on the controller", f"correct it; `ls {path.parent}` shows what is there"
        )
    try:
        return read(path)
    except OSError as error:
        raise MistakeError(
            f"cannot be read ({error.strerror})", f"make it readable for yourself; see `ls -l {path}`"
        ) from None


def _certificates(content: bytes) -> list[Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        fix = "write the site's certificate into it, then those of its authority, in PEM as they came"
        raise MistakeError("holds no certificate, or a broken one", fix) from None


def _public_half(content: bytes) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return _spki(load_pem_private_key(content, None).public_key())
    except TypeError:
        fix = "remove it with `openssl pkey`, and encrypt the file with ansible-vault instead"
        raise MistakeError("is encrypted with a passphrase", fix) from None
    except (ValueError, UnsupportedAlgorithm):
        fix = "write the key into it, in PEM: -----BEGIN PRIVATE KEY-----"
        raise MistakeError("holds no private key, or a broken one", fix) from None


def _spki(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _unfit(
    certificate: Certificate, domains: Sequence[str], left_at_least: timedelta
) -> Iterator[MistakeError]:
    now, borne = datetime.now(UTC), _names(certificate)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    missing = [domain for domain in domains if not covers(borne, domain)]
    if missing:
        what = f"covers {', '.join(borne) or 'no name'}, not {', '.join(missing)}"
        yield MistakeError(what, "bring one that covers every domain, or correct domains")
    if begins > now:
        yield MistakeError(f"is not valid before {begins:%Y-%m-%d %H:%M} UTC", "wait, or set the clock right")
    if ends <= now:
        yield MistakeError(f"expired on {ends:%Y-%m-%d}", "bring a new one")
    elif ends - now < left_at_least:
        days = (ends - now).days
        yield ExpiresSoonError(f"expires on {ends:%Y-%m-%d}, in {days} day(s)", "bring a new one")


def _names(certificate: Certificate) -> list[str]:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return extension.value.get_values_for_type(x509.DNSName)
