"""What outside tools say of the finished edges; their verdicts are asserted, and their numbers printed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edges import DOMAIN, SCENARIO, Edge
from testinfra.host import Host

from tests.harness.load import Report
from tests.harness.outside import authority

BAD = ("HIGH", "CRITICAL")
# Of the authority's making: the lab's names no place to ask whether it has revoked a certificate.
ABOUT_THE_AUTHORITY = "cert_revocation"
SLOW_CONNECTIONS = 1000
OTHERS_REQUESTS = 500
PATIENCE_SECONDS = 20.0
SETTLE_SECONDS = 3.0
SLOW = {
    "headers": "-H -i 10 -x 24",
    "body": "-B -i 10 -s 8192 -x 10",
    "reading": "-X -w 512 -y 1024 -n 5 -z 32 -k 3",
}


@pytest.fixture(params=["edge-a", "edge-b"])
def edge(request: pytest.FixtureRequest, edges: dict[str, Edge]) -> Edge:
    """Each edge."""
    return edges[request.param]


def sslyze(judge: Host, edge: Edge, profile: str, root: str) -> str:
    """What sslyze says of Mozilla's guidelines; "OK - Compliant." when they are kept to the letter."""
    judge.check_output(f"cat > /root/root.pem <<'EOF'\n{root}\nEOF")
    options = f"--mozilla_config {profile} --certinfo_ca_file /root/root.pem"
    said = judge.run(f"/opt/judges/bin/sslyze {options} '{DOMAIN}:443{{{edge.address}}}'").stdout
    verdict = said[said.find("COMPLIANCE AGAINST") :]
    print(verdict)
    return verdict.rpartition(f"{DOMAIN}:443: ")[2].strip()


def test_sslyze_finds_intermediate_kept(judge: Host, edges: dict[str, Edge]) -> None:
    """What an edge has unless told otherwise."""
    root = authority(SCENARIO).read_text()
    assert sslyze(judge, edges["edge-a"], "intermediate", root) == "OK - Compliant."


def test_sslyze_finds_modern_kept(
    judge: Host, edges: dict[str, Edge], own: dict[str, str], tmp_path: Path
) -> None:
    """With a certificate of our own: the lab's authority signs by RSA, which modern leaves behind."""
    done = edges["edge-b"].site(tls_certificate=own)
    assert not done.failed, done.output
    root = (tmp_path / "root.pem").read_text()
    assert sslyze(judge, edges["edge-b"], "modern", root) == "OK - Compliant."


def test_testssl_grades_it_well(judge: Host, edges: dict[str, Edge]) -> None:
    """Every attack with a name, every cipher that openssl has ever had."""
    edge = edges["edge-a"]
    root, report = "/root/authority.pem", "/root/testssl.json"
    judge.check_output(f"cat > {root} <<'EOF'\n{authority(SCENARIO).read_text()}\nEOF")
    judge.check_output(f"rm -f {report}")
    options = f"--quiet --color 0 --add-ca {root} --ip {edge.address} --jsonfile {report}"
    judge.run(f"testssl {options} https://{DOMAIN}")
    findings = json.loads(judge.check_output(f"cat {report}"))
    grade = next(finding["finding"] for finding in findings if finding["id"] == "overall_grade")
    bad = [
        finding for finding in findings if finding["severity"] in BAD and finding["id"] != ABOUT_THE_AUTHORITY
    ]
    print(f"{edge.name}: testssl grade {grade}, {len(findings)} findings, {len(bad)} HIGH or CRITICAL")
    assert bad == []
    assert grade in ("A", "A+")


def test_gixy_finds_nothing(judge: Host, edge: Edge) -> None:
    """In the whole configuration as nginx has it, the operator's own snippet included."""
    whole = edge.host.check_output("nginx -T 2>/dev/null")
    judge.check_output(
        f"cat > /root/{edge.name}.conf <<'END OF CONFIGURATION'\n{whole}\nEND OF CONFIGURATION"
    )
    done = judge.run(f"/opt/judges/bin/gixy --format json - < /root/{edge.name}.conf")
    found = json.loads(done.stdout)
    bad = [finding for finding in found if finding["severity"] in ("MEDIUM", "HIGH")]
    print(f"{edge.name}: gixy has {len(found)} findings, {len(bad)} of MEDIUM or above")
    assert bad == []


def test_http2_carries_a_load(judge: Host, edge: Edge) -> None:
    """Many requests at once on few connections."""
    load = f"h2load --requests 2000 --clients 10 --max-concurrent-streams 10 --connect-to={edge.address}:443"
    said = judge.check_output(f"{load} --sni {DOMAIN} https://{DOMAIN}/version")
    print(next(line for line in said.splitlines() if line.startswith("finished in")))
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in said
    assert re.search(r"status codes: 2000 2xx", said)
    assert "Application protocol: h2" in said


@pytest.mark.parametrize("slow", SLOW)
def test_slow_clients_hold_nobody_up(judge: Host, edges: dict[str, Edge], slow: str) -> None:
    """Somebody opens a thousand connections and sends, or reads, next to nothing on each.

    A thousand clients on the lab's one machine are felt whatever they do; so they are slow with the other
    edge first, and what the edge itself makes of them is the difference.
    """
    edge = edges["edge-a"]
    with slow_clients(judge, edges["edge-b"], slow):
        undisturbed = others(edge, f"tls_undisturbed_{slow}")
    with slow_clients(judge, edge, slow):
        disturbed = others(edge, f"tls_slow_{slow}")
        held = open_connections(edge)
    p99 = [report.summary["milliseconds"]["p99"] for report in (undisturbed, disturbed)]
    print(
        f"{held} slow connections ({slow}): p99 of others {p99[0]:.1f} ms while they are slow with another "
        f"edge, {p99[1]:.1f} ms while it is this one"
    )
    assert held >= SLOW_CONNECTIONS / 2
    assert disturbed.failed == 0, disturbed.failures


@contextmanager
def slow_clients(judge: Host, edge: Edge, slow: str) -> Iterator[None]:
    """A thousand connections to an edge, all of which stand."""
    judge.check_output(f"cp --no-clobber /etc/hosts /root/hosts && echo {edge.address} {DOMAIN} > /etc/hosts")
    judge.check_output(
        "systemd-run --quiet --collect --unit=slow --property=LimitNOFILE=20000 --"
        f" slowhttptest {SLOW[slow]} -c {SLOW_CONNECTIONS} -r 500 -l 60 -p 3 -u https://{DOMAIN}/echo"
    )
    try:
        wait_until(lambda: open_connections(edge) >= SLOW_CONNECTIONS * 0.9, "the slow connections stand")
        # A thousand handshakes are another test than a thousand connections.
        time.sleep(SETTLE_SECONDS)
        yield
    finally:
        judge.check_output("cat /root/hosts > /etc/hosts")
        judge.run("systemctl stop slow.service")


def others(edge: Edge, name: str) -> Report:
    """What clients see who behave."""
    with edge.load(name, connections=8, websockets=0, events=0, downloads=0, rate=100) as load:
        load.wait_for_requests(OTHERS_REQUESTS)
        return load.stop()


def open_connections(edge: Edge) -> int:
    """How many the edge has with clients."""
    return int(edge.host.check_output("ss -Htn state established '( sport = :443 )' | wc -l"))


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that takes seconds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(0.5)
