"""A local HTTP endpoint that takes what the Sentry SDK really sends."""

import gzip
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli

KEY = "f00dfacef00dfacef00dfacef00dface"
# The SDK takes Brotli where it is installed, gzip elsewhere.
DECODERS: dict[str, Any] = {
    "identity": bytes, "gzip": gzip.decompress, "br": brotli.decompress,
}  # fmt: skip


@dataclass
class Item:
    kind: str
    payload: Any


class SentryReceiver:
    """Keep each request's body, decompressed, and the envelope items in it."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.paths: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                encoding = self.headers.get("Content-Encoding", "identity")
                body = DECODERS[encoding](body)
                receiver.paths.append(self.path)
                receiver.bodies.append(body.decode())
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.dsn = f"http://{KEY}@127.0.0.1:{self._server.server_port}/7"

    def items(self, kind: str) -> list[Any]:
        """Return the payloads of all envelope items of one kind, in the order of arrival."""
        return [item.payload for body in list(self.bodies) for item in parse(body)
                if item.kind == kind]  # fmt: skip

    def events(self) -> list[Any]:
        return self.items("event")

    def everything(self) -> str:
        """Return all that was sent, as text and as a JSON reader would see it."""
        return "\n".join([*self.bodies, *(json.dumps(parse_all(body), ensure_ascii=False)
                                          for body in self.bodies)])  # fmt: skip

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def parse(body: str) -> list[Item]:
    """Take an envelope apart: one header line, then a header and a payload per item."""
    lines = [json.loads(line) for line in body.splitlines() if line]
    return [Item(header["type"], payload) for header, payload in zip(lines[1::2], lines[2::2],
                                                                     strict=True)]  # fmt: skip


def parse_all(body: str) -> list[Any]:
    return [json.loads(line) for line in body.splitlines() if line]
