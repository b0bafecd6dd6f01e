"""The pictures of docs/dashboard.md; `make screenshots`."""

from __future__ import annotations

import base64
import io
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.harness.browser import Page, browser

from . import fleets
from .prometheus import ROOT, prometheus

WIDTH = 1200
COLOURS = 256
PICTURES = {"dashboard": ("index.html", 2000), "dashboard_app": ("app.html?app=shop", 1480)}
START_SECONDS = 30.0


def picture(page: Page, url: str, most_high: int) -> Image.Image:
    """Return the picture of a page, cut off below.

    Args:
        page: where.
        url: of what.
        most_high: pixels.
    """
    page.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=900, deviceScaleFactor=1, mobile=True)
    page.open(url)
    until = time.monotonic() + START_SECONDS
    while not page.evaluate("document.body?.dataset.drawn"):
        assert time.monotonic() < until, page.text("#made")
        time.sleep(0.1)
    high = min(page.evaluate("document.body.offsetHeight"), most_high)
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": high, "scale": 1}
    taken = page.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
    return Image.open(io.BytesIO(base64.b64decode(taken))).convert("RGB").quantize(COLOURS)


def main() -> None:
    """Make them anew."""
    directory = ROOT / "docs/images"
    directory.mkdir(exist_ok=True)
    fleet = fleets.few(time.time())
    rules = [fleets.WATCHDOG, fleets.CERTIFICATE_ENDS]
    with tempfile.TemporaryDirectory() as temporary:
        metrics, profile = Path(temporary, "metrics"), Path(temporary, "profile")
        metrics.mkdir()
        with prometheus(metrics, fleet.samples, rules) as address, browser(profile) as page:
            for name, (path, most_high) in PICTURES.items():
                file = directory / f"{name}.png"
                picture(page, f"{address}/{path}", most_high).save(file, optimize=True)
                print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
