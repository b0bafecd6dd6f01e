"""What the inventory says of places: who may come in, how often, what is repeated, what is sent elsewhere."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path

import pytest
from edges import DOMAIN, Edge, site
from testinfra.host import Host

from tests.harness.outside import Answer

STREAM = {"Accept": "text/event-stream"}


def basic(password: str) -> dict[str, str]:
    """The header of somebody with a password."""
    return {"Authorization": f"Basic {base64.b64encode(f'ann:{password}'.encode()).decode()}"}


@pytest.fixture(params=["edge-a", "edge-b"])
def edge(request: pytest.FixtureRequest, edges: dict[str, Edge]) -> Edge:
    """Each edge: their nginx are years apart."""
    return edges[request.param]


def statuses(asked_by: Edge, of: Edge, path: str, number: int) -> Counter[str]:
    """Ask an edge from another host, which is a client like any other, and count the answers by status."""
    url = f"https://{DOMAIN}{path}?[1-{number}]"
    command = (
        f"curl -sk --parallel --resolve {DOMAIN}:443:{of.address} -o /dev/null -w '%{{http_code}}\\n' '{url}'"
    )
    return Counter(asked_by.host.check_output(command).splitlines())


def logged(edge: Edge, answer: Answer) -> dict[str, object]:
    """The access log's entry of a request; nginx writes it within a second."""
    edge.host.check_output("sleep 1.5")
    found = edge.host.check_output(f"grep {answer.headers['X-Request-ID']} /var/log/nginx/access.log")
    return dict(json.loads(found))


def test_other_names_are_sent_to_the_first(edge: Edge) -> None:
    """With path and query, whatever the method, and by a certificate that has the name."""
    answer = edge.outside.https("www.tls.lab.test", "/notes?limit=1", method="POST", body=b"{}")
    assert answer.status == 308
    assert answer.headers["Location"] == f"https://{DOMAIN}/notes?limit=1"
    assert logged(edge, answer)["app"] == "observatory"


@pytest.mark.parametrize("headers", [{}, STREAM], ids=["plain", "as a stream"])
def test_a_place_lets_in_whom_it_is_for(edge: Edge, judge: Host, headers: dict[str, str]) -> None:
    """By address; and who asks for events is no exception."""
    for path in ("/client", "/client/", "//client", "/%63lient", "/x/../client"):
        assert edge.outside.https(DOMAIN, path, headers=headers).status == 403, path
    assert edge.outside.https(DOMAIN, "/clients", headers=headers).status == 404
    resolve = f"--resolve {DOMAIN}:443:{edge.address}"
    allowed = judge.check_output(
        f"curl -sk {resolve} -o /dev/null -w '%{{http_code}}' https://{DOMAIN}/client"
    )
    assert allowed == "200"


@pytest.mark.parametrize("headers", [{}, STREAM], ids=["plain", "as a stream"])
def test_a_place_asks_for_a_password(edge: Edge, headers: dict[str, str]) -> None:
    """Which nobody but nginx can read on the host, and only as a hash."""
    answer = edge.outside.https(DOMAIN, "/metrics", headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="observatory"'
    assert edge.outside.https(DOMAIN, "/metrics", headers=headers | basic("sesame")).status == 401
    assert edge.outside.https(DOMAIN, "/metrics", headers=headers | basic("open sesame")).status == 200
    files = edge.host.check_output("find /etc/nginx/users -type f -printf '%m %u %g\\n'").splitlines()
    assert files == ["640 root www-data"]


def test_passwords_go_with_their_place(edges: dict[str, Edge]) -> None:
    """Hashes that nothing uses are only there to be found; the operator's own files stay."""
    users = {name: edge.host.check_output("ls /etc/nginx/users") for name, edge in edges.items()}
    for edge in edges.values():
        edge.host.check_output("touch /etc/nginx/users/gone-0a1b2c3d /etc/nginx/users/mine")
    try:
        done = site("nginx")
        assert not done.failed, done.output
        for name, edge in edges.items():
            assert edge.host.check_output("ls -I mine /etc/nginx/users") == users[name]
            assert edge.host.file("/etc/nginx/users/mine").exists
    finally:
        for edge in edges.values():
            edge.host.check_output("rm -f /etc/nginx/users/gone-0a1b2c3d /etc/nginx/users/mine")


def test_a_client_that_asks_too_often_is_told_so(edges: dict[str, Edge], edge: Edge) -> None:
    """Five a second and ten in a burst; other places of the site are not its limit's business."""
    client = next(other for other in edges.values() if other != edge)
    seen = statuses(client, edge, "/healthz", 60)
    assert seen["429"] >= 30
    assert seen["200"] >= 5
    assert statuses(client, edge, "/version", 60) == Counter({"200": 60})


def test_a_client_that_has_no_limit_has_none(edge: Edge) -> None:
    """A monitoring system that is locked out raises a false alarm."""
    seen = Counter(edge.outside.https(DOMAIN, "/healthz").status for _ in range(60))
    assert seen == Counter({200: 60})


def test_bodies_are_as_large_as_their_place_allows(edge: Edge) -> None:
    """One MB for echoes, ten for the rest; refused before the app sees a byte."""
    body = bytes(1_100_000)
    assert edge.outside.https(DOMAIN, "/echo", method="POST", body=body).status == 413
    assert edge.outside.https(DOMAIN, "/echo", method="POST", body=body[:1_000_000]).status == 200
    assert edge.outside.https(DOMAIN, "/notes", method="POST", body=body).status == 422


def test_answers_are_repeated_for_a_moment(edge: Edge) -> None:
    """To everybody but those with a cookie or a password: their answers may be theirs alone."""
    asked = [edge.outside.https(DOMAIN, "/readyz").headers["X-Cache"] for _ in range(5)]
    assert "HIT" in asked
    for headers in ({"Cookie": "session=1"}, {"Authorization": "Bearer 1"}):
        assert edge.outside.https(DOMAIN, "/readyz", headers=headers).headers["X-Cache"] == "BYPASS"
    assert edge.outside.https(DOMAIN, "/version").headers["X-Cache"] is None


def test_files_that_never_change_are_kept(edge: Edge) -> None:
    """And those that may are asked for again."""
    immutable = "/srv/observatory/current/source/src/observatory/static/immutable"
    edge.host.check_output(f"mkdir -p {immutable} && echo 1 > {immutable}/app-0a1b2c.js")
    answer = edge.outside.https(DOMAIN, "/static/immutable/app-0a1b2c.js")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert edge.outside.https(DOMAIN, "/static/observatory.css").headers["Cache-Control"] == "no-cache"


def test_snippet_is_part_of_the_site(edge: Edge) -> None:
    """The way out for what the inventory has no word for."""
    assert edge.outside.https(DOMAIN, "/robots.txt").body.startswith(b"User-agent")


def test_snippet_with_a_mistake_goes_nowhere(edges: dict[str, Edge], tmp_path: Path) -> None:
    """Tested as part of the whole; the message has the line, and whose it is."""
    broken = tmp_path / "broken.conf"
    broken.write_text("location = /robots.txt {\n    retrun 200;\n}\n")
    before = {
        name: edge.host.check_output("sha256sum /etc/nginx/farrier/*/*") for name, edge in edges.items()
    }
    done = site("nginx", tls_snippet=str(broken))
    assert done.failed
    for text in ('unknown directive "retrun"', "retrun 200;", "correct the settings of observatory"):
        assert text in done.output, done.output
    for name, edge in edges.items():
        assert edge.host.check_output("sha256sum /etc/nginx/farrier/*/*") == before[name]
        assert edge.outside.https(DOMAIN, "/robots.txt").status == 200


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"nginx_tls_profile": "old"}, "value of nginx_tls_profile must be one of: intermediate, modern"),
        ({"tls_snippet": "/no/such/file.conf"}, "key edge.snippet"),
        ({"tls_domains": ["10.77.77.61"]}, "is an IP address"),
        ({"tls_domains": ["*.tls.lab.test"]}, "is a wildcard"),
    ],
    ids=["profile", "snippet", "address", "wildcard"],
)
def test_mistakes_in_the_inventory_are_refused(variables: dict[str, object], problem: str) -> None:
    """By name, and before anything is changed."""
    done = site("nginx", **variables)
    assert done.failed
    assert problem in done.output, done.output
    assert "changed=0" in done.output or "no host was touched" in done.output


def test_a_request_has_one_name_everywhere(edge: Edge) -> None:
    """In the answer, in the app, and in the log."""
    answer = edge.outside.https(DOMAIN, "/version")
    entry = logged(edge, answer)
    assert (entry["uri"], entry["status"]) == ("/version", 200)
