"""A receiver of webhooks: writes each message that it is sent, and its path, into a file, one a line."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MESSAGES = Path("/var/lib/hook/messages.jsonl")


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with MESSAGES.open("a") as stream:
            stream.write(json.dumps({"path": self.path, **body}) + "\n")
        self.send_response(404 if "refused" in self.path else 200)
        self.end_headers()


ThreadingHTTPServer(("", 8123), Hook).serve_forever()
