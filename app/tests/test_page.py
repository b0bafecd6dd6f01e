"""The page, as a browser shows it."""

from pathlib import Path

import pytest
from chromium import Chromium
from in_process import Client
from servers import Server, listen, migrate, wait_until

COLOURED_PIXELS = """(() => {
  const PLOT_BOTTOM = 216; // the lanes of the workers are below
  const canvas = document.getElementById("timeline");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, PLOT_BOTTOM * devicePixelRatio).data;
  const wanted = getComputedStyle(document.documentElement).getPropertyValue("COLOUR").trim().slice(1);
  const [r, g, b] = [0, 2, 4].map((from) => parseInt(wanted.slice(from, from + 2), 16));
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    const distance = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
    if (distance < 30 && data[i + 3] > 200) count += 1;
  }
  return count;
})()"""


def pixels(browser: Chromium, colour: str) -> int:
    """How many pixels of the plot of response times have the colour of that name."""
    return browser.evaluate(COLOURED_PIXELS.replace("COLOUR", colour))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a database."""
    assert migrate(tmp_path).returncode == 0
    return tmp_path


def test_the_page_may_load_only_from_here(client: Client) -> None:
    """Its own policy forbids everything else; the addresses change with the release."""
    answer = client.get("/")
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert "/static/observatory.js?v=test-1" in answer.text
    assert client.get("/static/observatory.js").status_code == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_shows_the_live_release(browser: Chromium, server: Server, scheme: str) -> None:
    """Without a deploy there is one release in one colour, nothing failed, and nothing was refused."""
    browser.complaints.clear()
    browser.prefer(scheme)
    browser.open(server.url)
    wait_until(lambda: browser.text("release") == "release-1", "the page shows the release")
    wait_until(lambda: int(browser.text("answered") or 0) > 20, "the page goes on asking")
    wait_until(lambda: pixels(browser, "--release-0") > 100, "the timeline is drawn")
    assert browser.text("failed") == "0"
    assert browser.text("status") == "answering"
    assert pixels(browser, "--bad") == 0
    assert browser.complaints == []


def test_shows_a_deploy(browser: Chromium, state: Path) -> None:
    """The next release gets its own colour, and the page says who took over from whom."""
    with listen() as listener:
        with Server(listener, state, "release-1") as first:
            browser.open(first.url)
            wait_until(lambda: browser.text("release") == "release-1", "the page shows the first release")
            second = Server(listener, state, "release-2").__enter__()
        try:
            wait_until(lambda: browser.text("release") == "release-2", "the page shows the second release")
            wait_until(lambda: pixels(browser, "--release-1") > 100, "the second release is drawn")
            assert pixels(browser, "--release-0") > 20
            wait_until(lambda: "Both answered for" in browser.text("history"), "the hand-over has ended")
            assert "release-2 takes over from release-1" in browser.text("history")
            assert "; none of " in browser.text("history")
            assert browser.evaluate("document.querySelectorAll('#legend li').length") == 2
        finally:
            second.stop()


def test_shows_an_outage(browser: Chromium, state: Path) -> None:
    """Requests that fail are counted and drawn, and the end of the outage is told."""
    with listen() as listener:
        port = listener.getsockname()[1]
        with Server(listener, state, "release-1") as server:
            browser.open(server.url)
            wait_until(lambda: int(browser.text("answered") or 0) > 0, "the page is live")
    wait_until(lambda: browser.text("status") == "not answering", "the page notices")
    wait_until(lambda: pixels(browser, "--bad") > 100, "the failures are drawn")
    assert int(browser.text("failed")) > 0
    with listen() as listener, Server(listener, state, "release-1"):
        assert listener.getsockname()[1] == port
        wait_until(lambda: browser.text("status") == "answering", "the page recovers")
    assert "Answers again after" in browser.text("history")


def test_fits_a_phone(browser: Chromium, server: Server) -> None:
    """Nothing is cut off or needs sideways scrolling on a narrow screen."""
    narrow = {"width": 360, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    browser.call("Emulation.setDeviceMetricsOverride", **narrow)
    try:
        browser.open(server.url)
        wait_until(lambda: browser.text("release") == "release-1", "the page shows the release")
        assert browser.evaluate("document.documentElement.scrollWidth") == 360
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")
