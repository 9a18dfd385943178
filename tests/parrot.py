"""A server on this machine that speaks the OpenAI protocol: real HTTP, a parrot behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Answers with the prompt's last word; can be told not to echo, or to break."""

    echoes = True
    breaks = False
    shift = 0  # of the offsets it tells

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
        """A token is a word with the space before it; its log-probability is minus its letters."""
        tokens, offsets, values, place = [], [], [], 0
        for word in prompt.split(" "):
            tokens.append(f" {word}" if place else word)
            offsets.append(max(place - 1, 0) + self.server.shift)
            values.append(-float(len(word)) if place else None)
            place += len(word) + 1
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
def serving() -> Iterator[Server]:
    """A server that runs until the block ends."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
