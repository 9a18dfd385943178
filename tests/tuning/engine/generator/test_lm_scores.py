"""ℓ of the candidates: kept, resumed, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from curation.engine.generation.generator import TextGenerator
from curation.engine.generation.log_likelihood import Scored
from tests.parrot import serving
from tests.tiny import tiny_generator
from tuning.engine.data.examples import JudgedQuery, PassageText, write_passages, write_queries
from tuning.engine.generator import lm_scores
from tuning.engine.generator.lm_scores import Asker, Job, QueryScores, ScoreCache

PASSAGES = {"lion": "The lion hunts at night.", "otter": "An otter holds hands.", "crow": "A crow uses tools."}
QUERIES = [
    JudgedQuery("1", "Who hunts?", {"lion": 3.0}, answer="the lion"),
    JudgedQuery("2", "Who holds hands?", {"otter": 3.0, "gone": 2.0}, answer="an otter"),
    JudgedQuery("3", "Who flies to the moon?", is_unanswerable=True),
]
FOUND = {"1": ["otter", "crow"], "2": ["crow", "otter", "lion"], "3": ["lion"]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TextGenerator:
    return TextGenerator(tiny_generator(tmp_path_factory.mktemp("weights") / "tiny"))


class Counting(TextGenerator):
    """A real generator that counts what it is asked, and stops after `most` batches."""

    def __init__(self, real: TextGenerator, most: int = 1000) -> None:
        self.__dict__.update(real.__dict__)
        self.asked, self.most = 0, most

    def score_batches(self, pairs: Sequence[tuple[str, str]]) -> Iterator[Scored]:
        for number, batch in enumerate(super().score_batches(pairs)):
            if number >= self.most:
                raise KeyboardInterrupt
            self.asked += len(batch.rows)
            yield batch


def todo(generator: TextGenerator, depth: int = 2) -> list[Job]:
    return lm_scores.jobs(
        QUERIES, PASSAGES, FOUND, "{passages} {question}", count_tokens=generator.count_tokens, depth=depth
    )


def test_a_job_holds_the_candidates_the_judged_and_the_bare_question(tiny: TextGenerator) -> None:
    by_id = {job.query_id: job for job in todo(tiny)}
    assert set(by_id) == {"1", "2"}  # nothing to score without an answer
    assert by_id["1"].passage_ids == ("otter", "crow", "lion")  # judged, though not retrieved
    assert by_id["2"].passage_ids == ("crow", "otter")  # a passage that is gone cannot be scored
    assert by_id["1"].prompts[-1] == "(no text) Who hunts?"


def test_scores_are_the_generators_own(tiny: TextGenerator, tmp_path: Path) -> None:
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        found = {one.query_id: one for one in lm_scores.score(Asker(tiny, "a"), todo(tiny), cache)}
    job = {job.query_id: job for job in todo(tiny)}["1"]
    expected = tiny.score([(prompt, "the lion") for prompt in job.prompts])
    assert list(found["1"].scores) == ["otter", "crow", "lion"]
    assert list(found["1"].scores.values()) == pytest.approx(expected[:-1].tolist(), abs=1e-4)
    assert found["1"].without_passage == pytest.approx(expected[-1], abs=1e-4)


def test_a_second_pass_asks_nothing(tiny: TextGenerator, tmp_path: Path) -> None:
    generator = Counting(tiny)
    passes = []
    for _ in range(2):
        with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
            passes.append(list(lm_scores.score(Asker(generator, "a"), todo(tiny), cache)))
    assert passes[0] == passes[1]
    assert generator.asked == 7


def test_other_weights_another_template_or_another_answer_are_other_keys(tiny: TextGenerator) -> None:
    one = Asker(tiny, "a").key("prompt", "answer")
    others = [Asker(tiny, "b").key("prompt", "answer"), Asker(tiny, "a").key("prompt ", "answer")]
    others += [Asker(tiny, "a").key("prompt", "other"), Asker(tiny, "a").key("promptanswer", "")]
    assert len({one, *others}) == 5


def test_a_killed_pass_goes_on_where_it_stood(
    tiny: TextGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.engine.generation.log_likelihood.BATCH_TOKENS", 1)
    first, second = Counting(tiny, most=3), Counting(tiny)
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache, pytest.raises(KeyboardInterrupt):
        list(lm_scores.score(Asker(first, "a"), todo(tiny), cache))
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        assert len(list(lm_scores.score(Asker(second, "a"), todo(tiny), cache))) == 2
    assert (first.asked, second.asked) == (3, 4)


def test_a_query_without_all_its_scores_is_left_out(
    tiny: TextGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.engine.generation.log_likelihood.BATCH_TOKENS", 1)
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        assert list(lm_scores.score(Asker(tiny, "a"), todo(tiny), cache, budget_seconds=0)) == []
        counted = Counting(tiny, most=6)
        with pytest.raises(KeyboardInterrupt):
            list(lm_scores.score(Asker(counted, "a"), todo(tiny), cache))
        assert len(list(lm_scores.score(Asker(tiny, "a"), todo(tiny), cache, budget_seconds=0))) == 1


def test_progress_counts_pairs_to_the_total(tiny: TextGenerator, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        list(lm_scores.score(Asker(tiny, "a"), todo(tiny), cache, on_progress=lambda *step: seen.append(step)))
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_the_file_is_what_the_retriever_reads(tmp_path: Path) -> None:
    from tuning.engine.retriever.candidates import read_lm_scores

    told = lm_scores.write(tmp_path / "scores.jsonl", [QueryScores("1", {"lion": -0.5, "crow": -2.0}, -3.0)])
    found = read_lm_scores(tmp_path / "scores.jsonl")
    assert told == {"1"}
    assert found["1"].scores == {"lion": -0.5, "crow": -2.0}
    assert found["1"].without_passage == -3.0
    assert json.loads((tmp_path / "scores.jsonl").read_text())["query_id"] == "1"


@pytest.mark.parametrize(
    "pace, left, size",
    [(1.0, 100.0, 50), (1.0, 10.0, 16), (1.0, -5.0, 16), (10.0, 1e6, 512), (0.2, float("inf"), 512)],
)
def test_half_of_what_the_time_is_enough_for_is_scored_together_next(pace: float, left: float, size: int) -> None:
    assert lm_scores._next_size(pace, left) == size


def test_in_a_limited_time_the_first_queries_are_whole_before_all_are_begun(
    tiny: TextGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lm_scores, "LEAST_AT_ONCE", 1)
    generator = Counting(tiny)
    with closing(ScoreCache(tmp_path / "scores.sqlite")) as cache:
        found = lm_scores.score(Asker(generator, "a"), todo(tiny), cache, budget_seconds=1000)
        first = next(found)
        assert generator.asked == len(first.scores) + 1
        assert len(list(found)) == 1


# As `python -m tuning.engine.generator.lm_scores` does; for a generator behind an API it must not load torch.
SCORES = """
import sys
from tuning.engine.generator import lm_scores
from tuning.engine.process import training_process

status = training_process.run(lm_scores.fit, sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(status)
"""


def by_process(folder: Path, url: str, **chosen: list[str]) -> tuple[int, str, Path]:
    """The scoring process as a run starts it, with a generator elsewhere: its status, its last word, its folder."""
    write_queries(folder / "queries.jsonl", QUERIES)
    write_passages(folder / "passages.jsonl", [PassageText(*item) for item in PASSAGES.items()])
    lists = "".join(json.dumps({"query_id": name, "passages": ids}) + "\n" for name, ids in FOUND.items())
    (folder / "candidates.jsonl").write_text(lists)
    spec = {
        **{name: str(folder / f"{name}.jsonl") for name in ("queries", "passages", "candidates")},
        "base": url,
        "adapter": "",
        "cache_dir": str(folder),
        "score_cache": str(folder / "scores.sqlite3"),
        "prompt": "{passages} {question}",
        "threads": 1,
        **chosen,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-c", SCORES, str(folder / "spec.json"), str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr.strip().split("\n")[-1], folder / "out"


@pytest.mark.slow
def test_a_generator_elsewhere_scores_where_its_server_tells_log_probabilities(tmp_path: Path) -> None:
    with serving() as server:
        status, said, out = by_process(tmp_path, server.url)
        assert status == 0, said
        asked = len(server.seen)
        assert by_process(tmp_path, server.url)[0] == 0  # from the cache: only whether it can is asked again
        assert len(server.seen) == asked + 1
    rows = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    # the parrot's log-probability of a word is minus its letters: "the" and "lion" are (-3 - 4) / 2
    assert {row["query_id"]: row["without_passage"] for row in rows} == {"1": -3.5, "2": -3.5}
    assert set(rows[0]["scores"]) <= set(PASSAGES)


@pytest.mark.slow
def test_only_the_queries_that_were_named_are_scored_and_counted_by_what_they_are_for(tmp_path: Path) -> None:
    with serving() as server:
        told = []
        for teach, beside in (["1"], []), ([], ["2"]), (["2"], ["1", "2"]):
            status, said, out = by_process(tmp_path, server.url, teach=teach, beside=beside)
            assert status == 0, said
            result = json.loads((out / "result.json").read_text())
            rows = [json.loads(line)["query_id"] for line in (out / "scores.jsonl").read_text().splitlines()]
            told.append((rows, result["queries"], result["of"], result["beside"]))
    assert told == [(["1"], 1, 1, 0), (["2"], 0, 0, 1), (["2", "1"], 1, 1, 1)]


@pytest.mark.slow
def test_a_generator_elsewhere_that_cannot_score_is_said_to_leave_human_grades_alone(tmp_path: Path) -> None:
    with serving() as server:
        server.echoes = False
        status, said, out = by_process(tmp_path, server.url)
    assert status == 1
    assert said == "the server does not return log-probabilities: human grades alone can be used"
    assert not (out / "scores.jsonl").exists()
