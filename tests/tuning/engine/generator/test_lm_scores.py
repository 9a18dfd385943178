"""LM scores of the candidates: cached, resumed, and written completely or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from curation.engine.generation.generator import TextGenerator
from curation.engine.generation.log_likelihood import ScoredBatch
from tests.openai_server import running_server
from tests.tiny_models import tiny_generator
from tuning.engine.data.examples import JudgedQuery, PassageText, write_passages, write_queries
from tuning.engine.generator import lm_scores
from tuning.engine.generator.lm_scores import QueryScores, ScoreCache, ScoringModel, ScoringRequest

PASSAGES = {"lion": "The lion hunts at night.", "otter": "An otter holds hands.", "crow": "A crow uses tools."}
QUERIES = [
    JudgedQuery("1", "Who hunts?", {"lion": 3.0}, answer="the lion"),
    JudgedQuery("2", "Who holds hands?", {"otter": 3.0, "gone": 2.0}, answer="an otter"),
    JudgedQuery("3", "Who flies to the moon?", is_unanswerable=True),
]
CANDIDATES = {"1": ["otter", "crow"], "2": ["crow", "otter", "lion"], "3": ["lion"]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TextGenerator:
    return TextGenerator(tiny_generator(tmp_path_factory.mktemp("weights") / "tiny"))


class CountingGenerator(TextGenerator):
    """A real generator that counts the pairs it scores, and stops after `max_batches` batches."""

    def __init__(self, real: TextGenerator, max_batches: int = 1000) -> None:
        self.__dict__.update(real.__dict__)
        self.scored, self.max_batches = 0, max_batches

    def score_batches(self, pairs: Sequence[tuple[str, str]]) -> Iterator[ScoredBatch]:
        for number, batch in enumerate(super().score_batches(pairs)):
            if number >= self.max_batches:
                raise KeyboardInterrupt
            self.scored += len(batch.rows)
            yield batch


def requests_for(generator: TextGenerator, depth: int = 2) -> list[ScoringRequest]:
    return lm_scores.build_requests(
        QUERIES, PASSAGES, CANDIDATES, "{passages} {question}", count_tokens=generator.count_tokens, depth=depth
    )


def test_a_request_holds_the_candidates_the_judged_passages_and_the_prompt_without_a_passage(
    tiny: TextGenerator,
) -> None:
    by_id = {request.query_id: request for request in requests_for(tiny)}
    assert set(by_id) == {"1", "2"}  # nothing to score without an answer
    assert by_id["1"].passage_ids == ("otter", "crow", "lion")  # judged, though not retrieved
    assert by_id["2"].passage_ids == ("crow", "otter")  # a passage that no longer exists cannot be scored
    assert by_id["1"].prompts[-1] == "(no text) Who hunts?"


def test_scores_are_the_generators_own(tiny: TextGenerator, tmp_path: Path) -> None:
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        scored = {
            one.query_id: one for one in lm_scores.score_requests(ScoringModel(tiny, "a"), requests_for(tiny), cache)
        }
    request = {request.query_id: request for request in requests_for(tiny)}["1"]
    expected = tiny.score([(prompt, "the lion") for prompt in request.prompts])
    assert list(scored["1"].scores) == ["otter", "crow", "lion"]
    assert list(scored["1"].scores.values()) == pytest.approx(expected[:-1].tolist(), abs=1e-4)
    assert scored["1"].without_passage == pytest.approx(expected[-1], abs=1e-4)


def test_a_second_pass_scores_nothing(tiny: TextGenerator, tmp_path: Path) -> None:
    generator = CountingGenerator(tiny)
    passes = []
    for _ in range(2):
        with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
            passes.append(list(lm_scores.score_requests(ScoringModel(generator, "a"), requests_for(tiny), cache)))
    assert passes[0] == passes[1]
    assert generator.scored == 7


def test_other_weights_another_template_or_another_answer_give_another_key(tiny: TextGenerator) -> None:
    one = ScoringModel(tiny, "a").key("prompt", "answer")
    others = [ScoringModel(tiny, "b").key("prompt", "answer"), ScoringModel(tiny, "a").key("prompt ", "answer")]
    others += [ScoringModel(tiny, "a").key("prompt", "other"), ScoringModel(tiny, "a").key("promptanswer", "")]
    assert len({one, *others}) == 5


def test_a_killed_pass_resumes_where_it_stopped(
    tiny: TextGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.engine.generation.log_likelihood.BATCH_TOKENS", 1)
    first, second = CountingGenerator(tiny, max_batches=3), CountingGenerator(tiny)
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache, pytest.raises(KeyboardInterrupt):
        list(lm_scores.score_requests(ScoringModel(first, "a"), requests_for(tiny), cache))
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        assert len(list(lm_scores.score_requests(ScoringModel(second, "a"), requests_for(tiny), cache))) == 2
    assert (first.scored, second.scored) == (3, 4)


def test_a_query_without_all_its_scores_is_left_out(
    tiny: TextGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.engine.generation.log_likelihood.BATCH_TOKENS", 1)
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        assert (
            list(lm_scores.score_requests(ScoringModel(tiny, "a"), requests_for(tiny), cache, budget_seconds=0)) == []
        )
        counted = CountingGenerator(tiny, max_batches=6)
        with pytest.raises(KeyboardInterrupt):
            list(lm_scores.score_requests(ScoringModel(counted, "a"), requests_for(tiny), cache))
        assert (
            len(list(lm_scores.score_requests(ScoringModel(tiny, "a"), requests_for(tiny), cache, budget_seconds=0)))
            == 1
        )


def test_progress_counts_pairs_to_the_total(tiny: TextGenerator, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        list(
            lm_scores.score_requests(
                ScoringModel(tiny, "a"), requests_for(tiny), cache, on_progress=lambda *step: seen.append(step)
            )
        )
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_the_file_is_what_the_retriever_reads(tmp_path: Path) -> None:
    from tuning.engine.retriever.candidates import read_lm_scores

    query_ids = lm_scores.write_scores(
        tmp_path / "scores.jsonl", [QueryScores("1", {"lion": -0.5, "crow": -2.0}, -3.0)]
    )
    scores = read_lm_scores(tmp_path / "scores.jsonl")
    assert query_ids == {"1"}
    assert scores["1"].scores == {"lion": -0.5, "crow": -2.0}
    assert scores["1"].without_passage == -3.0
    assert json.loads((tmp_path / "scores.jsonl").read_text())["query_id"] == "1"


@pytest.mark.parametrize(
    "queries_per_second, seconds_left, size",
    [(1.0, 100.0, 50), (1.0, 10.0, 16), (1.0, -5.0, 16), (10.0, 1e6, 512), (0.2, float("inf"), 512)],
)
def test_the_next_chunk_holds_half_of_the_queries_that_fit_into_the_time_left(
    queries_per_second: float, seconds_left: float, size: int
) -> None:
    assert lm_scores._next_chunk_size(queries_per_second, seconds_left) == size


def test_in_limited_time_the_first_queries_are_complete_before_all_are_started(
    tiny: TextGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lm_scores, "MIN_CHUNK", 1)
    generator = CountingGenerator(tiny)
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        scored = lm_scores.score_requests(ScoringModel(generator, "a"), requests_for(tiny), cache, budget_seconds=1000)
        first = next(scored)
        assert generator.scored == len(first.scores) + 1
        assert len(list(scored)) == 1


# As `python -m tuning.engine.generator.lm_scores` does; for a generator behind an API it must not load torch.
SCORES = """
import sys
from tuning.engine.generator import lm_scores
from tuning.engine.process import training_process

status = training_process.run_training(lm_scores.score_candidates, sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(status)
"""


def run_process(folder: Path, url: str, **query_ids: list[str]) -> tuple[int, str, Path]:
    """Run the scoring process as a training run does, with a remote generator: its status, last line and folder."""
    write_queries(folder / "queries.jsonl", QUERIES)
    write_passages(folder / "passages.jsonl", [PassageText(*item) for item in PASSAGES.items()])
    lists = "".join(json.dumps({"query_id": name, "passages": ids}) + "\n" for name, ids in CANDIDATES.items())
    (folder / "candidates.jsonl").write_text(lists)
    spec = {
        **{name: str(folder / f"{name}.jsonl") for name in ("queries", "passages", "candidates")},
        "base": url,
        "adapter": "",
        "cache_dir": str(folder),
        "score_cache": str(folder / "scores.sqlite3"),
        "prompt": "{passages} {question}",
        "threads": 1,
        **query_ids,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-c", SCORES, str(folder / "spec.json"), str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr.strip().split("\n")[-1], folder / "out"


@pytest.mark.slow
def test_a_remote_generator_scores_where_its_server_returns_log_probabilities(tmp_path: Path) -> None:
    with running_server() as server:
        status, last_line, out = run_process(tmp_path, server.url)
        assert status == 0, last_line
        requests = len(server.seen)
        assert run_process(tmp_path, server.url)[0] == 0  # from the cache: only `can_score` is tested again
        assert len(server.seen) == requests + 1
    rows = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    # the parrot's log-probability of a word is minus its letters: "the" and "lion" are (-3 - 4) / 2
    assert {row["query_id"]: row["without_passage"] for row in rows} == {"1": -3.5, "2": -3.5}
    assert set(rows[0]["scores"]) <= set(PASSAGES)


@pytest.mark.slow
def test_only_the_named_queries_are_scored_and_counted_by_their_purpose(tmp_path: Path) -> None:
    with running_server() as server:
        outcomes = []
        for supervised, others in (["1"], []), ([], ["2"]), (["2"], ["1", "2"]):
            query_ids = {"supervised_queries": supervised, "disagreement_queries": others}
            status, last_line, out = run_process(tmp_path, server.url, **query_ids)
            assert status == 0, last_line
            result = json.loads((out / "result.json").read_text())
            rows = [json.loads(line)["query_id"] for line in (out / "scores.jsonl").read_text().splitlines()]
            counts = (result["supervised_scored"], result["supervised_total"], result["disagreement_scored"])
            outcomes.append((rows, *counts))
    assert outcomes == [(["1"], 1, 1, 0), (["2"], 0, 0, 1), (["2", "1"], 1, 1, 1)]


@pytest.mark.slow
def test_a_remote_generator_that_cannot_score_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    with running_server() as server:
        server.echoes = False
        status, last_line, out = run_process(tmp_path, server.url)
    assert status == 1
    assert last_line == "the server does not return log-probabilities: human grades alone can be used"
    assert not (out / "scores.jsonl").exists()
