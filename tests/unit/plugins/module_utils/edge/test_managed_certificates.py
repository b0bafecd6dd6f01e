"""Certificates of one's own: only root reads them, paths lead to whole ones, and nothing old stays."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import lineage, managed_certificates

DOMAINS = ["one.example", "*.one.example"]
FIRST, SECOND = (
    managed_certificates.Pair("chain 1\n", "key 1\n"),
    managed_certificates.Pair("chain 2\n", "key 2\n"),
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory for the links, with the first certificate of the app `one`."""
    directory = tmp_path / "tls"
    managed_certificates.keep(directory, "one", FIRST)
    return directory


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return path.stat().st_mode & 0o777


def test_path_leads_to_what_only_root_can_read(directory: Path) -> None:
    """The link is relative, as that to the placeholder, and the name tells one certificate from the next."""
    assert (directory / "one/fullchain.pem").read_text() == FIRST.fullchain
    assert (directory / "one/privkey.pem").read_text() == FIRST.privkey
    link = (directory / "one").readlink()
    assert link == managed_certificates.place(directory, "one", FIRST).relative_to(directory)
    assert managed_certificates.KEPT.fullmatch(link.name)
    assert {mode(path) for path in (directory, directory / ".own", directory / link)} == {0o700}
    assert {mode(path) for path in (directory / link).iterdir()} == {0o600}
    assert managed_certificates.is_kept(directory, "one", FIRST)
    assert not managed_certificates.is_kept(directory, "one", SECOND)
    assert "key 1" not in repr(FIRST)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda place: (place / "privkey.pem").unlink(),
        lambda place: (place / "privkey.pem").write_text("another"),
        lambda place: (place / "privkey.pem").chmod(0o644),
        lambda place: (place / "fullchain.pem").write_text(""),
        lambda place: place.chmod(0o755),
        lambda place: place.parent.chmod(0o755),
        lambda place: (place.parents[1] / "one").unlink(),
    ],
)
def test_what_was_changed_or_cut_short_is_mended(directory: Path, spoil: object) -> None:
    """A run that was killed between two files, and somebody who meant well."""
    assert callable(spoil)
    spoil(managed_certificates.place(directory, "one", FIRST))
    assert not managed_certificates.is_kept(directory, "one", FIRST)
    managed_certificates.keep(directory, "one", FIRST)
    assert managed_certificates.is_kept(directory, "one", FIRST)


def test_what_a_killed_run_left_does_no_harm(directory: Path) -> None:
    """It may have died with a file half written, and with the link half made."""
    place = managed_certificates.place(directory, "one", SECOND)
    place.mkdir()
    (place / ".privkey.pem.fresh").write_text("half")
    (directory / ".one.link").symlink_to("nowhere")
    managed_certificates.keep(directory, "one", SECOND)
    assert managed_certificates.is_kept(directory, "one", SECOND)
    assert sorted(path.name for path in place.iterdir()) == ["fullchain.pem", "privkey.pem"]


def test_only_what_nothing_leads_to_is_left_over(directory: Path, tmp_path: Path) -> None:
    """Neither an app whose name begins alike, nor what somebody else has put there."""
    managed_certificates.keep(directory, "one-more", FIRST)
    assert list(managed_certificates.left_over(directory)) == []
    managed_certificates.keep(directory, "one", SECOND)
    (directory / ".own/notes").mkdir()
    assert list(managed_certificates.left_over(directory)) == [
        managed_certificates.place(directory, "one", FIRST)
    ]
    # As the deploy hook of certbot does it when the app has gone over to an authority.
    (directory / "one").unlink()
    (directory / "one").symlink_to(tmp_path / "letsencrypt/live/one")
    assert {path.name for path in managed_certificates.left_over(directory)} == {
        managed_certificates.place(directory, "one", pair).name for pair in (FIRST, SECOND)
    }
    assert list(managed_certificates.left_over(tmp_path / "elsewhere")) == []


def test_paths_that_lead_elsewhere_are_not_ours(directory: Path, tmp_path: Path) -> None:
    """To the placeholder, to certbot's, to nothing, or no link at all."""
    (directory / "placeholder").symlink_to(".placeholder")
    (directory / "acme").symlink_to(tmp_path / "live/acme")
    (directory / "plain").mkdir()
    for app in ("placeholder", "acme", "plain", "none"):
        assert managed_certificates.current(directory, app) is None
    (directory / ".own/lost-0123456789abcdef").mkdir()
    (directory / "lost").symlink_to(".own/lost-0123456789abcdef")
    assert managed_certificates.current(directory, "lost") is None


def test_a_self_signed_one_is_for_all_domains_and_signs_no_other(directory: Path) -> None:
    """Who tells a browser to trust it does not make the host an authority."""
    pair = managed_certificates.self_signed(directory, DOMAINS)
    managed_certificates.keep(directory, "one", pair)
    certificate = directory / "one/fullchain.pem"
    names, expires = lineage.inspect(certificate)
    assert names == set(DOMAINS)
    assert timedelta(days=396) < expires - datetime.now(UTC) <= timedelta(days=397)
    show = ["openssl", "x509", "-noout", "-text", "-in", str(certificate)]
    text = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert text.count("Basic Constraints") == 1
    assert "CA:FALSE" in text
    assert "prime256v1" in text
    check = ["openssl", "pkey", "-noout", "-check", "-in", str(directory / "one/privkey.pem")]
    assert subprocess.run(check, check=False, capture_output=True).returncode == 0
    assert not (directory / ".own/.fresh").exists()


def test_its_own_making_is_recognised(directory: Path) -> None:
    """Somebody's file with the same names is replaced when the app says self_signed."""
    managed_certificates.keep(directory, "one", managed_certificates.self_signed(directory, DOMAINS))
    assert managed_certificates.is_self_signed(directory / "one/fullchain.pem")
    (directory / "other.pem").write_text("no certificate")
    assert not managed_certificates.is_self_signed(directory / "other.pem")


def test_key_is_not_left_behind_by_a_failure(directory: Path) -> None:
    """What openssl says reaches the operator."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        managed_certificates.self_signed(directory, ["one.example,IP:nonsense"])
    assert failed.value.stderr
    assert not (directory / ".own/.fresh").exists()


@pytest.mark.parametrize(
    ("domains", "days", "reason"),
    [
        (DOMAINS, 31, ""),
        (DOMAINS[::-1], 31, ""),
        (DOMAINS[:1], 31, "the domains have changed"),
        ([*DOMAINS, "two.example"], 31, "the domains have changed"),
        (DOMAINS, 29, "it expires on 2030-01-30"),
    ],
)
def test_when_one_is_made_anew(domains: list[str], days: int, reason: str) -> None:
    """Nothing else than a run renews it, so early enough for the next one."""
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert managed_certificates.why_not(DOMAINS, now + timedelta(days=days), domains, now) == reason
