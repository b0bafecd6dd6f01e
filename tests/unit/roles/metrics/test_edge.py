"""Certificates, drained hosts and maintenance mode of an edge."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from farrier_metrics import edge
from farrier_metrics.settings import Settings

from tests.unit.certificates import MakeCertificate
from tests.unit.roles.metrics.values import values

DAY = 86_400


@pytest.fixture
def certificate(tmp_path: Path, make_certificate: MakeCertificate) -> Path:
    """Of an app, as nginx has it, for 20 days."""
    make_certificate(["shop.test"], tmp_path / "shop", days=20).rename(tmp_path / "shop" / "fullchain.pem")
    return tmp_path / "shop" / "fullchain.pem"


def days_left(certificates: edge.Certificates) -> float:
    """Return how long the certificate of the app is valid."""
    name = "certificate_expiry_timestamp_seconds{shop}"
    return (values(certificates.samples())[name] - time.time()) / DAY


def test_end_of_a_certificate_follows_its_file(
    settings: Settings, certificate: Path, make_certificate: MakeCertificate
) -> None:
    """Another one takes its place in one step."""
    certificates = edge.Certificates(replace(settings, certificates={"shop": certificate.parent}))
    assert days_left(certificates) == pytest.approx(20, abs=0.01)
    make_certificate(["shop.test"], certificate.parent, days=90).rename(certificate)
    assert days_left(certificates) == pytest.approx(90, abs=0.01)


def test_certificate_is_read_once(
    settings: Settings, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process every ten seconds would be a waste."""
    certificates = edge.Certificates(replace(settings, certificates={"shop": certificate.parent}))
    days_left(certificates)
    monkeypatch.setattr(edge, "not_after", lambda _: pytest.fail("it was read again"))
    assert days_left(certificates) == pytest.approx(20, abs=0.01)


def test_file_that_is_no_certificate_hides_no_other(settings: Settings, certificate: Path) -> None:
    """It is an error all the same: the part that fails is a metric."""
    broken = certificate.parent.parent / "broken"
    broken.mkdir()
    (broken / "fullchain.pem").write_text("none")
    directories = {"broken": broken, "none": broken / "none", "shop": certificate.parent}
    told = edge.Certificates(replace(settings, certificates=directories)).samples()
    assert next(told).labels == {"name": "shop"}
    with pytest.raises(ExceptionGroup, match=r"(?s)broken/fullchain\.pem: .*none/fullchain\.pem"):
        next(told)


def test_drained_hosts_are_named(settings: Settings) -> None:
    """What an editor has left there is none."""
    assert values(edge.drained(settings)) == {}
    settings.drained_directory.mkdir(parents=True)
    for name in ("app2.example.org", ".swp", 'a"b'):
        (settings.drained_directory / name).touch()
    assert values(edge.drained(settings)) == {"drained{app2.example.org}": 1}


def test_maintenance_mode_is_told_of_each_app(settings: Settings) -> None:
    """Also of those that are not in it."""
    settings.maintenance_directory.mkdir(parents=True)
    (settings.maintenance_directory / "shop").touch()
    found = values(edge.maintenance(replace(settings, edge_apps=["shop", "blog"])))
    assert found == {"maintenance{shop}": 1, "maintenance{blog}": 0}
