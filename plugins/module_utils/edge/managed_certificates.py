"""Certificates that no ACME authority issues, under the path that the web server reads."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

NAME = ".own"
PLACEHOLDER = ".placeholder"
PLACEHOLDER_SUBJECT = "No certificate yet"
PLACEHOLDER_LIFETIME_DAYS = 3650
KEPT = re.compile(r"(?P<app>.+)-[0-9a-f]{16}")
FILES = ("privkey.pem", "fullchain.pem")
SUBJECT = "Self-signed by this host"
LIFETIME_DAYS = 397
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key.

    Attributes:
        fullchain: Certificates in PEM, the site's own first.
        privkey: Key in PEM.
    """

    fullchain: str
    privkey: str = field(repr=False)

    def content(self, file: str) -> str:
        """Return what one of the files holds."""
        return {"privkey.pem": self.privkey, "fullchain.pem": self.fullchain}[file]


def place(directory: Path, app: str, pair: Pair) -> Path:
    """Return the directory that a certificate of an app has to itself, below that of the links."""
    digest = hashlib.sha256(pair.fullchain.encode()).hexdigest()[:16]
    return directory / NAME / f"{app}-{digest}"


def current(directory: Path, app: str) -> Path | None:
    """Return the directory of the certificate that an app's path leads to, if that is one of these."""
    link = directory / app
    if not link.is_symlink():
        return None
    target = directory / link.readlink()
    is_own = target.parent == directory / NAME and all((target / file).is_file() for file in FILES)
    return target if is_own else None


def is_kept(directory: Path, app: str, pair: Pair) -> bool:
    """Tell whether an app's path leads to this certificate, and to nothing that others can read or change."""
    wanted = place(directory, app, pair)
    if current(directory, app) != wanted or not all(
        _is_roots_alone(path) for path in (wanted.parent, wanted)
    ):
        return False
    return all(
        _is_roots_alone(wanted / file) and (wanted / file).read_text() == pair.content(file) for file in FILES
    )


def keep(directory: Path, app: str, pair: Pair) -> None:
    """Lay a certificate down, then let the app's path lead to it in one step."""
    wanted = place(directory, app, pair)
    _write_pair(wanted, pair, (directory, directory / NAME, wanted))
    link(directory, app, str(wanted.relative_to(directory)))


def link(directory: Path, app: str, target: str) -> None:
    """Let the path of an app lead to a certificate, relative to the directory of the links, in one step."""
    fresh = directory / f".{app}.link"
    fresh.unlink(missing_ok=True)  # an earlier run may have been killed
    fresh.symlink_to(target)
    fresh.replace(directory / app)


def is_usable(certificate: Path) -> bool:
    """Tell whether a certificate has its key beside it and will be valid for a while."""
    if not certificate.with_name("privkey.pem").exists():
        return False
    seconds = str(int(RENEW_BEFORE.total_seconds()))
    check = ["openssl", "x509", "-noout", "-checkend", seconds, "-in", str(certificate)]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def make_placeholder(directory: Path) -> None:
    """Make the certificate that apps show until an authority has issued theirs, with a key of the host's own.

    Raises:
        subprocess.CalledProcessError: openssl failed; its stderr says why.
    """
    pair = _request(directory, PLACEHOLDER_SUBJECT, ["placeholder.invalid"], PLACEHOLDER_LIFETIME_DAYS)
    _write_pair(directory / PLACEHOLDER, pair, (directory / PLACEHOLDER,))


def leading_nowhere(directory: Path, apps: Iterable[str]) -> list[str]:
    """Return the apps whose path points to no certificate."""
    return [app for app in apps if not (directory / app / "fullchain.pem").exists()]


def left_over(directory: Path) -> Iterator[Path]:
    """Yield the directories of certificates that no app uses any longer."""
    for path in sorted((directory / NAME).glob("*")):
        kept = KEPT.fullmatch(path.name)
        if kept and current(directory, kept["app"]) != path:
            yield path


def is_self_signed(certificate: Path) -> bool:
    """Tell whether a certificate is one that `self_signed` made."""
    show = ["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", str(certificate)]
    shown = subprocess.run(show, capture_output=True, text=True, check=False).stdout
    return shown.strip() == f"subject=CN={SUBJECT}"


def why_not(names: Collection[str], expires: datetime, domains: Collection[str], now: datetime) -> str:
    """Return why a self-signed certificate of the host must be replaced, or "" if it need not.

    Args:
        names: Names in the certificate.
        expires: When it stops being valid.
        domains: Wanted names.
        now: Time by which it must have a while left.
    """
    if set(names) != set(domains):
        return "the domains have changed"
    if expires - now < RENEW_BEFORE:
        return f"it expires on {expires:%Y-%m-%d}"
    return ""


def self_signed(directory: Path, domains: Sequence[str]) -> Pair:
    """Make a certificate for all domains with a new key.

    Args:
        directory: That of the links; the key is made below it, where only root can look.
        domains: Names in the certificate.

    Raises:
        subprocess.CalledProcessError: openssl failed; its stderr says why.
    """
    return _request(directory, SUBJECT, domains, LIFETIME_DAYS)


def _request(directory: Path, subject: str, domains: Sequence[str], lifetime_days: int) -> Pair:
    fresh = directory / NAME / ".fresh"
    shutil.rmtree(fresh, ignore_errors=True)  # an earlier run may have been killed
    files = {"-keyout": fresh / "privkey.pem", "-out": fresh / "fullchain.pem"}
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    request += ["-days", str(lifetime_days), "-subj", f"/CN={subject}"]
    # Clients that trust it trust it for these names, not as an authority for others.
    for extension in (
        f"subjectAltName={','.join(f'DNS:{domain}' for domain in domains)}",
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth",
    ):
        request += ["-addext", extension]
    for option, path in files.items():
        request += [option, str(path)]
    try:
        for path in (directory, fresh.parent, fresh):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        subprocess.run(request, capture_output=True, text=True, check=True)
        return Pair(files["-out"].read_text(), files["-keyout"].read_text())
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write_pair(place: Path, pair: Pair, private: Iterable[Path]) -> None:
    for path in private:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    for file in FILES:
        _write(place / file, pair.content(file))


def _is_roots_alone(path: Path) -> bool:
    return path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


def _write(path: Path, content: str) -> None:
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.unlink(missing_ok=True)  # an earlier run may have been killed
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
