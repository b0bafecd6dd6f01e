"""What an app learns of a client behind a proxy, and of its own place on a domain that it shares."""

from __future__ import annotations

import json
from collections.abc import Callable

from testinfra.host import Host

Get = Callable[..., tuple[int, str]]
FORWARDED = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}


def test_a_trusted_proxy_is_believed_about_the_last_client(get: Get) -> None:
    """The one before it is the client's own word."""
    status, body = get("part", headers=FORWARDED)
    assert (status, json.loads(body)["client"]) == (200, "198.51.100.7")


def test_nobody_else_is_believed(host: Host) -> None:
    """The host itself is no proxy, nor is any other client."""
    asked = "curl -ksS --resolve plain.lab.test:443:127.0.0.1 https://plain.lab.test/part/healthz"
    answer = host.check_output(f"{asked} --header 'X-Forwarded-For: 198.51.100.7'")
    assert json.loads(answer)["client"] == "127.0.0.1"


def test_the_log_has_the_client_and_the_app(host: Host, get: Get) -> None:
    """Also where two apps share a server of nginx."""
    get("part", headers=FORWARDED)
    lines = host.check_output("sleep 1.5; tail -50 /var/log/nginx/access.log").splitlines()
    assert ("part", "198.51.100.7") in {
        (entry["app"], entry["remote_addr"]) for entry in map(json.loads, lines)
    }


def test_two_apps_share_a_domain(get: Get) -> None:
    """Each answers below its own path, and knows it."""
    assert get("plain") == (200, "plain")
    status, body = get("part")
    assert (status, json.loads(body)["url"]) == (200, "https://plain.lab.test/part/healthz")
    assert get("part", "/static/file.txt") == (200, "a file of the part\n")
    assert [get("part", path)[0] for path in ("", "/none", "/%2Fhealthz")] == [404, 404, 404]


def test_a_front_end_answers_what_the_app_does_not(get: Get) -> None:
    """A path without a file is a route of its start page; the app says itself what it does not know."""
    page = get("factory", "/")
    assert (page[0], "Front end" in page[1]) == (200, True)
    assert [get("factory", path) for path in ("/orders/17?sort=up", "/none.html")] == [page, page]
    assert "About" in get("factory", "/about")[1]
    assert get("factory", "/healthz") == (200, "factory")
    assert get("factory", "/healthz/none") == (404, "Not Found")
    assert get("factory", "/assets/app.js") == (200, 'fetch("/healthz")\n')
    assert get("factory", "/assets/none.js")[0] == 404
    assert get("factory", "/..%2fmain.py")[0] == 400


def test_one_of_them_is_in_maintenance(host: Host, get: Get) -> None:
    """The other goes on."""
    host.check_output("touch /etc/nginx/maintenance/part")
    try:
        assert (get("part")[0], get("plain")[0]) == (503, 200)
    finally:
        host.check_output("rm /etc/nginx/maintenance/part")
