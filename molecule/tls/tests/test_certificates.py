"""Certificates that come, change and fail to come; whatever happens, the site goes on with what it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)
from edges import DOMAIN, DOMAINS, SCENARIO, Edge, pem, signed_by_itself, site
from testinfra.host import Host

from tests.harness.outside import Outside, authority

ADDED = [*DOMAINS, "added.tls.lab.test"]
CHALLENGES = "/.well-known/acme-challenge"
CERTBOT = "env $(systemctl show --property=Environment --value certbot.service) certbot"
REPLACED = "/var/lib/farrier-certificate-replacement/observatory"


@contextmanager
def authority_is_down(judge: Host) -> Iterator[None]:
    """Nobody answers at the authority's address; Pebble then comes back as another one, as it always does."""
    judge.check_output("systemctl stop pebble.service")
    try:
        yield
    finally:
        judge.check_output("systemctl start pebble.service")
        root = judge.check_output(
            "curl --silent --retry 20 --retry-connrefused -k https://localhost:15000/roots/0"
        )
        authority(SCENARIO).write_text(f"{root}\n")


def test_each_edge_has_a_certificate_of_its_own(edges: dict[str, Edge]) -> None:
    """Private keys do not travel; and each was validated although the name leads to one of the two first."""
    for edge in edges.values():
        assert edge.names() == sorted(DOMAINS)
        assert edge.outside.https(DOMAIN, "/version").status == 200  # the authority is the lab's
    assert len({edge.certificate().serial_number for edge in edges.values()}) == len(edges)


def test_challenge_on_the_wrong_edge_is_passed_on(edges: dict[str, Edge]) -> None:
    """And only once: what neither knows is not asked back and forth."""
    place = f"/var/www/farrier-acme{CHALLENGES}"
    for owner in edges.values():
        owner.host.check_output(f"mkdir -p {place} && echo of {owner.name} > {place}/token")
        try:
            for edge in edges.values():
                assert edge.outside.http(DOMAIN, f"{CHALLENGES}/token").body == f"of {owner.name}\n".encode()
        finally:
            owner.host.check_output(f"rm {place}/token")
    for edge in edges.values():
        assert edge.outside.http(DOMAIN, f"{CHALLENGES}/nobodys").status == 404


def test_a_domain_comes_and_goes_under_load(edge: Edge) -> None:
    """No client notices, and nothing else is issued anew."""
    with edge.load("tls_domains") as load:
        load.wait_for_requests(200)
        before = edge.certificate().serial_number
        for label, domains in (("added", ADDED), ("removed", list(DOMAINS))):
            load.mark(label)
            done = edge.site(tls_domains=domains)
            assert not done.failed, done.output
            assert edge.names() == sorted(domains)
            after = edge.certificate().serial_number
            assert after != before
            before = after
        load.mark("renewal")
        edge.host.check_output(
            f"{CERTBOT} renew --cert-name observatory --force-renewal --no-random-sleep-on-renew"
        )
        assert edge.certificate().serial_number != before
        load.mark("nothing to do")
        done = edge.site()
        assert "changed=0" in done.output, done.output
        report = load.stop()
    print(report)
    assert report.failed == 0, report.failures


def test_an_authority_that_is_down_takes_nothing_down(edge: Edge, judge: Host) -> None:
    """The play says so at its end, in the authority's own words or certbot's; the next run goes on."""
    before = edge.certificate().serial_number
    with authority_is_down(judge):
        done = edge.site(tls_domains=ADDED)
        assert done.failed
        assert "https://acme.lab.test:14000/dir" in done.output
        assert "Connection refused" in done.output
        assert edge.certificate().serial_number == before
        assert edge.outside.https(DOMAIN, "/version").status == 200
    # It has forgotten the account, which is had anew.
    done = edge.site(tls_domains=ADDED)
    assert not done.failed, done.output
    assert edge.names() == sorted(ADDED)


def test_a_certificate_is_replaced_on_request(edges: dict[str, Edge]) -> None:
    """As after its key has leaked; here, after its authority has become another one."""
    before = {name: edge.certificate().serial_number for name, edge in edges.items()}
    done = site("nginx,certbot", certbot_force_renewal=["observatory"])
    assert not done.failed, done.output
    for name, edge in edges.items():
        assert edge.certificate().serial_number != before[name]
        assert edge.outside.https(DOMAIN, "/version").status == 200


def test_a_revoked_certificate_is_replaced_by_itself(edges: dict[str, Edge]) -> None:
    """By the service of certbot's timer, on every Debian; an authority that revokes each gets one a day."""
    for edge in edges.values():
        edge.host.check_output(f"rm -f {REPLACED}")
        first = _revoked(edge)
        edge.host.check_output("systemctl start certbot.service")
        assert edge.certificate().serial_number != first
        assert edge.outside.https(DOMAIN, "/version").status == 200
        second = _revoked(edge)
        edge.host.check_output("systemctl start certbot.service")
        assert edge.certificate().serial_number == second
        edge.host.check_output(f"touch --date='25 hours ago' {REPLACED}")
        edge.host.check_output("systemctl start certbot.service")
        assert edge.certificate().serial_number != second
        log = edge.host.check_output("journalctl --unit=farrier-certificate-replacement --output=cat")
        assert "observatory: the authority wants it replaced" in log
        assert "stays for now" in log


def _revoked(edge: Edge) -> int:
    edge.host.check_output(
        f"{CERTBOT} revoke --non-interactive --no-delete-after-revoke --cert-name observatory"
        " --reason keycompromise"
    )
    return edge.certificate().serial_number


def test_an_authority_that_refuses_is_quoted(edge: Edge) -> None:
    """Its problem document says what to do better than any message of ours."""
    before = edge.certificate().serial_number
    done = edge.site(tls_domains=[*DOMAINS, "refused.test"])
    assert done.failed
    for text in (
        "app observatory:",
        "rejectedIdentifier",
        "refused.test",
        "The sites go on with what they have",
    ):
        assert text in done.output, done.output
    assert edge.certificate().serial_number == before


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "wrong.tls.lab.test does not resolve on this host"),
        ("10.77.77.63 wrong.tls.lab.test", "wrong.tls.lab.test (10.77.77.63) cannot be reached"),
    ],
    ids=["no address", "address of another host"],
)
def test_a_domain_that_leads_elsewhere_is_found_before_the_authority_is_asked(
    edge: Edge, line: str, problem: str
) -> None:
    """Authorities count failures, and lock out who has too many."""
    before = edge.certificate().serial_number
    edge.host.check_output(f"cp /etc/hosts /root/hosts && echo '{line}' >> /etc/hosts")
    try:
        done = edge.site(tls_domains=[*DOMAINS, "wrong.tls.lab.test"])
    finally:
        edge.host.check_output("cat /root/hosts > /etc/hosts")
    assert done.failed
    for text in ("app observatory:", problem, "Point the name's A and AAAA records to this host"):
        assert text in done.output, done.output
    assert edge.certificate().serial_number == before


def test_an_expired_certificate_is_replaced(edge: Edge) -> None:
    """As after a year in which the host was off."""
    directory = "/etc/letsencrypt/live/observatory"
    key = load_pem_private_key(edge.host.check_output(f"cat {directory}/privkey.pem").encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    expired = pem(signed_by_itself(key, timedelta(days=-1)))
    for file in ("cert.pem", "fullchain.pem"):
        edge.host.check_output(f"cat > {directory}/{file} <<'EOF'\n{expired}EOF")
    edge.host.check_output("systemctl reload nginx.service")
    now = datetime.now(UTC)
    assert edge.certificate().not_valid_after_utc < now
    done = edge.site()
    assert not done.failed, done.output
    assert edge.certificate().not_valid_after_utc > now
    assert edge.outside.https(DOMAIN, "/version").status == 200


def test_a_certificate_of_ones_own(edges: dict[str, Edge], own: dict[str, str]) -> None:
    """The same one on every edge, its key for root's eyes only, and out of every message."""
    key = Path(own["privkey"]).read_text().splitlines()[1]
    done = site("nginx,certbot", tls_certificate=own)
    assert not done.failed, done.output
    assert key not in done.output
    brought = x509.load_pem_x509_certificate(Path(own["fullchain"]).read_bytes())
    for edge in edges.values():
        assert edge.certificate() == brought
        kept = edge.host.check_output("stat --format '%a %U' /etc/farrier/tls/observatory/privkey.pem")
        assert kept == "600 root"
        # certbot has no business with it any more.
        assert not edge.host.file("/etc/letsencrypt/renewal/observatory.conf").exists
    done = site("nginx,certbot", tls_certificate=own)
    assert done.output.count("changed=0") == len(edges), done.output


def test_a_key_of_another_certificate_is_refused(edge: Edge, own: dict[str, str]) -> None:
    """Before any host is touched: nginx would refuse to reload with it."""
    before = edge.certificate()
    Path(own["privkey"]).write_text(pem(ec.generate_private_key(ec.SECP256R1())))
    done = edge.site(tls_certificate=own)
    assert done.failed
    for text in (
        "key certificate.privkey",
        "does not belong to the certificate in fullchain",
        "no host was touched",
    ):
        assert text in done.output, done.output
    assert edge.certificate() == before


def test_from_self_signed_to_the_authoritys_under_load(edge: Edge, tmp_path: Path) -> None:
    """How a site is tried out before its name leads to it; clients trust both for the moment."""
    done = edge.site(tls_certificate={"source": "self_signed"})
    assert not done.failed, done.output
    before = edge.certificate()
    assert (before.issuer, edge.names()) == (before.subject, sorted(DOMAINS))
    both = tmp_path / "both.pem"
    both.write_text(pem(before) + authority(SCENARIO).read_text())
    with edge.load("tls_switch", ca=both) as load:
        load.wait_for_requests(200)
        done = edge.site()
        assert not done.failed, done.output
        assert edge.certificate() != before
        load.wait_for_requests(200)
        report = load.stop()
    print(report)
    assert report.failed == 0, report.failures


def test_a_certificate_of_mkcert(
    edges: dict[str, Edge], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_a_while: None
) -> None:
    """What a developer's browser is shown: the names and the authority are right, on every edge."""
    monkeypatch.setenv("CAROOT", str(tmp_path / "authority"))
    variables = {"tls_certificate": {"source": "mkcert"}, "nginx_mkcert_cache": str(tmp_path / "cache")}
    done = site("nginx,certbot", **variables)
    assert not done.failed, done.output
    assert "the local CA is not installed" in done.output
    shown = {edge.certificate() for edge in edges.values()}
    assert len(shown) == 1
    for edge in edges.values():
        assert edge.names() == sorted(DOMAINS)
        trusting = Outside(edge.address, tmp_path / "authority/rootCA.pem")
        assert trusting.https(DOMAIN, "/version").status == 200
        kept = edge.host.check_output("stat --format '%a %U' /etc/farrier/tls/observatory/privkey.pem")
        assert kept == "600 root"
    assert (tmp_path / "cache/observatory/privkey.pem").stat().st_mode & 0o077 == 0
    done = site("nginx,certbot", **variables)
    assert done.output.count("changed=0") == len(edges), done.output
    assert {edge.certificate() for edge in edges.values()} == shown


def test_a_wildcard_by_dns(edges: dict[str, Edge]) -> None:
    """Proven where the names are, so that it matters to nobody where they lead."""
    done = site("nginx,certbot", tls_domains=[DOMAIN, "*.tls.lab.test"], tls_certificate={"challenge": "dns"})
    assert not done.failed, done.output
    for edge in edges.values():
        assert edge.names() == ["*.tls.lab.test", DOMAIN]
        answer = edge.outside.https("anything.tls.lab.test", "/version")
        assert (answer.status, answer.headers["Location"]) == (308, f"https://{DOMAIN}/version")
    done = site("nginx,certbot")
    assert not done.failed, done.output
    assert edge.names() == sorted(DOMAINS)


def test_from_nothing_to_a_certificate(edge: Edge) -> None:
    """How long a site waits for its first one; the number is printed."""
    edge.host.check_output("certbot delete --non-interactive --cert-name observatory")
    done = edge.site()
    assert not done.failed, done.output
    print(f"from no certificate to one: {done.seconds:.1f} s of site.yml --tags nginx,certbot")
    assert edge.names() == sorted(DOMAINS)
