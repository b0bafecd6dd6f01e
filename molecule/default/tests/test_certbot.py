"""The certificates, seen from outside, and who looks after them on the host."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from tests.harness.outside import Outside, authority

GROUP = "edge"
SCENARIO = Path(__file__).resolve().parents[1]
APPS = ("observatory", "second")
RENEWAL = "/etc/letsencrypt/renewal/observatory.conf"
RELOAD_SECONDS = 5.0
HOOK = "/usr/local/sbin/farrier-certificate-deployed"


@pytest.fixture
def outside(variables: dict[str, Any]) -> Outside:
    """Return a client of the host."""
    return Outside(variables["ansible_host"], authority(SCENARIO))


@pytest.fixture
def domains(variables: dict[str, Any]) -> dict[str, str]:
    """Return the name of each app on the host."""
    return dict(zip(APPS, variables["lab_edge_domains"], strict=True))


def shown(outside: Outside, domain: str) -> dict[str, Any]:
    """Return the certificate that the world sees; one that the lab's authority did not sign fails here."""
    with outside.tls(domain) as secured:
        certificate = secured.getpeercert()
    assert certificate
    return dict(certificate)


@pytest.mark.parametrize("app", APPS)
def test_certificate_bears_the_apps_names_and_no_others(
    outside: Outside, domains: dict[str, str], app: str
) -> None:
    """A name too few is a warning in the browser, one of another app tells who lives here."""
    assert shown(outside, domains[app])["subjectAltName"] == (("DNS", domains[app]),)


@pytest.mark.parametrize("app", APPS)
def test_certificate_is_ecdsa(host: Host, app: str) -> None:
    """P-256 is what every client takes and the cheapest handshake."""
    text = host.check_output(f"openssl x509 -noout -text -in /etc/farrier/tls/{app}/fullchain.pem")
    assert "ASN1 OID: prime256v1" in text


def test_keys_are_roots_alone(host: Host) -> None:
    """nginx's workers, the apps and everyone else on the host have no business with them."""
    keys = host.check_output("find /etc/farrier/tls /etc/letsencrypt -type f -name '*key*'").splitlines()
    assert len(keys) >= 2 * len(APPS)
    for key in keys:
        file = host.file(key)
        assert (file.user, file.mode & 0o077) == ("root", 0), key
    for reader in ("www-data", *APPS):
        for app in APPS:
            as_reader = f"setpriv --reuid={reader} --regid={reader} --init-groups --"
            read = host.run(f"{as_reader} cat /etc/farrier/tls/{app}/privkey.pem")
            assert read.failed, f"{reader} can read the key of {app}"


def test_webroot_holds_only_challenges(host: Host) -> None:
    """What lies there is shown to the world in clear; between two challenges that is nothing."""
    assert host.check_output("find /var/www/farrier-acme -type f") == ""


def test_renewal_runs_by_itself(host: Host) -> None:
    """The certificate of a site that nobody looks after still ends one day."""
    timer = host.service("certbot.timer")
    assert timer.is_enabled
    assert timer.is_running
    assert "RandomizedDelayUSec=12h" in host.check_output(
        "systemctl show --property=RandomizedDelayUSec certbot.timer"
    )


def test_renewed_certificate_goes_live_without_a_restart(
    host: Host, outside: Outside, domains: dict[str, str]
) -> None:
    """By the timer's own service, which has no one's environment: the authority, the hook and the reload."""
    main_process = "systemctl show --property=MainPID --value nginx.service"
    before, process = shown(outside, domains["observatory"]), host.check_output(main_process)
    due = "s/^#* *renew_before_expiry = .*/renew_before_expiry = 99999 days/"
    host.check_output(f"cp {RENEWAL} /root/renewal.conf && sed -i '{due}' {RENEWAL}")
    try:
        host.check_output("systemctl start certbot.service")
    finally:
        host.check_output(f"mv /root/renewal.conf {RENEWAL}")
    deadline = time.monotonic() + RELOAD_SECONDS
    while shown(outside, domains["observatory"])["serialNumber"] == before["serialNumber"]:
        assert time.monotonic() < deadline, "the new certificate is not shown"
        time.sleep(0.1)
    assert host.check_output(main_process) == process
    log = host.check_output("journalctl --identifier=farrier-certificate")
    assert "observatory: the web server has a new certificate" in log


def test_hook_says_when_the_web_server_refuses(host: Host, outside: Outside, domains: dict[str, str]) -> None:
    """A certificate that is renewed on the disk and never shown would be noticed when the old one ends."""
    lineage = "/etc/letsencrypt/live/observatory"
    host.check_output("echo 'no such directive;' > /etc/nginx/conf.d/broken.conf")
    try:
        refused = host.run(f"RENEWED_LINEAGE={lineage} {HOOK}")
        assert refused.failed
        assert shown(outside, domains["observatory"])
    finally:
        host.check_output("rm /etc/nginx/conf.d/broken.conf")
    errors = host.check_output("journalctl --identifier=farrier-certificate --priority=err")
    assert "observatory: the web server did not take up the new certificate" in errors
    host.check_output(f"RENEWED_LINEAGE={lineage} {HOOK}")
