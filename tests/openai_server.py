"""HTTP server with the OpenAI protocol that answers with the last word of the prompt."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Answer with the last word of the prompt.

    echoes: supports scoring of given texts. breaks: answers 503. shift: error of the text offsets.
    """

    echoes = True
    breaks = False
    shift = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "parrot"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        self.server.keys.add(self.headers.get("Authorization"))
        if self.server.breaks:
            self._send(503, {"error": "busy"})
        elif self.path == "/v1/chat/completions":
            word = body["messages"][-1]["content"].split()[-1]
            self._send(200, {"choices": [{"message": {"content": f" {word} "}}]})
        elif not self.server.echoes:
            self._send(400, {"error": "echo is not supported"})
        else:
            self._send(200, {"choices": [{"logprobs": self._echo(body["prompt"])}]})

    def _echo(self, prompt: str) -> dict[str, Any]:
        """Return tokens: each word with the space before it, with minus its length as the log-probability."""
        tokens, offsets, values, position = [], [], [], 0
        for word in prompt.split(" "):
            tokens.append(f" {word}" if position else word)
            offsets.append(max(position - 1, 0) + self.server.shift)
            values.append(-float(len(word)) if position else None)
            position += len(word) + 1
        return {"tokens": tokens, "text_offset": offsets, "token_logprobs": values}

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server until the block ends."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
