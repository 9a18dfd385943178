"""A generator behind a server: a real HTTP server on this machine speaks the protocol."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from curation.engine.generation import api_generator
from curation.engine.generation.api_generator import ApiError, ApiGenerator
from tests.openai_server import Server, running_server


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


def test_answers_have_the_order_of_the_prompts(server: Server) -> None:
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


def test_a_server_that_does_not_echo_is_tested_once(server: Server) -> None:
    server.echoes = False
    generator = ApiGenerator(server.url)
    assert not generator.can_score
    assert not generator.can_score
    assert len(server.seen) == 1
    with pytest.raises(ApiError, match="log-probabilities"):
        generator.score([("a", "b")])


@pytest.mark.parametrize("shift", [-3, 4])
def test_offsets_that_do_not_fit_the_text_are_not_used(server: Server, shift: int) -> None:
    """Some servers count a token before the text that is not in it: every answer would begin too late."""
    server.shift = shift
    generator = ApiGenerator(server.url)
    assert not generator.can_score
    with pytest.raises(ApiError, match="log-probabilities"):
        generator.score([("a", "b")])


def test_a_server_error_while_scoring_is_tested_is_raised_and_the_test_is_repeated(
    server: Server,
) -> None:
    generator = ApiGenerator(server.url, model="m")
    server.breaks = True
    with pytest.raises(ApiError, match="503"):
        assert generator.can_score
    server.breaks = False
    assert generator.can_score


def test_the_message_of_the_server_is_in_the_error(server: Server) -> None:
    server.breaks = True
    with pytest.raises(ApiError, match="503.*busy"):
        ApiGenerator(server.url, model="m").generate(["hello"])


def test_an_unreachable_server_is_an_error() -> None:
    with pytest.raises(ApiError, match="did not answer"):
        ApiGenerator("http://127.0.0.1:9/v1", model="m").generate(["hello"])


def test_tokens_are_estimated_for_both_scripts() -> None:
    count = ApiGenerator("http://127.0.0.1:9/v1").count_tokens
    assert count("eight ch") == 2
    assert count("鸟能飞") == 3


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve with this handler; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_redirect_is_not_followed() -> None:
    class Redirect(BaseHTTPRequestHandler):
        asked: ClassVar[list[str]] = []

        def do_GET(self) -> None:
            self.asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with serving(Redirect) as url, pytest.raises(ApiError, match="answered 302"):
        ApiGenerator(url, key="secret").model  # noqa: B018
    assert Redirect.asked == ["/models"]


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b" " * 65536)

        def log_message(self, *_args: object) -> None:
            pass

    monkeypatch.setattr(api_generator, "MAX_ANSWER_BYTES", 1_000_000)
    with serving(Endless) as url, pytest.raises(ApiError, match="larger than 1000000 bytes"):
        ApiGenerator(url).model  # noqa: B018
