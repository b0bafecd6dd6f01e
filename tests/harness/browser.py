"""Headless Chromium with one page, driven through the DevTools protocol."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.sync.client import ClientConnection, connect

START_SECONDS = 30.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--window-size=1300,1000",
    "--remote-debugging-port=0",
)


class Page:
    """The page; `complaints` are errors of its scripts and what was refused, `requests` what it asked for.

    Args:
        devtools: connection to it.
    """

    def __init__(self, devtools: ClientConnection) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._devtools = devtools
        self._number = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        self._devtools.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._devtools.recv(timeout=START_SECONDS))
            self._note(message.get("method", ""), message.get("params", {}))
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _note(self, event: str, said: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(said["exceptionDetails"]))
        if event == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.complaints.append(said["entry"]["text"])
        if event == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])

    def open(self, url: str) -> None:
        """Go to an address, again while interfaces of other hosts of the lab come and go."""
        until = time.monotonic() + START_SECONDS
        while "errorText" in (navigated := self.call("Page.navigate", url=url)):
            assert navigated["errorText"] == "net::ERR_NETWORK_CHANGED", navigated
            assert time.monotonic() < until, navigated
            time.sleep(0.2)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to, also when it is a promise."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def text(self, selector: str) -> str:
        """Text of an element; empty while there is none."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''"))


def _trust(certificate: Path) -> str:
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return f"--ignore-certificate-errors-spki-list={base64.b64encode(digest).decode()}"


@contextmanager
def browser(profile: Path, certificate: Path | None = None) -> Iterator[Page]:
    """Run a browser.

    Args:
        profile: directory for what it keeps.
        certificate: of the site, trusted.
    """
    trust = [_trust(certificate)] if certificate else []
    command = ["chromium", *FLAGS, *trust, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        file = profile / "DevToolsActivePort"
        until = time.monotonic() + START_SECONDS
        while not (file.exists() and "\n" in file.read_text()):
            assert time.monotonic() < until, "chromium does not start"
            time.sleep(0.05)
        address = f"http://127.0.0.1:{file.read_text().split()[0]}/json"
        with urllib.request.urlopen(address) as answer:
            pages = json.load(answer)
        found = next(page for page in pages if page["type"] == "page")
        with connect(found["webSocketDebuggerUrl"], max_size=None) as devtools:
            yield Page(devtools)
    finally:
        process.terminate()
        process.wait(START_SECONDS)
