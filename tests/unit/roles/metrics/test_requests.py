"""Requests are counted by release and answer, however odd a line is, in a bounded number of series."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from farrier_metrics.requests import LINE, Requests

from tests.unit.roles.metrics.values import values

RELEASE = "20261127T101500Z-3f2c1ab"
TEMPLATE = Path("roles/nginx/templates/etc/nginx/nginx.conf.j2")


def line(**fields: Any) -> bytes:
    """Return a line as nginx writes it."""
    shown = {"time": "2026-11-28T02:06:53+00:00", "epoch": 1795831613.123, "app": "shop", "status": 200}
    shown |= {"request_seconds": 0.003, "stream": "", "release": RELEASE, "uri": "/"} | fields
    return json.dumps(shown, separators=(",", ":")).encode() + b"\n"


def taken(*lines: bytes) -> dict[str, float]:
    """Return what is counted of lines."""
    requests = Requests(["shop"])
    requests.take(b"".join(lines), 0)
    return values(requests.samples({}, 0))


def test_lines_of_nginx_have_the_form_that_is_read_quickly() -> None:
    """The role nginx says what a line is."""
    _, _, rest = TEMPLATE.read_text().partition("log_format farrier escape=json ")
    form = "".join(re.findall("'(.*)'", rest.partition(";")[0]))
    numbers = {
        "msec": "1.5",
        "status": "200",
        "request_time": "0.010",
        "body_bytes_sent": "1",
        "request_length": "2",
    }
    filled = re.sub(r"\$(\w+)", lambda found: numbers.get(found[1], found[1]), form)
    assert json.loads(filled)["request_seconds"] == 0.01
    entry = (b"farrier_app", b"200", b"0.010", b"farrier_stream", b"upstream_http_x_release")
    assert LINE.findall(filled.encode()) == [entry]


def test_requests_are_counted_by_their_answer() -> None:
    """Those of nginx itself have no release."""
    found = taken(line(), line(), line(status=500), line(status=502, release=""))
    assert found[f"http_requests_total{{shop,{RELEASE},200}}"] == 2
    assert found[f"http_requests_total{{shop,{RELEASE},500}}"] == 1
    assert found["http_requests_total{shop,,502}"] == 1


def test_durations_fall_into_their_buckets() -> None:
    """A bucket has what is at most its bound."""
    found = taken(line(request_seconds=0.005), line(request_seconds=0.4), line(request_seconds=60.0))
    name = "http_request_duration_seconds"
    assert found[f"{name}_bucket{{shop,{RELEASE},0.005}}"] == 1
    assert found[f"{name}_bucket{{shop,{RELEASE},0.25}}"] == 1
    assert found[f"{name}_bucket{{shop,{RELEASE},0.5}}"] == 2
    assert found[f"{name}_bucket{{shop,{RELEASE},10.0}}"] == 2
    assert found[f"{name}_bucket{{shop,{RELEASE},+Inf}}"] == found[f"{name}_count{{shop,{RELEASE}}}"] == 3
    assert found[f"{name}_sum{{shop,{RELEASE}}}"] == pytest.approx(60.405)


def test_streams_have_no_duration() -> None:
    """They are counted all the same."""
    found = taken(line(stream="1"), line(status=101, stream="1"), line(status=101))
    assert found[f"http_request_duration_seconds_count{{shop,{RELEASE}}}"] == 0
    assert found[f"http_requests_total{{shop,{RELEASE},101}}"] == 2


def test_first_failure_is_seen_as_a_change() -> None:
    """A counter that begins with it would not be: a rate needs a value before."""
    assert taken()["http_requests_total{shop,,502}"] == 0
    assert taken(line())[f"http_requests_total{{shop,{RELEASE},500}}"] == 0
    live = values(Requests(["shop"]).samples({"shop": RELEASE}, 0))
    assert live[f"http_requests_total{{shop,{RELEASE},500}}"] == 0


@pytest.mark.parametrize(
    "odd",
    [
        b"\n",
        b"{\n",
        b"\xff\xfe\0\n",
        b'{"app":"shop"}\n',
        b"[" * 100_000 + b"\n",
        line(status="200"),
        line(status=20000),
        line(status=-1),
        line(request_seconds="x"),
        line(request_seconds=float("nan")),
        line(request_seconds=-1.0),
        line(app=None),
        line(release=None),
        b"null\n",
        b'{"time":"","epoch":1,"app":"shop","status":200,"request_seconds":1.2.3,"stream":"","release":""\n',
    ],
)
def test_odd_line_hides_no_other(odd: bytes) -> None:
    """Whatever a client or an app has put into it."""
    found = taken(line(), odd, line())
    assert found[f"http_requests_total{{shop,{RELEASE},200}}"] == 2


def test_line_of_an_earlier_form_is_counted() -> None:
    """Those that nginx wrote before the upgrade."""
    before = json.dumps(
        {"app": "shop", "uri": "/", "status": 404, "request_seconds": 0.2, "release": RELEASE}
    )
    assert taken(before.encode() + b"\n")[f"http_requests_total{{shop,{RELEASE},404}}"] == 1


def test_quotes_of_a_client_are_no_fields() -> None:
    """nginx writes them with a backslash, wherever they are."""
    found = taken(line(uri='/","status":500,"release":"x"'), line(release='x","y'))
    assert found[f"http_requests_total{{shop,{RELEASE},500}}"] == 0
    assert found["http_requests_total{shop,other,200}"] == 1


def test_series_are_bounded() -> None:
    """An app answers with any header and code that it likes."""
    lines = [line(release=f"20261127T1015{index:02}Z-a", status=100 + index) for index in range(60)]
    lines += [line(release=f"{index}") for index in range(50)] + [line(app=f"{index}") for index in range(50)]
    lines += [line(status=status) for status in range(100, 1000)]
    releases = {key.split(",")[1] for key in taken(*lines) if key.startswith("http_requests_total{shop")}
    assert len(releases) == 10
    assert "other" in releases
    assert {key[20] for key in taken(*lines) if key.startswith("http_requests_total")} == {"s", ","}
    assert len(taken(*lines)) < 2000


def test_former_release_is_forgotten_after_an_hour() -> None:
    """But the last one that has answered stays, as does the live one."""
    former, last, live = (f"20261127T10150{index}Z-a" for index in range(3))
    requests = Requests(["shop"])
    requests.take(line(release=live) + line(release=former), 0)
    requests.take(line(release=last), 10)
    kept = values(requests.samples({"shop": live}, 5000))
    assert {key.split(",")[1] for key in kept if key.startswith("http_requests_total")} == {"", last, live}


def test_line_costs_next_to_nothing() -> None:
    """A request costs a few hundred microseconds; counting it must not be felt."""
    uri = "/a/long/path?" + "x" * 200
    lines = b"".join(line(request_seconds=index % 50 / 1000, uri=uri) for index in range(1000))
    requests = Requests(["shop"])
    requests.take(lines, 0)
    fastest = min(_seconds(requests, lines) for _ in range(20))
    assert fastest / 1000 < 5e-6


def _seconds(requests: Requests, lines: bytes) -> float:
    began = time.process_time()
    requests.take(lines, 0)
    return time.process_time() - began
