"""tuning/engine/retriever/train_retriever.py as a process, on an encoder of one small layer and made-up words."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common import artifacts
from common.renamed_keys import RENAMED_KEYS
from retrieval.engine.encoders.bi_encoder import TextEncoder
from tests.tiny_models import make_text, tiny_encoder
from tuning.engine.data import examples
from tuning.engine.data.examples import JudgedQuery, PassageText
from tuning.engine.generator.generator_spec import GeneratorSettings
from tuning.engine.process.training_process import MetricsLog, TrainingError, run_training
from tuning.engine.process.training_state import RESUMED, TrainingState
from tuning.engine.reranker import reranker_spec
from tuning.engine.reranker.reranker_spec import RerankerSettings
from tuning.engine.retriever import dev_evaluation, retriever_spec, train_retriever
from tuning.engine.retriever.retriever_spec import RetrieverSettings

Train = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def spec(tiny: Path, tmp_path: Path) -> dict[str, Any]:
    """60 passages of the first 30 words; each query is two words of one of them, translated to the other 30 words."""
    offsets = [(0, 7, 19), (0, 4, 11)]
    passages = [[(at + step) % 30 for step in offsets[at // 30]] for at in range(60)]
    examples.write_passages(
        tmp_path / "p.jsonl", [PassageText(f"p{at}", make_text(t, 0)) for at, t in enumerate(passages)]
    )
    queries = [
        JudgedQuery(
            f"q{at}",
            make_text(words[:2] if at % 2 else words[1:], 30),
            {f"p{at}": 3.0, f"p{(at + 1) % 60}": 0.0},
            split="dev" if at % 5 == 0 else "train",
        )
        for at, words in enumerate(passages)
    ]
    examples.write_queries(tmp_path / "q.jsonl", queries)
    return {
        "queries": str(tmp_path / "q.jsonl"),
        "passages": str(tmp_path / "p.jsonl"),
        "query_path": str(tiny),
        "passage_path": str(tiny),
        "threads": 1,
        "seed": 4,
        "settings": {
            "strategies": ["query", "both"],
            "dual_batch_size": 16,
            "query_batch_size": 16,
            "dual_epochs": 12,
            "dual_lr": 0.005,
            "query_epochs": 2,
        },
    }


@pytest.fixture
def train(tmp_path: Path, restored_process_state: None) -> Train:
    """Train inside this process."""

    def run_here(spec: dict[str, Any], name: str = "out") -> dict[str, Any]:
        out = tmp_path / name
        out.mkdir()
        return train_retriever.train(spec, out, MetricsLog(out / "metrics.jsonl"))

    return run_here


def arguments(spec: dict[str, Any], out: Path) -> list[str]:
    """Write the specification into the folder; return the arguments of the process."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "spec.json").write_text(json.dumps(spec))
    return [str(out / "spec.json"), str(out)]


@pytest.mark.slow
def test_every_strategy_is_tried_and_dev_chooses(spec: dict[str, Any], train: Train, tmp_path: Path) -> None:
    result = train(spec)
    values = result["dev"]
    assert values[result["choice"]] == max(values.values()) >= values["base"]
    assert result["choice"] == "both" and values["both"] > values["base"] + 0.05
    artifacts.verify(Path(result["query_path"]), result["query_hash"])
    artifacts.verify(Path(result["passage_path"]), result["passage_hash"])
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert {line["candidate"] for line in lines} == {"base", "query", "both"}
    assert lines[-1]["step"] == lines[-1]["steps"] == 3 * 2 + 3 * 12 and lines[-1]["seconds_left"] == 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_others(spec: dict[str, Any], train: Train) -> None:
    spec["settings"] |= {"strategies": ["both"], "dual_epochs": 6}
    hashes = [train(spec | {"seed": seed}, str(number))["query_hash"] for number, seed in enumerate((4, 4, 5))]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.slow
def test_the_checkpoint_loads_as_an_ordinary_encoder(spec: dict[str, Any], train: Train, tmp_path: Path) -> None:
    from retrieval.engine.encoders.bi_encoder import TextEncoder
    from tuning.engine.retriever.trainable_encoder import TrainableEncoder

    rows = examples.read_queries(Path(spec["queries"]))
    examples.write_queries(Path(spec["queries"]), [replace(row, split="train") for row in rows])
    spec["settings"] |= {"strategies": ["both"], "dual_epochs": 1, "dual_train_tokens": 2, "dual_max_tokens": 3}
    result = train(spec)
    encoder = TextEncoder(result["query_path"], result["passage_path"])
    assert result["choice"] == "both"  # without dev queries nothing can be compared
    assert encoder.max_tokens == 3  # as in the dev evaluation; training may truncate more
    texts = ["ba de", "fi go ku la"]
    assert np.allclose(
        encoder.encode_passages(texts), TrainableEncoder(result["passage_path"]).encode_passages(texts), atol=1e-6
    )


@pytest.mark.slow
def test_the_checkpoint_names_its_lead_tokens(spec: dict[str, Any], train: Train) -> None:
    from retrieval.engine.encoders import lead_pooling
    from retrieval.engine.encoders.bi_encoder import TextEncoder
    from tuning.engine.retriever.trainable_encoder import TrainableEncoder

    rows = examples.read_queries(Path(spec["queries"]))
    examples.write_queries(Path(spec["queries"]), [replace(row, split="train") for row in rows])
    spec["settings"] |= {"strategies": ["both"], "dual_epochs": 1, "dual_lead_tokens": [3]}
    result = train(spec)
    assert lead_pooling.lead_tokens(Path(result["passage_path"])) == (3,)
    texts = ["ba de", "fi go ku la"]
    served = TextEncoder(result["query_path"], result["passage_path"]).encode_passages(texts)
    encoder = TrainableEncoder(result["passage_path"])
    assert np.allclose(served, encoder.encode_passages(texts), atol=1e-6)
    assert not np.allclose(served, encoder.encode(texts), atol=1e-3)
    spec["settings"] |= {"dual_lead_tokens": [0]}
    with pytest.raises(TrainingError, match="dual_lead_tokens"):
        train(spec, "second")


def test_training_truncates_a_text_and_serving_does_not(tiny: Path) -> None:
    from tuning.engine.retriever.trainable_encoder import TrainableEncoder

    encoder = TrainableEncoder(tiny)
    with encoder.truncated(3):  # [CLS] ba [SEP]
        assert np.allclose(encoder.encode(["ba de fi"]), encoder.encode(["ba"]))
    assert not np.allclose(encoder.encode(["ba de fi"]), encoder.encode(["ba"]))
    with encoder.truncated(None):
        assert encoder.model.max_seq_length == 32


@pytest.mark.slow
def test_the_query_encoder_strategy_keeps_the_passage_side(spec: dict[str, Any], train: Train, tiny: Path) -> None:
    spec["settings"] |= {"strategies": ["query"], "query_lr": 0.005, "query_epochs": 20, "anchor_weight": 0.1}
    result = train(spec)
    assert result["choice"] == "query" and result["passage_path"] == str(tiny)
    assert result["passage_hash"] == artifacts.folder_hash(tiny) != result["query_hash"]


@pytest.mark.slow
def test_the_query_adapter_is_a_matrix_behind_the_query_encoder(spec: dict[str, Any], train: Train, tiny: Path) -> None:
    spec["settings"] |= {
        "strategies": ["adapter"],
        "adapter_lr": 0.02,
        "adapter_epochs": 30,
        "adapter_anchor_weight": 0.0,
    }
    result = train(spec)
    assert result["choice"] == "adapter" and result["passage_path"] == str(tiny)
    assert result["dev"]["adapter"] > result["dev"]["base"]
    before, after = TextEncoder(str(tiny), str(tiny)), TextEncoder(result["query_path"], str(tiny))
    texts = [row.text for row in examples.read_queries(Path(spec["queries"]))[:9]]
    old, new = before.encode_queries(texts), after.encode_queries(texts)
    matrix, *_rest = np.linalg.lstsq(old, new, rcond=None)  # nine vectors in eight dimensions: a matrix or not
    projected = old @ matrix
    assert not np.allclose(old, new, atol=1e-3)
    assert np.allclose((projected / np.linalg.norm(projected, axis=1, keepdims=True) * new).sum(1), 1, atol=0.05)


@pytest.mark.slow
def test_a_strong_anchor_holds_the_matrix_at_the_identity(spec: dict[str, Any], train: Train, tiny: Path) -> None:
    spec["settings"] |= {"strategies": ["adapter"], "adapter_anchor_weight": 1e6, "use_whitening": False}
    result = train(spec)
    texts = [row.text for row in examples.read_queries(Path(spec["queries"]))[:9]]
    old = TextEncoder(str(tiny), str(tiny)).encode_queries(texts)
    new = TextEncoder(result["query_path"], str(tiny)).encode_queries(texts)
    assert (old * new).sum(1).min() > 0.99


class Killed(BaseException):
    """Stands for a signal nobody can catch."""


@pytest.mark.slow
def test_a_killed_training_resumes_and_ends_with_the_same_weights_and_curves(
    spec: dict[str, Any], tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec["state_seconds"] = 0
    whole = train(spec, "whole")
    assert whole["choice"] == "both"
    out = tmp_path / "out"
    out.mkdir()
    real = TrainingState.save
    for saves in (3, 12):  # inside the first strategy, then inside the second
        left = [saves]

        def save(self: TrainingState, *arguments: Any, left: list[int] = left, **options: Any) -> bool:
            left[0] -= 1
            if not left[0]:
                raise Killed
            return real(self, *arguments, **options)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(TrainingState, "save", save)
            train_retriever.train(spec, out, MetricsLog(out / "metrics.jsonl"))
        assert not (out / "checkpoint").exists()
    (out / "checkpoint").mkdir()  # of a process killed before its result
    result = train_retriever.train(spec, out, MetricsLog(out / "metrics.jsonl"))
    assert (result["choice"], result["query_hash"]) == (whole["choice"], whole["query_hash"])

    def points(training: dict[str, Any]) -> dict[str, list[tuple[int, float | None]]]:
        return {
            name: [(line["step"], line.get("loss", line.get("dev"))) for line in curve]
            for name, curve in training["curves"].items()
        }

    assert points(result) == points(whole)
    assert (out / "metrics.jsonl").read_text().count(RESUMED) == 2


@pytest.mark.slow
def test_a_training_that_harms_leaves_the_base(spec: dict[str, Any], train: Train, tiny: Path) -> None:
    """The training queries are those of dev, with the grades reversed."""
    rows = examples.read_queries(Path(spec["queries"]))
    texts = [" ".join(passage.text.split()[:2]) for passage in examples.read_passages(Path(spec["passages"]))]
    reversed_rows = [
        replace(row, text=texts[at])  # a dev query has its passage's own words, and the base finds it
        if row.split == "dev"
        else replace(row, text=texts[at - at % 5], grades={f"p{at}": 3.0, f"p{at - at % 5}": 0.0})
        for at, row in enumerate(rows)
    ]
    examples.write_queries(Path(spec["queries"]), reversed_rows)
    spec["settings"] |= {"strategies": ["both"], "dual_epochs": 30, "dual_lr": 0.02}
    result = train(spec)
    assert result["choice"] == "base" and result["query_path"] == str(tiny)
    assert result["dev"]["both"] < result["dev"]["base"]


@pytest.mark.slow
def test_a_budget_shortens_the_training(spec: dict[str, Any], train: Train, tmp_path: Path) -> None:
    spec["settings"] |= {"strategies": ["both"], "dual_epochs": 100_000}
    result = train(spec | {"budget_seconds": 3})
    assert 4 <= len([line for line in result["curves"]["both"] if "loss" in line]) < 300_000
    assert result["record"]["seconds"] < 60


def test_too_few_queries_are_refused_in_one_line(
    spec: dict[str, Any], tmp_path: Path, restored_process_state: None, capsys: pytest.CaptureFixture[str]
) -> None:
    examples.write_queries(Path(spec["queries"]), examples.read_queries(Path(spec["queries"]))[:3])
    assert run_training(train_retriever.train, arguments(spec, tmp_path / "out")) == 1
    assert not (tmp_path / "out" / "result.json").exists()
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("2 training queries have grades")


@pytest.mark.slow
def test_grades_of_zero_alone_are_refused(spec: dict[str, Any], train: Train) -> None:
    rows = examples.read_queries(Path(spec["queries"]))
    examples.write_queries(Path(spec["queries"]), [replace(row, grades={"p3": 0.0}) for row in rows])
    with pytest.raises(TrainingError, match="nothing to draw nearer"):
        train(spec)


@pytest.mark.slow
def test_a_stopped_training_leaves_nothing_loadable(spec: dict[str, Any], tmp_path: Path) -> None:
    spec["settings"] |= {"dual_epochs": 100_000}
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tuning.engine.retriever.train_retriever", *arguments(spec, out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while not (out / "metrics.jsonl").exists() or '"loss"' not in (out / "metrics.jsonl").read_text():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    # A training state is not loadable as weights; the next process resumes from it.
    assert {path.name for path in out.iterdir()} <= {"metrics.jsonl", "spec.json", "query.state", "both.state"}


def test_an_unknown_setting_is_refused(spec_without_files: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="unknown keys: epoch"):
        retriever_spec.read_spec(spec_without_files | {"settings": {"epoch": 3}})
    with pytest.raises(TrainingError, match="lacks passages"):
        retriever_spec.read_spec(spec_without_files | {"passages": ""})
    with pytest.raises(TrainingError, match="strategies"):
        retriever_spec.read_spec(spec_without_files | {"settings": {"strategies": ["linear"]}})


def test_the_bases_temperature_stays_unless_the_settings_name_one(spec_without_files: dict[str, Any]) -> None:
    content = spec_without_files | {"temperature": 0.03}
    assert retriever_spec.read_spec(content).settings.temperature == 0.03
    assert retriever_spec.read_spec(content | {"settings": {"temperature": 0.1}}).settings.temperature == 0.1


def test_keys_of_an_earlier_version_are_read(spec_without_files: dict[str, Any]) -> None:
    old = {"roads": ["query"], "both_reads": "whole", "both_batch": 8, "both_beginnings": [3], "near": 0.9, "lm": 0.5}
    spec = retriever_spec.read_spec(spec_without_files | {"settings": old | {"whitens": False}, "bookmark_seconds": 5})
    assert spec.state_seconds == 5
    assert spec.settings == RetrieverSettings(
        strategies=("query",),
        passage_span="whole",
        dual_batch_size=8,
        dual_lead_tokens=(3,),
        false_negative_ratio=0.9,
        lm_weight=0.5,
        use_whitening=False,
    )


def test_every_renamed_key_is_a_setting_of_today() -> None:
    for kind, settings in (
        ("retriever settings", RetrieverSettings),
        ("generator settings", GeneratorSettings),
        ("reranker settings", RerankerSettings),
        ("retriever specification", retriever_spec.RetrieverSpec),
        ("reranker specification", reranker_spec.RerankerSpec),
    ):
        names = {entry.name for entry in fields(settings)}
        assert set(RENAMED_KEYS[kind].values()) <= names and not names & set(RENAMED_KEYS[kind])


@pytest.fixture
def spec_without_files() -> dict[str, Any]:
    return {"queries": "q", "passages": "p", "query_path": "e", "passage_path": "e"}


def test_the_dev_pool_holds_judged_passages_then_the_rankings_rank_by_rank() -> None:
    queries = [JudgedQuery("q0", "?", {"a": 3}), JudgedQuery("q1", "?", {"b": 3}), JudgedQuery("q2", "?", {"c": 0})]
    rows = {name: at for at, name in enumerate("abcdefgh")}
    rankings = {0: np.array([3, 4]), 1: np.array([5, 6]), 2: np.array([7])}
    dev = dev_evaluation.build_dev_set(queries, [True] * 3, rows, rankings, 10, 4, 0)
    assert dev.ids == ["q0", "q1"]  # q2 has no relevant passage
    assert dev.pool.tolist() == [0, 1, 3, 5]
    # q0 finds a first: 1; q1 finds b second: 1 / log2(3) = 0.63093
    scores = np.array([[9, 1, 2, 3], [0, 5, 9, 1]], np.float32)
    assert dev.evaluate(scores, np.eye(4, dtype=np.float32)) == pytest.approx((1 + 0.63093) / 2, abs=1e-5)


def test_candidates_of_a_large_corpus_are_judged_first_ranked_and_random_passages(
    spec: dict[str, Any],
) -> None:
    examples.write_queries(Path(spec["queries"]), examples.read_queries(Path(spec["queries"]))[:20])
    spec["settings"] |= {"max_candidates": 50, "ranking_depth": 1}
    data = train_retriever.load(retriever_spec.read_spec(spec)).data
    assert len(data.candidate_rows) == 50 and (np.diff(data.candidate_rows) > 0).all()
    for example in data.examples:
        first = int(np.argmax(data.base_scores(example)))
        assert {first, *example.judged_rows.tolist()} <= set(data.candidate_rows.tolist())


@pytest.mark.slow
def test_the_next_cycle_starts_from_two_sides_that_differ(spec: dict[str, Any], train: Train) -> None:
    """The first query side has a head; the second's dual encoder starts with the passage side and a new head."""
    spec["settings"] |= {"strategies": ["both"]}
    first = train(spec)
    sides = {name: first[name] for name in ("query_path", "passage_path", "query_hash", "passage_hash")}
    assert first["choice"] == "both" and first["query_hash"] != first["passage_hash"]
    second = train(spec | sides, "second")
    assert second["dev"]["base"] == pytest.approx(first["dev"]["both"], abs=1e-6)
    assert second["dev"][second["choice"]] >= second["dev"]["base"]


def test_the_language_model_supervises_queries_without_a_passage_graded_relevant(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    rows = [replace(row, split="train") for row in examples.read_queries(Path(spec["queries"]))]
    rows[0] = replace(rows[0], grades={"p0": 0.0})
    rows[1] = replace(rows[1], grades={})
    examples.write_queries(Path(spec["queries"]), rows)
    scores = [{"query_id": row.query_id, "scores": {"p3": -1.0, "p4": -2.0}, "without_passage": None} for row in rows]
    (tmp_path / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scores))
    spec |= {"scores": str(tmp_path / "scores.jsonl")}

    def scored_rows(**settings: Any) -> list[int]:
        read = retriever_spec.read_spec(spec | {"settings": spec["settings"] | settings})
        return [example.row for example in train_retriever.load(read).data.examples if len(example.scored_rows)]

    assert scored_rows() == [0, 1]
    assert scored_rows(lm_on_graded_queries=True) == list(range(60))
    assert scored_rows(human_weight=0.0) == list(range(60))
