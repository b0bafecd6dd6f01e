"""The load goes to lab addresses, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.load.__main__ import main
from tests.harness.load.target import TargetRefusedError, make_target


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "10.77.77.11", "10.88.3.4"])
def test_lab_addresses_are_taken(address: str) -> None:
    """Loopback and the lab's networks need no option; the name stays for TLS and the Host header."""
    target = make_target("http://observatory.lab.test:8080", resolve={"observatory.lab.test": [address]})
    assert target.addresses == (address,)
    assert target.authority == "observatory.lab.test:8080"


@pytest.mark.parametrize("address", ["8.8.8.8", "10.89.0.1", "192.168.1.1", "169.254.169.254", "2001:db8::1"])
def test_other_addresses_are_refused(address: str) -> None:
    """Also private ones, until they are allowed by name."""
    with pytest.raises(TargetRefusedError, match=address):
        make_target("http://example.test", resolve={"example.test": [address]})


def test_a_private_network_can_be_allowed() -> None:
    """A lab elsewhere is added by its network."""
    assert make_target("http://192.168.7.9", allow=["192.168.7.0/24"]).addresses == ("192.168.7.9",)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "8.8.8.0/24", "172.16.0.0/12", "::/0", "lab", "10.1.2.3/8"])
def test_the_internet_cannot_be_allowed(network: str) -> None:
    """An option must not turn this into a tool against others."""
    with pytest.raises(TargetRefusedError, match="--allow"):
        make_target("http://8.8.8.8", allow=[network])


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:80", "https://", "http://127.0.0.1/path"])
def test_unusable_urls_are_refused(url: str) -> None:
    """With the shape that is wanted."""
    with pytest.raises(TargetRefusedError, match="https://name"):
        make_target(url)


def test_a_missing_ca_is_refused(tmp_path: Path) -> None:
    """Rather than trusting something else."""
    with pytest.raises(TargetRefusedError, match="--ca"):
        make_target("https://127.0.0.1", ca=str(tmp_path / "none.pem"))


def test_the_command_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, a message, and nothing written."""
    assert main(["run", "http://8.8.8.8", "--output", str(tmp_path / "results")]) == 2
    assert "8.8.8.8" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
