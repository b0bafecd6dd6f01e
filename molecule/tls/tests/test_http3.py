"""HTTP/3: spoken where it was asked for, refused where nginx has it not, and what a reload does to it."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from edges import DOMAIN, Edge
from testinfra.host import Host

HTTP3, HTTP2 = "200 3", "200 2"
# A process that has lost a client over HTTP/3 at a reload waits for it as long as for an idle one, 65 s.
PATIENCE_SECONDS = 100.0
RELOAD_SECONDS = 12
REQUESTS = 100


def curl(edge: Edge, options: str) -> str:
    """A command that asks an edge, and prints the status and the version of HTTP."""
    return (
        f"curl -sk --max-time 3 --resolve {DOMAIN}:443:{edge.address} {options}"
        f" -o /dev/null -w '%{{http_code}} %{{http_version}}\\n' https://{DOMAIN}/version"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [("--http3-only", HTTP3), ("--http2", HTTP2), ("--http2 --tls-max 1.2", HTTP2)],
    ids=["HTTP/3", "HTTP/2", "TLS 1.2"],
)
def test_every_client_is_answered_as_it_asks(
    judge: Host, edges: dict[str, Edge], options: str, expected: str
) -> None:
    """HTTP/3 comes on top: who cannot have it must not notice it."""
    assert judge.check_output(curl(edges["edge-a"], options)) == expected


@pytest.mark.parametrize("path", ["/version", "/static/observatory.css", "/readyz", "/none"])
def test_clients_learn_of_it_where_there_is_one(edges: dict[str, Edge], path: str) -> None:
    """Who is sent to a port that nobody answers waits for it."""
    told = {name: edge.outside.https(DOMAIN, path).headers.get_all("Alt-Svc") for name, edge in edges.items()}
    assert told == {"edge-a": ['h3=":443"; ma=86400'], "edge-b": None}


def test_unknown_names_get_nothing_over_http3(judge: Host, edges: dict[str, Edge]) -> None:
    """As over TCP: a certificate would tell a scanner the names of the apps."""
    known = curl(edges["edge-a"], "--http3-only")
    assert judge.run(known).succeeded
    assert judge.run(known.replace(DOMAIN, "unknown.lab.test")).failed


def test_who_also_tries_tcp_is_answered_during_a_reload(judge: Host, edges: dict[str, Edge]) -> None:
    """As browsers do: over HTTP/3 alone some are lost, whose number is printed, and none once it is over."""
    edge = edges["edge-a"]
    before = processes(edge)
    loop = f"{curl(edge, '--http3-only')} || {curl(edge, '--http2')} || exit 1"
    soon = "--on-active=2 --timer-property=AccuracySec=100ms"
    edge.host.check_output(f"systemd-run --quiet --collect {soon} systemctl reload nginx.service")
    said = judge.check_output(
        f"end=$(($(date +%s) + {RELOAD_SECONDS})); while [ $(date +%s) -lt $end ]; do {loop}; done"
    )
    seen = Counter(said.splitlines())
    print(f"around a reload: {seen[HTTP3]} requests answered over HTTP/3, {seen[HTTP2]} at the second try")
    assert not before & processes(edge), "no reload"
    assert seen[HTTP3] > seen[HTTP2]
    # What is sent to a process that is gone is lost for good; what waits for a processor is not.
    patient = curl(edge, "--http3-only --max-time 10")
    again = judge.check_output(f"for each in $(seq {REQUESTS}); do {patient}; done")
    assert Counter(again.splitlines()) == Counter({HTTP3: REQUESTS})


def test_an_nginx_without_it_is_refused(edges: dict[str, Edge]) -> None:
    """Before anything has changed, and not by nginx's word for a parameter that it does not know."""
    edge = edges["edge-b"]
    done = edge.site(nginx_http3=True)
    assert done.failed
    for text in ("edge-b, which has nginx 1.22", "built without HTTP/3", "Set nginx_http3 to false"):
        assert text in done.output, done.output
    assert "changed=0" in done.output, done.output
    assert edge.outside.https(DOMAIN, "/version").status == 200


def processes(edge: Edge) -> set[str]:
    """Ids of nginx's processes that serve, once those of before a reload have ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while edge.host.run("pgrep --full '^nginx: worker process is shutting down'").succeeded:
        assert time.monotonic() < deadline, f"old processes are there after {PATIENCE_SECONDS:g} s"
        time.sleep(0.5)
    return set(edge.host.check_output("pgrep --full '^nginx: worker process'").split())
