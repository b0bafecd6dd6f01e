"""The web server, seen from outside and by its effects on the host."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from websockets.sync.client import connect

from tests.harness.deploys import run
from tests.harness.outside import Answer, Outside, authority

GROUP = "edge"
SCENARIO = Path(__file__).resolve().parents[1]
STATIC = "/srv/observatory/current/source/src/observatory/static"
ACCESS_LOG = "/var/log/nginx/access.log"
LOG_DELAY_SECONDS = 5.0
EXPOSURE_LIMIT = 3.0
TLS_VERSIONS = {"intermediate": ("-tls1_2", "-tls1_3"), "modern": ("-tls1_3",)}


@pytest.fixture
def outside(variables: dict[str, Any]) -> Outside:
    """Return a client of the host."""
    return Outside(variables["ansible_host"], authority(SCENARIO))


@pytest.fixture
def domain(variables: dict[str, Any]) -> str:
    """Return the first app's name on the host."""
    return str(variables["lab_edge_domains"][0])


def logged(host: Host, request_id: str) -> dict[str, Any]:
    """Return the access log's entry of a request; nginx writes it with a delay of a second at most."""
    deadline = time.monotonic() + LOG_DELAY_SECONDS
    while not (found := host.run(f"grep --fixed-strings {request_id} {ACCESS_LOG}").stdout):
        assert time.monotonic() < deadline, f"{request_id} is not in {ACCESS_LOG}"
        time.sleep(0.1)
    return dict(json.loads(found))


@contextmanager
def broken_configuration(host: Host) -> Iterator[None]:
    """Put a file that nginx refuses among its configuration for a while."""
    host.check_output("echo 'no such directive;' > /etc/nginx/conf.d/broken.conf")
    try:
        yield
    finally:
        host.check_output("rm /etc/nginx/conf.d/broken.conf")


def test_http_leads_to_https(outside: Outside, domain: str) -> None:
    """Who types the bare name must end up encrypted, at the page that was asked for."""
    answer = outside.http(domain, "/notes?limit=1")
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{domain}/notes?limit=1"


def test_challenges_are_answered_in_clear(host: Host, outside: Outside, domain: str) -> None:
    """The authority asks on port 80 and must not be sent elsewhere, nor see more than challenges."""
    challenges = "/.well-known/acme-challenge"
    host.check_output(f"mkdir -p /var/www/farrier-acme{challenges}")
    host.check_output(f"echo proof > /var/www/farrier-acme{challenges}/test-token")
    try:
        assert outside.http(domain, f"{challenges}/test-token").body == b"proof\n"
        assert outside.http(domain, f"{challenges}/").status == 403
        assert outside.http(domain, f"{challenges}/unknown").status == 404
    finally:
        host.check_output(f"rm /var/www/farrier-acme{challenges}/test-token")


@pytest.mark.parametrize("name", ["unknown.lab.test", "10.77.77.1"])
def test_unknown_names_get_nothing_in_clear(outside: Outside, name: str) -> None:
    """Scanners that go by address must not learn what runs here."""
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        outside.http(name)


@pytest.mark.parametrize("name", ["unknown.lab.test", None])
def test_unknown_names_get_no_certificate(outside: Outside, name: str | None) -> None:
    """A certificate would tell a scanner the names of the apps."""
    trusting = ssl._create_unverified_context()
    with pytest.raises(ssl.SSLError, match="unrecognized name"), outside.tls(name, trusting):
        pass


def test_a_known_certificate_does_not_open_an_unknown_name(outside: Outside, domain: str) -> None:
    """Another name in the header than in the handshake is the usual way around a catch-all."""
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        outside.https(domain, host="unknown.lab.test")


def test_http2_is_spoken(outside: Outside, domain: str) -> None:
    """The directive differs between the distributions' versions, and a wrong one is only a warning."""
    assert outside.speaks_http2(domain)


@pytest.mark.parametrize("version", ["-tls1_1", "-tls1_2", "-tls1_3"])
def test_old_tls_is_refused(host: Host, domain: str, variables: dict[str, Any], version: str) -> None:
    """Mozilla's guidelines begin at TLS 1.2, or at 1.3 where asked; OpenSSL's own defaults need not."""
    accepted = version in TLS_VERSIONS[variables.get("nginx_tls_profile", "intermediate")]
    client = "openssl s_client -connect 127.0.0.1:443 -cipher ALL:@SECLEVEL=0"  # else this side would refuse
    handshake = host.run(f"{client} {version} -servername {domain} </dev/null")
    assert handshake.succeeded == accepted
    assert accepted or "alert protocol version" in handshake.stderr


def test_browsers_insist_on_https_where_it_was_asked_for(
    outside: Outside, domain: str, variables: dict[str, Any]
) -> None:
    """And nowhere else: nothing takes it back before its time."""
    seconds = variables.get("nginx_hsts_max_age_seconds", 0)
    header = outside.https(domain, "/version").headers["Strict-Transport-Security"]
    assert header == (f"max-age={seconds}" if seconds else None)


def test_forged_headers_do_not_get_in(outside: Outside, domain: str) -> None:
    """The app believes what nginx says of the client; so a client must not be able to say it."""
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Server": "evil.example",
        "X-Real-IP": "6.6.6.6",
        "X-Request-ID": "forged",
        "Forwarded": "for=6.6.6.6",
    }
    believed = json.loads(outside.https(domain, "/client", headers=forged).body)
    assert believed["scheme"] == "https"
    assert believed["client"] == believed["headers"]["x-forwarded-for"] == believed["headers"]["x-real-ip"]
    told = json.dumps(believed)
    for lie in ("6.6.6.6", "gopher", "evil", "forged"):
        assert lie not in told
    assert believed["headers"]["host"] == domain


def test_request_id_joins_client_app_and_log(host: Host, outside: Outside, domain: str) -> None:
    """A user who quotes the id of a failed request must lead to its lines on both sides."""
    answer = outside.https(domain, "/client?probe=id")
    request_id = answer.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert json.loads(answer.body)["headers"]["x-request-id"] == request_id
    entry = logged(host, request_id)
    assert entry["app"] == "observatory"
    assert entry["uri"] == "/client?probe=id"
    assert entry["status"] == 200
    assert entry["release"] == answer.headers["X-Release"]
    assert float(entry["upstream_seconds"]) <= entry["request_seconds"] + 0.001


def test_events_come_when_they_happen(outside: Outside, domain: str) -> None:
    """The stream goes on for an hour: a proxy that waits for a full buffer would show nothing for minutes."""
    assert outside.first_line(domain, "/events", b"data:")


def test_websockets_pass(outside: Outside, domain: str) -> None:
    """An upgrade needs HTTP/1.1 and two headers that proxies drop by default."""
    there = socket.create_connection((outside.address, 443))
    with connect(f"wss://{domain}/ws", sock=there, ssl=outside.context()) as connection:
        connection.send("hello")
        assert json.loads(connection.recv())["echo"] == "hello"


def test_body_may_be_as_large_as_the_inventory_says(outside: Outside, domain: str) -> None:
    """nginx's own limit of 1 MB surprises; no limit fills the disk."""
    megabyte = bytes(1024 * 1024)
    assert outside.https(domain, "/echo", method="POST", body=megabyte * 9).status == 200
    assert outside.https(domain, "/echo", method="POST", body=megabyte * 11).status == 413


def test_static_files_come_from_nginx(outside: Outside, domain: str) -> None:
    """Workers have better things to do; and a file of the last release must not be shown after the next."""
    answer = outside.https(domain, "/static/observatory.css")
    assert answer.status == 200
    assert answer.headers["X-Release"] is None, "the app answered"
    assert answer.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": answer.headers["ETag"]}
    assert outside.https(domain, "/static/observatory.css", headers=known).status == 304


@pytest.mark.parametrize("path", ["/static/../main.py", "/static/%2e%2e/main.py", "/static/..%2fmain.py"])
def test_static_files_are_all_that_is_shown(outside: Outside, domain: str, path: str) -> None:
    """The release's code lies beside the files."""
    assert outside.https(domain, path).status in (403, 404)


def test_a_link_in_a_release_leads_nowhere_else(host: Host, outside: Outside, domain: str) -> None:
    """Who can put a link into a package must not read the host's files with it."""
    link = f"{STATIC}/test-link"
    host.check_output(f"ln -s /etc/hostname {link} && chown -h observatory-build {link}")
    try:
        assert outside.https(domain, "/static/test-link").status == 403
    finally:
        host.check_output(f"rm {link}")


@pytest.mark.parametrize("path", ["/version", "/static/observatory.css", "/static/none", "/none"])
def test_security_headers_are_set(outside: Outside, domain: str, path: str) -> None:
    """One `add_header` in a location drops all those of the server: each kind of answer is looked at."""
    headers = outside.https(domain, path).headers
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_all("X-Frame-Options") == ["SAMEORIGIN"]
    assert headers.get_all("Referrer-Policy") == ["strict-origin-when-cross-origin"]


def test_server_does_not_tell_its_version(outside: Outside, domain: str) -> None:
    """Versions are what lists of vulnerable hosts are made from."""
    assert outside.https(domain, "/version").headers.get_all("Server") == ["nginx"]


def test_text_is_compressed(outside: Outside, domain: str) -> None:
    """Both what the app answers and what nginx reads from the disk, for who asks for it."""
    for path in ("/", "/static/observatory.css"):
        plain: Answer = outside.https(domain, path)
        packed = outside.https(domain, path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip", path
        assert gzip.decompress(packed.body) == plain.body, path


def test_broken_configuration_is_never_loaded(host: Host, outside: Outside, domain: str) -> None:
    """A typo by hand must fail the reload, not the site."""
    with broken_configuration(host):
        assert host.run("systemctl reload nginx.service").failed
        assert outside.https(domain, "/healthz").status == 200
    host.check_output("systemctl reload nginx.service")
    assert outside.https(domain, "/healthz").status == 200


def test_configuration_has_no_warnings(host: Host) -> None:
    """A deprecated directive of today is the failed upgrade of tomorrow."""
    assert "[warn]" not in host.run("nginx -t").stderr
    assert host.run("nginx -t").succeeded


def test_sandbox_is_as_tight_as_promised(host: Host) -> None:
    """As packaged it is 9.6: whoever gets into nginx would have the host."""
    table = host.check_output("systemd-analyze security --no-pager nginx.service")
    exposure = float(table.rsplit("exposure level for", 1)[1].split(":")[1].split()[0])
    assert exposure <= EXPOSURE_LIMIT


def test_log_is_rotated_within_the_sandbox(host: Host, outside: Outside, domain: str) -> None:
    """Workers reopen the log as www-data in a sandbox: without the right to, they write into the old file."""
    host.check_output("logrotate --force /etc/logrotate.d/nginx")
    logged(host, outside.https(domain, "/version").headers["X-Request-ID"])
    log = host.file(ACCESS_LOG)
    assert (log.user, log.group, log.mode) == ("www-data", "adm", 0o640)
    assert host.service("logrotate.timer").is_enabled


def test_package_upgrades_do_not_restart_it(host: Host) -> None:
    """nginx-common asks for a restart, which refuses connections; nginx's own exchanges the program."""
    main_process = "systemctl show --property=MainPID --value nginx.service"
    before = host.check_output(main_process)
    host.check_output("deb-systemd-invoke restart nginx.service")
    assert host.check_output(main_process) == before


def test_an_app_in_maintenance_says_so(outside: Outside, variables: dict[str, Any]) -> None:
    """From one request to the next; the other app goes on, and so does this one afterwards."""
    first, second = variables["lab_edge_domains"]
    try:
        done = run(SCENARIO / "inventory", "maintenance_mode", app="second", maintenance="on")
        assert not done.failed, done.output
        answer = outside.https(second, "/version")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "300")
        assert b"Back soon" in answer.body
        assert outside.https(first, "/version").status == 200
    finally:
        done = run(SCENARIO / "inventory", "maintenance_mode", app="second", maintenance="off")
    assert not done.failed, done.output
    assert outside.https(second, "/version").status == 200
    assert outside.https(second, "/readyz").headers["Retry-After"] is None
