"""A certificate for names that have none yet, under the path at which the real one will be."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

NAME = ".placeholder"
SUBJECT = "/CN=No certificate yet"
LIFETIME_DAYS = 3650
RENEW_BEFORE_SECONDS = 30 * 86_400


def is_usable(directory: Path) -> bool:
    """Tell whether the placeholder is there and will be valid for a while."""
    if not (directory / NAME / "privkey.pem").exists():
        return False
    check = [
        "openssl",
        "x509",
        "-noout",
        "-checkend",
        str(RENEW_BEFORE_SECONDS),
        "-in",
        str(directory / NAME / "fullchain.pem"),
    ]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def make(directory: Path) -> None:
    """Make a self-signed placeholder with a key of the host's own that only root can read.

    Raises:
        subprocess.CalledProcessError: openssl failed; its stderr says why.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = directory / f"{NAME}.fresh"
    shutil.rmtree(fresh, ignore_errors=True)  # an earlier run may have been killed
    try:
        fresh.mkdir(mode=0o700)
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
        request += [
            "-days",
            str(LIFETIME_DAYS),
            "-subj",
            SUBJECT,
            "-addext",
            "subjectAltName=DNS:placeholder.invalid",
        ]
        request += ["-keyout", str(fresh / "privkey.pem"), "-out", str(fresh / "fullchain.pem")]
        subprocess.run(request, capture_output=True, text=True, check=True)
        (fresh / "privkey.pem").chmod(0o600)
        shutil.rmtree(directory / NAME, ignore_errors=True)
        fresh.rename(directory / NAME)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def missing(directory: Path, names: Iterable[str]) -> list[str]:
    """Return the names whose path leads to no certificate."""
    return [name for name in names if not (directory / name / "fullchain.pem").exists()]


def link(directory: Path, name: str) -> None:
    """Let the path of a name lead to the placeholder, in one step."""
    fresh = directory / f".{name}.link"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(NAME)
    fresh.replace(directory / name)
