"""Certificates from the controller's mkcert, whose authority a developer's own browsers trust."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import certificates

RENEW_BEFORE = timedelta(days=30)
TIMEOUT_SECONDS = 60
NOTE = re.compile(r"^Note: (the local CA is not installed .+)$", re.MULTILINE)
TRUST = "Run mkcert -install, and this machine's browsers trust it."
INSTALL = (
    "Install Debian's package and let your browsers trust it: sudo apt install mkcert && mkcert -install"
)


class MkcertError(Exception):
    """mkcert gave no certificate; the text says why and what to do."""


def certificate(app: str, domains: Sequence[str], cache: Path) -> tuple[dict[str, Path], str]:
    """Return the files `fullchain` and `privkey` of a certificate for the domains; make it where needed.

    The text is what the operator has to know of one that was made, or "".

    Args:
        app: Name of the app.
        domains: Names that the certificate has to be good for, and no others.
        cache: Directory in which each app has one of its own.

    Raises:
        MkcertError: mkcert is missing, or failed.
        OSError: The cache cannot be written.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = cache / app
    files = {"fullchain": place / "fullchain.pem", "privkey": place / "privkey.pem"}
    # Several hosts of a play come here at the same time.
    with (cache / f".{app}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = "" if _is_good(files, domains) else _make(app, domains, place)
    return files, note


def _is_good(files: dict[str, Path], domains: Sequence[str]) -> bool:
    if not all(path.is_file() for path in files.values()):
        return False
    contents = {key: path.read_bytes() for key, path in files.items()}
    found = certificates.mistakes(contents["fullchain"], contents["privkey"], domains, RENEW_BEFORE)
    return (
        not any(found)
        and set(certificates.names(contents["fullchain"])) == set(domains)
        and _is_of_the_authority(contents["fullchain"])
    )


def _is_of_the_authority(fullchain: bytes) -> bool:
    """Whether browsers that trust mkcert's present authority trust a certificate that was made earlier."""
    if not shutil.which("mkcert"):
        return True  # there is no present one
    told = subprocess.run(["mkcert", "-CAROOT"], capture_output=True, text=True, check=False)
    root = Path(told.stdout.strip()) / "rootCA.pem"
    return root.is_file() and certificates.signed_by(fullchain, root.read_bytes())


def _make(app: str, domains: Sequence[str], place: Path) -> str:
    fresh = place.with_name(f".{app}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)  # an earlier run may have been killed
    fresh.mkdir(mode=0o700)
    command = ["mkcert", "-cert-file", str(fresh / "fullchain.pem"), "-key-file", str(fresh / "privkey.pem")]
    try:
        made = subprocess.run(
            [*command, *domains],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
            check=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
    except FileNotFoundError:
        raise MkcertError(
            f"app {app}: its certificate comes from mkcert, which the controller does not have. {INSTALL}"
        ) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr
        raise MkcertError(
            f"app {app}: mkcert made no certificate for {', '.join(domains)}: {said or error}"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    noted = " ".join(NOTE.findall(made.stderr))
    return f"app {app}: mkcert notes: {noted} {TRUST}" if noted else ""
