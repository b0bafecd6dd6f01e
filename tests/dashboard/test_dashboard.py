"""The pages of the dashboard, as Debian's Prometheus makes them and a browser shows them."""

from __future__ import annotations

import itertools
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.browser import Page

from . import fleets
from .conftest import NASTY_APP, NASTY_RELEASE, NOTICE

PATIENCE_SECONDS = 30.0
QUICK_SECONDS = 5.0  # on a machine that does other things too; 0.1 s when it is quiet
LEAST_CONTRAST = 4.5  # WCAG 2, level AA
GRAPHS = 6
MANY_ALERTS = [
    {"alert": f"Alert{number}", "expr": "vector(1)", "labels": {"severity": ("page", "warning")[number % 2]}}
    for number in range(49, 9, -1)
]
# Of each text: the words, and its contrast with what is behind it. No background of the pages is transparent.
CONTRASTS = """(() => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => rgb(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [.2126, .7152, .0722][index], 0);
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return rgb(colour)[3] === 0 && element.parentElement ? ground(element.parentElement) : colour;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), ink = element.closest("svg") ? style.fill : style.color;
    const [high, low] = [light(ink), light(ground(element))].sort((a, b) => b - a);
    found.push([text, (high + .05) / (low + .05)]);
  }
  return found;
})()"""
MARKS = """[...document.querySelectorAll("SELECTOR line[data-at]")].map((line) => ({
  kind: line.getAttribute("class"), at: Number(line.dataset.at), x: Number(line.getAttribute("x1")),
  band: Number(line.parentElement.querySelector("rect").getAttribute("width")),
  stroke: getComputedStyle(line).stroke, dashes: getComputedStyle(line).strokeDasharray,
}))"""
# Where the first line of the graph of errors is highest.
PEAK = """(() => {
  const path = document.querySelectorAll(".graph")[1].querySelector("path.series-0");
  const points = path.getAttribute("d").split(/[ML]/).slice(1).map((pair) => pair.split(" ").map(Number));
  return points.reduce((best, point) => point[1] < best[1] ? point : best)[0];
})()"""
# The script's timer stops; a test turns the hand.
BY_HAND = "window.setInterval = (action) => { window.again = action; };"


@pytest.fixture(autouse=True)
def _quiet(page: Page) -> Iterator[None]:
    """Nothing was refused and nothing was thrown, and no other place was asked for anything."""
    page.complaints.clear()
    page.requests.clear()
    yield
    assert page.complaints == []
    assert page.requests
    origins = {urllib.parse.urlsplit(url)[:2] for url in page.requests if not url.startswith("data:")}
    assert len(origins) == 1


def show(page: Page, url: str, **parameters: str) -> None:
    """Open a page, and wait until its script has drawn."""
    page.open(f"{url}?{urllib.parse.urlencode(parameters)}" if parameters else url)
    wait_until(page, "document.body?.dataset.drawn === 'yes'")


def wait_until(page: Page, condition: str) -> None:
    """Wait until an expression is true in the page."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not page.evaluate(condition):
        assert time.monotonic() < until, (condition, page.text("#made"), page.complaints)
        time.sleep(0.05)


def rows(page: Page, heading: str) -> dict[str, dict[str, str]]:
    """Return the rows of the table below a heading: texts by heading of the row and label of the cell."""
    section = f"document.getElementById({heading!r}).parentElement"
    made: dict[str, dict[str, str]] = page.evaluate(
        f"""Object.fromEntries([...{section}.querySelectorAll("tbody tr")].map((row) => [
            row.querySelector("th").innerText.trim(),
            Object.fromEntries([...row.querySelectorAll("td")].map(
              (cell) => [cell.dataset.label, cell.innerText.trim()])),
        ]))"""
    )
    return made


def marks(page: Page, selector: str) -> list[dict[str, Any]]:
    """Return the deploys and undos that are drawn into the graphs that a selector finds."""
    found: list[dict[str, Any]] = page.evaluate(MARKS.replace("SELECTOR", selector))
    return found


def status(url: str) -> int:
    """Return the status of the answer to a request."""
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def deploys(page: Page) -> list[list[str]]:
    """Return what the page of an app lists of each deploy: what it was, and the release afterwards."""
    listed: list[list[str]] = page.evaluate(
        "[...document.querySelectorAll('#events tr')]"
        ".map((row) => [...row.cells].slice(1).map((cell) => cell.innerText))"
    )
    return listed


@pytest.mark.parametrize("alone", [[fleets.WATCHDOG]], indirect=True)
def test_says_that_all_is_well(page: Page, alone: str) -> None:
    """In one calm line, with what that is said of; where there are no apps, the page says so."""
    show(page, f"{alone}/index.html")
    assert page.text(".status").strip() == "All is well. No alert fires on 1 host with 0 apps."
    assert rows(page, "hosts")["only"]["State"] == "up"
    assert "No app reports." in page.text("main")


@pytest.mark.parametrize("alone", [[NOTICE]], indirect=True)
def test_does_not_say_so_when_nobody_watches(page: Page, alone: str) -> None:
    """Without the alert that always fires, no other can be trusted to. A notice is no alert."""
    show(page, f"{alone}/index.html")
    assert "Nobody watches." in page.text(".status")
    assert "All is well" not in page.text("body")


@pytest.mark.parametrize("alone", [MANY_ALERTS], indirect=True)
def test_many_alerts(page: Page, alone: str) -> None:
    """The worst are on top, and what does not fit is folded, so that the apps are not far below."""
    show(page, f"{alone}/index.html")
    assert page.text(".status h2") == "40 alerts fire"
    names = page.evaluate("[...document.querySelectorAll('[data-alert] th')].map((cell) => cell.textContent)")
    assert names == [f"Alert{number}" for number in (*range(10, 50, 2), *range(11, 50, 2))]
    assert page.text("summary") == "Further alerts, from Alert30 on"
    assert page.evaluate("document.querySelectorAll('details [data-alert]').length") == 30


def test_an_alert_says_what_to_do(page: Page, few: tuple[str, float]) -> None:
    """With the words and the link of its rule; what it is about is marked in its table."""
    show(page, f"{few[0]}/index.html")
    assert page.text(".status h2") == "1 alert fires"
    assert rows(page, "wrong")["CertificateEnds"]["What"] == "The certificate of reports ends in 12 days."
    link = page.evaluate("document.querySelector('.todo a').href")
    assert link == fleets.CERTIFICATE_ENDS["annotations"]["runbook_url"]
    certificates = rows(page, "certificates")
    assert certificates["reports"] == {"State": "CertificateEnds", "Days left": "12"}
    assert certificates["shop"] == {"State": "ok", "Days left": "61"}


def test_the_fleet_in_numbers(page: Page, few: tuple[str, float]) -> None:
    """Of apps, hosts and backups, as far as the numbers do not hang on chance."""
    address, now = few
    show(page, f"{address}/index.html")
    shop = rows(page, "apps")["shop"]
    assert 50 < float(shop.pop("Requests/s")) < 120
    assert int(shop.pop("Loop lag").removesuffix(" ms")) > 0
    assert shop == {
        "State": "runs",
        "Live release": fleets.release_name(now - 130 * 60, "v2.4.0"),
        "Live for": "2h 7m",
        "Requests and deploys, 3 hours": "",
        "Errors (5xx)": "0.05 %",
        "95 % within": "71 ms",
        "Workers ready": "12 of 12",
    }
    app3 = rows(page, "hosts")["app3"]
    assert 26 <= int(app3.pop("Processor").removesuffix(" %")) <= 36
    assert 40 <= int(app3.pop("Memory").removesuffix(" %")) <= 51
    assert app3 == {
        "State": "up",
        "Fullest disk": "71 %",
        "Clock": "+0.4 ms",
        "What runs there": "reports v11\nshop v2.4.0",
    }
    assert rows(page, "hosts")["db1"]["What runs there"] == "PostgreSQL, primary\nValkey"
    assert rows(page, "backups")["postgresql"] == {
        "State": "ok",
        "Newest is": "5h 30m old",
        "Restore proven": "3d 2h ago",
    }
    kinds = [mark["kind"] for mark in marks(page, ".spark[data-app=shop]")]
    assert kinds == ["deploy", "deploy", "undo"]


def test_deploys_are_drawn_where_they_were(page: Page, few: tuple[str, float]) -> None:
    """In each graph, at their moments; between a bad release and its undo the errors are highest."""
    address, now = few
    show(page, f"{address}/app.html", app="shop")
    found = marks(page, ".graph")
    expected = [
        ("deploy", now - 130 * 60),
        ("deploy", now - 45 * 60),
        ("undo", now - 38 * 60 + fleets.RECORD_SECONDS),
    ]
    assert len(found) == GRAPHS * len(expected)
    for of_graph in (found[first : first + 3] for first in range(0, len(found), 3)):
        assert [mark["kind"] for mark in of_graph] == [kind for kind, _ in expected]
        assert [mark["at"] for mark in of_graph] == [pytest.approx(at, abs=1) for _, at in expected]
        first, second, undo = of_graph
        assert (second["x"] - first["x"]) / (undo["x"] - second["x"]) == pytest.approx(85 / 7.05, rel=0.01)
        assert undo["stroke"] != second["stroke"]
        assert (undo["dashes"], second["dashes"]) == ("5px, 3px", "none")
        assert second["band"] / (undo["x"] - second["x"]) == pytest.approx(3 / 7.05, rel=0.01)
    assert found[1]["x"] < page.evaluate(PEAK) <= found[2]["x"] + 1
    old, good, bad = (
        fleets.release_name(at, version)
        for at, version in (
            (now - 9 * fleets.DAY, "v2.3.1"),
            (now - 130 * 60, "v2.4.0"),
            (now - 45 * 60, "v2.4.1"),
        )
    )
    assert deploys(page) == [["undo", "the one before"], ["deploy", bad], ["deploy", good]]
    answered = rows(page, "answered")
    assert set(answered) == {old, good, bad}
    assert int(answered[bad]["Errors (5xx)"]) > 1000


def test_the_pages_of_prometheus_are_there(page: Page, few: tuple[str, float]) -> None:
    """Debian's are elsewhere than those of others. Without the package, they lack their templates."""
    show(page, f"{few[0]}/index.html")
    links = page.evaluate("[...document.querySelectorAll('nav a')].map((link) => link.href)")
    assert len(links) == 3
    assert [status(link) for link in links if status(link) not in (200, 500)] == []


def test_what_became_of_deploys(page: Page, few: tuple[str, float]) -> None:
    """An undo in the watch does not hide its deploy; a deploy that changed nothing is not drawn."""
    address, now = few

    def name(ago_minutes: int, version: str) -> str:
        return fleets.release_name(now - ago_minutes * 60, version)

    for app, told in {
        "observatory": [
            ["deploy", name(50, "5d21e0f")],
            ["undo", "the one before"],
            ["deploy", name(70, "9be07d4")],
        ],
        "reports": [
            ["failed deploy", "as before"],
            ["rollback", name(45 * 24 * 60, "v11")],
            ["deploy", name(101, "v12")],
        ],
    }.items():
        show(page, f"{address}/app.html", app=app)
        assert deploys(page) == told
        drawn = {"deploy": "deploy", "undo": "undo", "rollback": "undo"}
        expected = [drawn[what] for what, _ in reversed(told) if what in drawn]
        assert [mark["kind"] for mark in marks(page, ".graph:first-child")] == expected


def test_the_hours_can_be_chosen(page: Page, few: tuple[str, float]) -> None:
    """An hour shows what was in it."""
    show(page, f"{few[0]}/app.html", app="shop", hours="1")
    assert [mark["kind"] for mark in marks(page, ".graph:first-child")[:2]] == ["deploy", "undo"]
    assert page.text("nav [aria-current]") == "1 hour"


def test_an_app_that_nobody_reports(page: Page, few: tuple[str, float]) -> None:
    """Whatever an address says, it is text to the page and to the queries."""
    show(page, f"{few[0]}/app.html", app='x"} or vector(1) #<script>alert(1)</script>', hours="3h")
    assert "No host reports an app of this name." in page.text(".status")


def test_a_crowd(page: Page, crowd: str) -> None:
    """Fifty hosts with ten apps each: what wants something is on top, and the page is quick."""
    started = time.monotonic()
    show(page, f"{crowd}/index.html")
    assert time.monotonic() - started < QUICK_SECONDS
    hosts = rows(page, "hosts")
    assert len(hosts) == 50
    assert {name: row["State"] for name, row in itertools.islice(hosts.items(), 5)} == {
        "app50": "does not answer\nHostDown",
        "app7": "up\ndrained",
        "app8": "up\nreboot pending",
        "app9": "up\nvalkey does not answer\nno metrics of workers",
        "app1": "up",
    }
    assert hosts["app8"]["Clock"] == "not synchronised"
    assert hosts["app1"]["What runs there"] == "10 apps"
    apps = rows(page, "apps")
    assert len(apps) == 10
    assert apps["alpha"]["State"] == "AppDown\nmaintenance mode\nruns"
    assert apps["omega"]["State"] == "omega.service does not run on 1 host\ndeploy under way"
    assert page.text(".status h2") == "2 alerts fire"
    assert rows(page, "wrong")["AppDown"]["What to do"] == "docs/alerts.md#appdown"


def test_names_are_text(page: Page, crowd: str) -> None:
    """Of apps, releases and hosts, and what rules say; a link that is none is not made."""
    show(page, f"{crowd}/index.html")
    assert NASTY_APP in rows(page, "apps")
    assert NASTY_RELEASE in rows(page, "apps")["omega"]["Live release"]
    assert rows(page, "wrong")["HostDown"]["What"] == "<u>app50</u> does not answer."
    assert page.evaluate("document.querySelectorAll('.todo a').length") == 0
    where = page.evaluate(
        f"[...document.querySelectorAll('#apps ~ table a')].find((a) => a.innerText === {NASTY_APP!r}).href"
    )
    show(page, where)
    assert page.text("h1") == NASTY_APP
    assert page.evaluate("document.querySelectorAll('.graph path').length") > GRAPHS
    show(page, f"{crowd}/app.html", app="omega")
    assert page.text(".graph title").startswith(f"deploy, live: {NASTY_RELEASE}, ")
    assert page.evaluate("document.querySelectorAll('main b, main i, main u').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(page: Page, few: tuple[str, float], crowd: str, scheme: str) -> None:
    """In both schemes of colours, on both pages, with alerts and marks."""
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    for url in (f"{few[0]}/index.html", f"{few[0]}/app.html?app=shop"):
        show(page, url)
        found = page.evaluate(CONTRASTS)
        assert len(found) > 100
        assert [(text, round(contrast, 1)) for text, contrast in found if contrast < LEAST_CONTRAST] == []
    grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds == {"light": "rgb(243, 245, 249)", "dark": "rgb(10, 14, 24)"}[scheme]


def test_fits_a_phone(page: Page, crowd: str) -> None:
    """Nothing needs sideways scrolling on a narrow screen, and each cell has its heading."""
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=2, mobile=True)
    try:
        for url in (f"{crowd}/index.html", f"{crowd}/app.html?app=omega"):
            show(page, url)
            assert page.evaluate("document.documentElement.scrollWidth") == 360
            assert page.evaluate("document.querySelectorAll('td:not([data-label], [colspan])').length") == 0
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


def test_the_page_makes_itself_new(page: Page, crowd: str) -> None:
    """With what was unfolded; when Prometheus does not answer, it says that it is old."""
    script = page.call("Page.addScriptToEvaluateOnNewDocument", source=BY_HAND)["identifier"]
    try:
        show(page, f"{crowd}/index.html")
    finally:
        page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    before = page.evaluate("document.querySelector('time').dataset.at")
    page.evaluate("document.getElementById('runs-app1').open = true")
    page.evaluate("again()")
    assert page.evaluate("document.querySelector('time').dataset.at") > before
    assert page.evaluate("document.getElementById('runs-app1').open")
    assert page.evaluate("document.querySelectorAll('.spark svg').length") == 10
    page.evaluate("window.fetch = async () => { throw new Error('gone'); }, again()")
    assert page.text("#made") == "Prometheus does not answer (gone); what you see is old."
    assert len(rows(page, "hosts")) == 50


def test_without_its_script(page: Page, few: tuple[str, float]) -> None:
    """The tables, which the templates make, are all there."""
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(f"{few[0]}/index.html")
        wait_until(page, "document.readyState === 'complete'")
        assert rows(page, "wrong")["CertificateEnds"]["What"] == "name reports"
        assert rows(page, "apps")["reports"]["Workers ready"] == "4 of 4"
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
