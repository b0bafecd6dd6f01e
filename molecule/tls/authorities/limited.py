"""An authority that was asked too often: new orders are refused, the rest is passed on to the lab's Pebble.

Requests are signed together with the URL that they go to. Pebble compares it with the header Host, and makes
links of that header; so it is passed on as it came. Each request is a line on standard error.
"""

from __future__ import annotations

import json
import ssl
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 14002
PEBBLE_PORT = 14000
CERTIFICATE, KEY = "/etc/pebble/api.pem", "/etc/pebble/api.key"
NEW_ORDER = "/order-plz"  # Pebble's
TIMEOUT_SECONDS = 30
# Let's Encrypt's words, https://letsencrypt.org/docs/rate-limits/
REFUSAL = {
    "type": "urn:ietf:params:acme:error:rateLimited",
    "detail": "too many certificates (5) already issued for this exact set of identifiers in the last"
    " 168h0m0s, retry after 2036-01-02 03:04:05 UTC: see https://letsencrypt.org/docs/rate-limits/"
    "#new-certificates-per-exact-set-of-identifiers",
    "status": 429,
}


class Front(BaseHTTPRequestHandler):
    """Answers one request, and closes the connection."""

    def do_POST(self) -> None:
        """Refuse a new order; pass on anything else."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == NEW_ORDER:
            headers = [("Content-Type", "application/problem+json"), ("Retry-After", "3600")]
            self._answer(429, headers, json.dumps(REFUSAL).encode())
            return
        pebble = HTTPSConnection(
            "localhost",
            PEBBLE_PORT,
            timeout=TIMEOUT_SECONDS,
            context=ssl.create_default_context(cafile=CERTIFICATE),
        )
        pebble.request(self.command, self.path, body or None, dict(self.headers))
        answer = pebble.getresponse()
        self._answer(answer.status, answer.getheaders(), answer.read())
        pebble.close()

    do_GET = do_HEAD = do_POST  # noqa: N815 - http.server's names

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.log_request(status)
        self.send_response_only(status)
        for name, value in headers:
            if name != "Transfer-Encoding":  # the body is whole by now
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until the process ends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    server = ThreadingHTTPServer(("", PORT), Front)
    # A client that is slow with its handshake keeps no other one waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
