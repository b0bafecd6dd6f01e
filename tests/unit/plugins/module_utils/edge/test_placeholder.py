"""Every app has something to show from the first minute, and what is better is never replaced by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import managed_certificates

from tests.unit.certificates import MakeCertificate


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory with a placeholder."""
    directory = tmp_path / "tls"
    managed_certificates.make_placeholder(directory)
    return directory


def is_usable(directory: Path) -> bool:
    """Tell whether the placeholder of a directory is."""
    return managed_certificates.is_usable(directory / managed_certificates.PLACEHOLDER / "fullchain.pem")


def test_only_root_can_read_the_key(directory: Path) -> None:
    """Also a key that nobody trusts encrypts what people type."""
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / ".placeholder/privkey.pem").stat().st_mode & 0o777 == 0o600


def test_it_is_usable_once_made(directory: Path, tmp_path: Path) -> None:
    """Else each run would make a new one."""
    assert is_usable(directory)
    assert not is_usable(tmp_path / "elsewhere")


@pytest.mark.parametrize("lost", ["privkey.pem", "fullchain.pem"])
def test_half_of_it_is_made_anew(directory: Path, lost: str) -> None:
    """nginx does not start with a certificate without its key."""
    (directory / ".placeholder" / lost).unlink()
    assert not is_usable(directory)
    managed_certificates.make_placeholder(directory)
    assert is_usable(directory)


def test_one_that_is_about_to_expire_is_made_anew(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten years it is somebody else who wonders."""
    monkeypatch.setattr(managed_certificates, "PLACEHOLDER_LIFETIME_DAYS", 1)
    managed_certificates.make_placeholder(directory)
    assert not is_usable(directory)


def test_paths_that_lead_nowhere_lead_to_it(directory: Path) -> None:
    """A name that is new, and one whose certificate was deleted by hand."""
    (directory / "deleted").symlink_to("/nonexistent")
    names = ["new", "deleted"]
    assert managed_certificates.leading_nowhere(directory, names) == names
    for name in names:
        managed_certificates.link(directory, name, managed_certificates.PLACEHOLDER)
    assert managed_certificates.leading_nowhere(directory, names) == []
    assert (directory / "deleted").readlink() == Path(".placeholder")


def test_a_real_certificate_stays(directory: Path, tmp_path: Path, make_certificate: MakeCertificate) -> None:
    """The path already leads to what certbot got."""
    live = make_certificate(["one.example"], tmp_path / "live").parent
    (live / "cert.pem").rename(live / "fullchain.pem")
    (directory / "one").symlink_to(live)
    assert managed_certificates.leading_nowhere(directory, ["one"]) == []
