"""That a revoked certificate is replaced by itself, once, and that nothing is where nobody wants it."""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import farrier_certificate_replacement as replacement
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.certificates import HOOK, MakeCertificate, MakeLineage

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)

Replace = Callable[..., bool]


class Authority:
    """An authority's directory and what it says about certificates.

    Attributes:
        directory: its directory's object; empty where it has no renewal information.
        window: start and end of the window that it suggests for every certificate.
        more: what its answers have beside the window.
        asked: paths that were asked for, the directory aside.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.address = f"https://localhost:{server.server_port}"
        self.directory = {"renewalInfo": f"{self.address}/information"}
        self.window = (f"{NOW - HOUR:%Y-%m-%dT%H:%M:%S}.123456789Z", f"{NOW - HOUR / 2:%Y-%m-%dT%H:%M:%SZ}")
        self.more: dict[str, str] = {}
        self.asked: list[str] = []

    def answer(self, path: str) -> Any:
        """Return what it says to who asks for a path."""
        if path == "/directory":
            return self.directory
        self.asked.append(path)
        return {"suggestedWindow": dict(zip(("start", "end"), self.window, strict=True)), **self.more}


@pytest.fixture
def authority(
    tmp_path: Path, make_certificate: MakeCertificate, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Authority]:
    """Return a private authority over HTTPS that wants every certificate replaced, as after a revocation."""
    certificate = make_certificate(["localhost"], tmp_path / "authority")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(authority.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("privkey.pem"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    monkeypatch.setattr(server, "handle_error", lambda *_: None)  # whom a client does not believe
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    authority = Authority(server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield authority
    server.shutdown()
    server.server_close()


@pytest.fixture
def make(make_lineage: MakeLineage, authority: Authority) -> MakeLineage:
    """Return a function that lays out a certificate of this authority."""

    def make(name: str, **other: Any) -> Path:
        return make_lineage(name, [f"{name}.example"], **{"server": f"{authority.address}/directory"} | other)

    return make


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Return where the certbot of these tests writes what it was asked for."""
    return tmp_path / "commands"


@pytest.fixture
def replace(tmp_path: Path, commands: Path) -> Replace:
    """Return a function that runs what the timer's service runs, with a certbot that fails for `fails`."""
    certbot, state = tmp_path / "certbot", tmp_path / "state"
    certbot.write_text(f'#!/bin/sh\necho "$*" >>{commands}\n[ "$3" != fails ]\n')
    certbot.chmod(0o755)
    commands.touch()
    state.mkdir()

    def replace() -> bool:
        return replacement.replace(tmp_path / "letsencrypt", state, HOOK, [str(certbot), "renew"], NOW)

    return replace


@pytest.mark.parametrize(
    ("signer", "serial", "expected"),
    [
        ("69885b6b87464041e1b37b847ba0ae2cde01c8d4", 0x87654321, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"),
        ("fbff", 0x7F, "-_8.fw"),
    ],
    ids=["RFC 9773, 4.1", "of characters that an address cannot have"],
)
def test_the_identifier_is_that_of_the_standard(signer: str, serial: int, expected: str) -> None:
    """An authority does not know a certificate by another; nor would it say that one was revoked."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial, NOW, NOW + HOUR)
        .add_extension(x509.AuthorityKeyIdentifier(bytes.fromhex(signer), None, None), critical=False)
        .sign(key, hashes.SHA256())
    )
    assert replacement.identifier(certificate) == expected


def test_what_was_revoked_is_replaced(
    make: MakeLineage,
    replace: Replace,
    commands: Path,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Browsers refuse it; the operator reads who wanted this, and where it says why."""
    authority.more = {"explanationURL": "https://authority.example/incident"}
    make("one")
    assert replace()
    assert commands.read_text() == "renew --cert-name one --force-renewal\n"
    assert "one: the authority wants it replaced from" in (said := capsys.readouterr().out)
    assert "see https://authority.example/incident" in said


def test_each_is_asked_about_under_its_own_name(
    make: MakeLineage, replace: Replace, authority: Authority
) -> None:
    """A stranger's answer would be about another one."""
    certificate = make("one") / "live/one/cert.pem"
    replace()
    identifier = replacement.identifier(x509.load_pem_x509_certificate(certificate.read_bytes()))
    assert authority.asked == [f"/information/{identifier}"]


def test_before_its_window_a_certificate_stays(
    make: MakeLineage, replace: Replace, commands: Path, authority: Authority
) -> None:
    """Authorities count; and once the window is open, nobody waits until it may be too late."""
    make("one")
    authority.window = ((NOW + HOUR).isoformat(), (NOW + 2 * HOUR).isoformat())
    assert replace()
    assert commands.read_text() == ""
    authority.window = ((NOW - HOUR).isoformat(), (NOW + HOUR).isoformat())
    assert replace()
    assert commands.read_text() != ""


def test_who_wants_all_replaced_always_is_heeded_once_a_day(
    make: MakeLineage,
    replace: Replace,
    commands: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The new certificate is asked about as well, so that an authority in error would never have enough."""
    make("one")
    replaced = tmp_path / "state/one"
    assert replace()
    for ago, times in ((timedelta(hours=23), 1), (timedelta(hours=24), 2)):
        os.utime(replaced, 2 * ((NOW - ago).timestamp(),))
        assert replace()
        assert len(commands.read_text().splitlines()) == times
    assert "stays for now" in capsys.readouterr().out


def test_what_failed_is_said_and_tried_again(
    make: MakeLineage, replace: Replace, commands: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the next run, not only after a day; and it keeps no other from being replaced."""
    make("fails")
    make("one")
    for _ in range(2):
        assert not replace()
    asked = [command.split()[2] for command in commands.read_text().splitlines()]
    assert asked == ["fails", "one", "fails"]
    assert "-e certbot_force_renewal=fails" in capsys.readouterr().out


def test_only_ours_are_asked_about(
    make: MakeLineage,
    replace: Replace,
    commands: Path,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The operator's own certificates are the operator's; retired ones are renewed no more."""
    make("mail", hook="systemctl reload postfix")
    renewal = make("two") / "renewal/two.conf"
    renewal.rename(renewal.with_name("two.conf.retired"))
    assert replace()
    assert (authority.asked, commands.read_text(), capsys.readouterr().out) == ([], "", "")


def test_an_authority_without_such_information_is_not_talked_about(
    make: MakeLineage,
    replace: Replace,
    commands: Path,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It will not have any tomorrow either: the log is for what the operator can mend."""
    authority.directory = {}
    make("one")
    assert replace()
    assert (commands.read_text(), capsys.readouterr().out) == ("", "")


@pytest.mark.parametrize(
    "window",
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("soon", "later"),
        (None, None),
    ],
    ids=["ends before it starts", "of no time zone", "no time", "nothing"],
)
def test_an_answer_that_is_none_is_said_and_changes_nothing(
    make: MakeLineage,
    replace: Replace,
    commands: Path,
    authority: Authority,
    window: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """RFC 9773, 4.2: as if there had been no answer."""
    make("one")
    authority.window = window
    assert replace()
    assert commands.read_text() == ""
    assert "does not say whether it wants the certificate replaced" in capsys.readouterr().out


def test_an_authority_that_is_down_keeps_no_other_from_being_heeded(
    make: MakeLineage, replace: Replace, commands: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each certificate is asked about where it came from; the ordinary renewal has the time until it ends."""
    make("one", server="https://localhost:1/directory")
    make("two")
    assert replace()
    assert commands.read_text() == "renew --cert-name two --force-renewal\n"
    assert "one: https://localhost:1/directory does not say" in capsys.readouterr().out


def test_an_authority_that_nobody_vouches_for_is_not_believed(
    make: MakeLineage, replace: Replace, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is in between could else use up what the real one grants."""
    make("one")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert replace()
    assert commands.read_text() == ""


@pytest.mark.parametrize(("name", "status"), [("one", 0), ("fails", 1)])
def test_a_replacement_that_failed_is_a_failed_unit(
    make: MakeLineage,
    replace: Replace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
) -> None:
    """Nobody reads the log of what succeeded."""
    monkeypatch.setattr(replacement, "CONFIGURATION", make(name))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr("sys.argv", ["replacement", HOOK, str(tmp_path / "certbot"), "renew"])
    assert replacement.main() == status
