"""The task that brings certificates to a host, in a real run: the controller's half and the host's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.farrier.kit.plugins.plugin_utils import mkcert
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from tests.unit.playbooks import Play, Run
from tests.unit.plugins.plugin_utils.inventory_schema.test_certificates import (
    KEY,
    OTHER,
    certificate,
    written,
)

PASSWORD = b"open sesame"
PLAYBOOK = """
- name: Install certificates on the host
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Install the certificate of each app
      farrier.kit.tls_certificates:
        apps: "{apps}"
        directory: "{directory}/tls"
        pending: "{directory}/pending"
        mkcert_cache: "{directory}/cache"
"""
MKCERT = """#!/bin/sh
test "$1" != -CAROOT || {{ echo {directory}/authority; exit; }}
echo "$@" >>{directory}/asked
test ! -e {directory}/broken || {{ echo 'the CA is broken' >&2; exit 1; }}
cp {directory}/made.pem "$2"
cp {directory}/made.key "$4"
cat {directory}/note >&2
"""

Bring = Callable[..., Run]


@pytest.fixture
def bring(run_playbook: Play, tmp_path: Path) -> Bring:
    """Return a function that runs the task for apps with a mkcert of ours in front of the real one."""
    (tmp_path / "password").write_bytes(PASSWORD)

    def run(*apps: dict[str, object], arguments: tuple[str, ...] = (), path: str = os.environ["PATH"]) -> Run:
        playbook = PLAYBOOK.format(apps="{{ " + repr(list(apps)) + " }}", directory=tmp_path)
        password = ("--vault-password-file", "password")
        return run_playbook(
            playbook, *password, *arguments, PATH=f"{tmp_path}/bin:{path}", FARRIER_STRATEGY="linear"
        )

    return run


def app(source: str, *domains: str, **files: str) -> dict[str, object]:
    """Return the app `shop`, whose certificate comes from somewhere."""
    given = {"source": source, "fullchain": None, "privkey": None, "challenge": "http", **files}
    return {"name": "shop", "domains": list(domains) or ["shop.example"], "certificate": given}


def changed(run: Run) -> bool:
    """Tell whether a run that succeeded has changed the host."""
    assert run.returncode == 0, run.stdout + run.stderr
    return "changed=1" in run.stdout


def test_files_come_from_a_vault_and_are_never_seen(bring: Bring, tmp_path: Path) -> None:
    """Not with every word of Ansible's, nor with --diff; the second run changes nothing."""
    locked = VaultLib([("default", VaultSecret(PASSWORD))]).encrypt(written(KEY))
    (tmp_path / "chain.pem").write_bytes(certificate(KEY, ["shop.example"], 90))
    (tmp_path / "key.pem").write_bytes(locked)
    shop = app("files", fullchain=str(tmp_path / "chain.pem"), privkey=str(tmp_path / "key.pem"))
    other = {**app("acme"), "name": "other"}
    talkative = ("-vvvv", "--diff")
    assert changed(bring(shop, other, arguments=(*talkative, "--check")))
    assert not (tmp_path / "tls").exists()
    assert not (tmp_path / "pending").exists()
    first = bring(shop, other, arguments=talkative)
    assert changed(first)
    for line in written(KEY).decode().splitlines()[1:-1]:
        assert line not in first.stdout + first.stderr
    assert (tmp_path / "tls/shop/privkey.pem").read_bytes() == written(KEY)
    assert (tmp_path / "pending").exists()
    assert (tmp_path / "tls/other").readlink() == Path(".placeholder")
    assert not changed(bring(shop, other))
    (tmp_path / "chain.pem").write_bytes(certificate(KEY, ["shop.example"], 400))
    assert changed(bring(shop, other))
    assert len(list((tmp_path / "tls/.own").iterdir())) == 1


def test_self_signed_is_made_once_and_for_new_domains(bring: Bring, tmp_path: Path) -> None:
    """A key that changed with each run would be asked about in each browser."""
    assert changed(bring(app("self_signed")))
    before = (tmp_path / "tls/shop").readlink()
    assert not changed(bring(app("self_signed")))
    assert (tmp_path / "tls/shop").readlink() == before
    assert changed(bring(app("self_signed", "shop.example", "www.shop.example"), arguments=("--check",)))
    assert changed(bring(app("self_signed", "shop.example", "www.shop.example")))
    assert [path.name for path in (tmp_path / "tls/.own").iterdir()] == [
        (tmp_path / "tls/shop").readlink().name
    ]


def test_mkcert_is_asked_when_its_certificate_is_not_good(bring: Bring, tmp_path: Path) -> None:
    """For other domains, near the end, when half of it is lost, and after mkcert has another authority."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mkcert").write_text(MKCERT.format(directory=tmp_path))
    (tmp_path / "bin/mkcert").chmod(0o755)
    (tmp_path / "note").touch()
    (tmp_path / "authority").mkdir()

    def will_make(domains: list[str], days: int = 800, key: EllipticCurvePrivateKey = OTHER) -> None:
        (tmp_path / "made.pem").write_bytes(certificate(key, domains, days))
        (tmp_path / "made.key").write_bytes(written(key))
        # It signs itself.
        (tmp_path / "authority/rootCA.pem").write_bytes(certificate(key, [], 3650))

    def asked() -> int:
        return len((tmp_path / "asked").read_text().splitlines())

    will_make(["shop.example"], days=29)
    assert changed(bring(app("mkcert")))
    assert "-key-file" in (tmp_path / "asked").read_text()
    will_make(["shop.example"])
    assert changed(bring(app("mkcert")))
    assert not changed(bring(app("mkcert")))
    assert asked() == 2
    will_make(["shop.example", "*.shop.example"])
    assert changed(bring(app("mkcert", "shop.example", "*.shop.example")))
    will_make(["shop.example"])
    assert changed(bring(app("mkcert")))
    assert asked() == 4
    (tmp_path / "cache/shop/privkey.pem").unlink()
    assert not changed(bring(app("mkcert")))
    assert asked() == 5
    will_make(["shop.example"], key=KEY)
    (tmp_path / "note").write_text("Note: the local CA is not installed in the system trust store.\n")
    again = bring(app("mkcert"))
    assert changed(again)
    assert asked() == 6
    assert "app shop: mkcert notes: the local CA is not installed in the system trust store. Run" in (
        again.stdout + again.stderr
    )
    (tmp_path / "broken").touch()
    failed = bring(app("mkcert", "new.example"))
    assert failed.returncode != 0
    assert "app shop: mkcert made no certificate for new.example: the CA is broken" in failed.stdout
    assert (tmp_path / "cache/shop/privkey.pem").exists()


def test_a_missing_mkcert_is_named_with_its_package(bring: Bring) -> None:
    """The operator is a developer at a laptop, who has to have it installed by hand once."""
    failed = bring(app("mkcert"), path="/nonexistent")
    assert failed.returncode != 0
    for words in (
        "app shop: its certificate comes from mkcert",
        "apt install mkcert",
        "mkcert -install",
    ):
        assert words in failed.stdout


def test_a_good_certificate_does_without_mkcert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could make another one, and the rest of the run has nothing to do with it."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/fullchain.pem").write_bytes(certificate(KEY, ["shop.example"], 800))
    (tmp_path / "shop/privkey.pem").write_bytes(written(KEY))
    monkeypatch.setenv("PATH", "/nonexistent")
    files, note = mkcert.certificate("shop", ["shop.example"], tmp_path)
    assert (files["privkey"], note) == (tmp_path / "shop/privkey.pem", "")


def test_a_vault_without_its_password_is_said(bring: Bring, tmp_path: Path) -> None:
    """Also where the inventory was not looked at before."""
    locked = VaultLib([("default", VaultSecret(b"another"))]).encrypt(written(KEY))
    for name in ("chain.pem", "key.pem"):
        (tmp_path / name).write_bytes(locked)
    shop = app("files", fullchain=str(tmp_path / "chain.pem"), privkey=str(tmp_path / "key.pem"))
    failed = bring(shop)
    assert failed.returncode != 0
    assert "app shop: cannot be decrypted" in failed.stdout
