"""A generator behind a server: a real HTTP server on this machine speaks the protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from curation.engine.generation.api_generator import ApiError, ApiGenerator
from tests.parrot import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


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


@pytest.mark.parametrize("shift", [-3, 4])
def test_offsets_that_are_not_those_of_the_text_are_not_trusted(server: Server, shift: int) -> None:
    """Some servers count a mark before the text, which is not in it: every answer would begin too late."""
    server.shift = shift
    generator = ApiGenerator(server.url)
    assert not generator.can_score
    with pytest.raises(ApiError, match="log-probabilities"):
        generator.score([("a", "b")])


def test_a_server_that_breaks_while_it_is_asked_whether_it_can_score_is_an_error_and_asked_again(
    server: Server,
) -> None:
    generator = ApiGenerator(server.url, model="m")
    server.breaks = True
    with pytest.raises(ApiError, match="503"):
        assert generator.can_score
    server.breaks = False
    assert generator.can_score


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
