"""A generator behind a server: a real HTTP server on this machine speaks the protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from curation.engine.api_generator import ApiError, ApiGenerator


class Server(ThreadingHTTPServer):
    """Answers with the prompt's last word; can be told not to echo, or to break."""

    echoes = True
    breaks = False

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
        offsets, values, place = [], [], 0
        for word in prompt.split(" "):
            offsets.append(max(place - 1, 0))
            values.append(-float(len(word)) if place else None)
            place += len(word) + 1
        return {"text_offset": offsets, "token_logprobs": values}

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def test_answers_come_in_the_order_of_the_prompts(server: Server) -> None:
    generator = ApiGenerator(server.url, key="secret", model="named")
    seen: list[tuple[int, int]] = []
    prompts = [f"say {number}" for number in range(9)]
    answers = generator.generate(prompts, 5, on_progress=lambda *step: seen.append(step))
    assert answers == [str(number) for number in range(9)]
    assert seen[-1] == (9, 9)
    assert server.keys == {"Bearer secret"}
    assert server.seen[0]["model"] == "named"
    assert server.seen[0]["max_tokens"] == 5
    assert server.seen[0]["temperature"] == 0


def test_without_a_name_the_first_listed_model_answers(server: Server) -> None:
    generator = ApiGenerator(server.url)
    generator.generate(["hello"])
    assert server.seen[0]["model"] == "parrot"


def test_a_server_that_echoes_can_score(server: Server) -> None:
    generator = ApiGenerator(server.url)
    assert generator.can_score
    # the answer's tokens are " to" and " tiger": (-2 + -5) / 2
    assert generator.score([("Who?", "to tiger"), ("Who?", "lion")]).tolist() == [-3.5, -4.0]


def test_a_server_that_does_not_echo_says_so_once(server: Server) -> None:
    server.echoes = False
    generator = ApiGenerator(server.url)
    assert not generator.can_score
    assert not generator.can_score
    assert len(server.seen) == 1
    with pytest.raises(ApiError, match="log-probabilities"):
        generator.score([("a", "b")])


def test_what_the_server_says_is_in_the_error(server: Server) -> None:
    server.breaks = True
    with pytest.raises(ApiError, match="503.*busy"):
        ApiGenerator(server.url, model="m").generate(["hello"])


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ApiError, match="did not answer"):
        ApiGenerator("http://127.0.0.1:9/v1", model="m").generate(["hello"])


def test_tokens_are_estimated_for_both_scripts() -> None:
    count = ApiGenerator("http://127.0.0.1:9/v1").count_tokens
    assert count("eight ch") == 2
    assert count("鸟能飞") == 3
