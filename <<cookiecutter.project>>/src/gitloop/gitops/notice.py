"""Answers every request with 503 and a notice: what runs where a service is retired. Needs Python alone, in one file.

Started with NOTICE and PORT in the environment.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Notice(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    content = json.dumps({"error": "unavailable", "notice": os.environ.get("NOTICE", "retired")}).encode()

    def answer(self) -> None:
        self.send_response(503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("Connection", "close")  # a body, if any, is not read
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815 -- as http.server asks

    def log_message(self, *_: object) -> None:
        """Nothing: callers may try for ever."""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Notice).serve_forever()  # noqa: S104 -- in a container


if __name__ == "__main__":
    main()
