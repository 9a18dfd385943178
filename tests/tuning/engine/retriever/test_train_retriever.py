"""tuning/engine/retriever/train_retriever.py as a process, on an encoder of one small layer and made-up words."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common import artifacts
from retrieval.engine.encoders.bi_encoder import TextEncoder
from tests.tiny import said, tiny_encoder
from tuning.engine.data import examples
from tuning.engine.data.examples import JudgedQuery, PassageText
from tuning.engine.process.checkpoints import Bookmark
from tuning.engine.process.training_process import CannotFit, Log, run
from tuning.engine.retriever import dev_evaluation, retriever_spec, strategies, train_retriever

Fit = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def spec(tiny: Path, tmp_path: Path) -> dict[str, Any]:
    """60 passages in the first 30 words; each query asks for two words of one of them in words of its own."""
    offsets = [(0, 7, 19), (0, 4, 11)]
    passages = [[(at + step) % 30 for step in offsets[at // 30]] for at in range(60)]
    examples.write_passages(tmp_path / "p.jsonl", [PassageText(f"p{at}", said(t, 0)) for at, t in enumerate(passages)])
    queries = [
        JudgedQuery(
            f"q{at}",
            said(words[:2] if at % 2 else words[1:], 30),
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
            "roads": ["query", "both"],
            "both_batch": 16,
            "query_batch": 16,
            "both_epochs": 12,
            "both_lr": 0.005,
            "query_epochs": 2,
        },
    }


@pytest.fixture
def fit(tmp_path: Path, left_as_it_was: None) -> Fit:
    """Carry out a training inside this process."""

    def carry_out(spec: dict[str, Any], name: str = "out") -> dict[str, Any]:
        out = tmp_path / name
        out.mkdir()
        return train_retriever.fit(spec, out, Log(out / "metrics.jsonl"))

    return carry_out


def arguments(spec: dict[str, Any], out: Path) -> list[str]:
    """What its process is told, the specification being written into the folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "spec.json").write_text(json.dumps(spec))
    return [str(out / "spec.json"), str(out)]


@pytest.mark.slow
def test_both_roads_are_walked_and_dev_chooses(spec: dict[str, Any], fit: Fit, tmp_path: Path) -> None:
    result = fit(spec)
    values = result["dev"]
    assert values[result["choice"]] == max(values.values()) >= values["base"]
    assert result["choice"] == "both" and values["both"] > values["base"] + 0.05
    artifacts.verify(Path(result["query_path"]), result["query_hash"])
    artifacts.verify(Path(result["passage_path"]), result["passage_hash"])
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert {line["candidate"] for line in lines} == {"base", "query", "both"}
    assert lines[-1]["step"] == lines[-1]["steps"] == 3 * 2 + 3 * 12 and lines[-1]["seconds_left"] == 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_others(spec: dict[str, Any], fit: Fit) -> None:
    spec["settings"] |= {"roads": ["both"], "both_epochs": 6}
    hashes = [fit(spec | {"seed": seed}, str(number))["query_hash"] for number, seed in enumerate((4, 4, 5))]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.slow
def test_the_checkpoint_loads_as_an_ordinary_encoder(spec: dict[str, Any], fit: Fit, tmp_path: Path) -> None:
    from retrieval.engine.encoders.bi_encoder import TextEncoder
    from tuning.engine.retriever.trainable_encoder import Tower

    rows = examples.read_queries(Path(spec["queries"]))
    examples.write_queries(Path(spec["queries"]), [replace(row, split="train") for row in rows])
    spec["settings"] |= {"roads": ["both"], "both_epochs": 1, "both_train_tokens": 2, "both_max_tokens": 3}
    result = fit(spec)
    encoder = TextEncoder(result["query_path"], result["passage_path"])
    assert result["choice"] == "both"  # without dev queries nothing can be compared
    assert encoder.max_tokens == 3  # as dev was measured, so it serves; training may have read less
    texts = ["ba de", "fi go ku la"]
    assert np.allclose(encoder.encode_passages(texts), Tower(result["passage_path"]).passage_vectors(texts), atol=1e-6)


@pytest.mark.slow
def test_the_checkpoint_says_which_beginnings_it_reads(spec: dict[str, Any], fit: Fit) -> None:
    from retrieval.engine.encoders import lead_pooling
    from retrieval.engine.encoders.bi_encoder import TextEncoder
    from tuning.engine.retriever.trainable_encoder import Tower

    rows = examples.read_queries(Path(spec["queries"]))
    examples.write_queries(Path(spec["queries"]), [replace(row, split="train") for row in rows])
    spec["settings"] |= {"roads": ["both"], "both_epochs": 1, "both_beginnings": [3]}
    result = fit(spec)
    assert lead_pooling.wanted(Path(result["passage_path"])) == (3,)
    texts = ["ba de", "fi go ku la"]
    served = TextEncoder(result["query_path"], result["passage_path"]).encode_passages(texts)
    tower = Tower(result["passage_path"])
    assert np.allclose(served, tower.passage_vectors(texts), atol=1e-6)
    assert not np.allclose(served, tower.vectors(texts), atol=1e-3)
    spec["settings"] |= {"both_beginnings": [0]}
    with pytest.raises(CannotFit, match="both_beginnings"):
        fit(spec, "second")


def test_training_reads_the_beginning_of_a_text_and_serving_all_of_it(tiny: Path) -> None:
    from tuning.engine.retriever.trainable_encoder import Tower

    tower = Tower(tiny)
    with tower.reading(3):  # [CLS] ba [SEP]
        assert np.allclose(tower.vectors(["ba de fi"]), tower.vectors(["ba"]))
    assert not np.allclose(tower.vectors(["ba de fi"]), tower.vectors(["ba"]))
    with tower.reading(None):
        assert tower.model.max_seq_length == 32


@pytest.mark.slow
def test_the_quick_road_keeps_the_passage_side(spec: dict[str, Any], fit: Fit, tiny: Path) -> None:
    spec["settings"] |= {"roads": ["query"], "query_lr": 0.005, "query_epochs": 20, "anchor": 0.1}
    result = fit(spec)
    assert result["choice"] == "query" and result["passage_path"] == str(tiny)
    assert result["passage_hash"] == artifacts.folder_hash(tiny) != result["query_hash"]


@pytest.mark.slow
def test_the_shortest_road_is_a_matrix_behind_the_query_encoder(spec: dict[str, Any], fit: Fit, tiny: Path) -> None:
    spec["settings"] |= {"roads": ["adapter"], "adapter_lr": 0.02, "adapter_epochs": 30, "adapter_anchor": 0.0}
    result = fit(spec)
    assert result["choice"] == "adapter" and result["passage_path"] == str(tiny)
    assert result["dev"]["adapter"] > result["dev"]["base"]
    before, after = TextEncoder(str(tiny), str(tiny)), TextEncoder(result["query_path"], str(tiny))
    texts = [row.text for row in examples.read_queries(Path(spec["queries"]))[:9]]
    old, new = before.encode_queries(texts), after.encode_queries(texts)
    turned, *_rest = np.linalg.lstsq(old, new, rcond=None)  # nine vectors in eight dimensions: a matrix or not
    moved = old @ turned
    assert not np.allclose(old, new, atol=1e-3)
    assert np.allclose((moved / np.linalg.norm(moved, axis=1, keepdims=True) * new).sum(1), 1, atol=0.05)


@pytest.mark.slow
def test_a_strong_anchor_holds_the_matrix_at_the_identity(spec: dict[str, Any], fit: Fit, tiny: Path) -> None:
    spec["settings"] |= {"roads": ["adapter"], "adapter_anchor": 1e6, "whitens": False}
    result = fit(spec)
    texts = [row.text for row in examples.read_queries(Path(spec["queries"]))[:9]]
    old = TextEncoder(str(tiny), str(tiny)).encode_queries(texts)
    new = TextEncoder(result["query_path"], str(tiny)).encode_queries(texts)
    assert (old * new).sum(1).min() > 0.99


class Killed(BaseException):
    """Stands for a signal nobody can catch."""


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_where_it_would_have_ended(
    spec: dict[str, Any], tmp_path: Path, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec["bookmark_seconds"] = 0
    whole = fit(spec, "whole")
    assert whole["choice"] == "both"
    out = tmp_path / "out"
    out.mkdir()
    real = Bookmark.save
    for saves in (3, 12):  # inside the first road, then inside the second
        left = [saves]

        def save(self: Bookmark, *given: Any, left: list[int] = left, **named: Any) -> bool:
            left[0] -= 1
            if not left[0]:
                raise Killed
            return real(self, *given, **named)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Bookmark, "save", save)
            train_retriever.fit(spec, out, Log(out / "metrics.jsonl"))
        assert not (out / "checkpoint").exists()
    (out / "checkpoint").mkdir()  # of a process killed before its result
    result = train_retriever.fit(spec, out, Log(out / "metrics.jsonl"))
    assert (result["choice"], result["query_hash"]) == (whole["choice"], whole["query_hash"])

    def points(found: dict[str, Any]) -> dict[str, list[tuple[int, float | None]]]:
        return {
            road: [(line["step"], line.get("loss", line.get("dev"))) for line in curve]
            for road, curve in found["curves"].items()
        }

    assert points(result) == points(whole)
    told = (out / "metrics.jsonl").read_text()
    assert told.count("going on from a bookmark") == 2


@pytest.mark.slow
def test_a_training_that_harms_leaves_the_base(spec: dict[str, Any], fit: Fit, tiny: Path) -> None:
    """The same questions as on dev, with the grades turned round."""
    rows = examples.read_queries(Path(spec["queries"]))
    texts = [" ".join(passage.text.split()[:2]) for passage in examples.read_passages(Path(spec["passages"]))]
    turned = [
        replace(row, text=texts[at])  # on dev each passage is asked for in its own words, and the base finds it
        if row.split == "dev"
        else replace(row, text=texts[at - at % 5], grades={f"p{at}": 3.0, f"p{at - at % 5}": 0.0})
        for at, row in enumerate(rows)
    ]
    examples.write_queries(Path(spec["queries"]), turned)
    spec["settings"] |= {"roads": ["both"], "both_epochs": 30, "both_lr": 0.02}
    result = fit(spec)
    assert result["choice"] == "base" and result["query_path"] == str(tiny)
    assert result["dev"]["both"] < result["dev"]["base"]


@pytest.mark.slow
def test_a_budget_shortens_the_training(spec: dict[str, Any], fit: Fit, tmp_path: Path) -> None:
    spec["settings"] |= {"roads": ["both"], "both_epochs": 100_000}
    result = fit(spec | {"budget_seconds": 3})
    assert 4 <= len([line for line in result["curves"]["both"] if "loss" in line]) < 300_000
    assert result["record"]["seconds"] < 60


def test_too_few_queries_are_refused_in_one_line(
    spec: dict[str, Any], tmp_path: Path, left_as_it_was: None, capsys: pytest.CaptureFixture[str]
) -> None:
    examples.write_queries(Path(spec["queries"]), examples.read_queries(Path(spec["queries"]))[:3])
    assert run(train_retriever.fit, arguments(spec, tmp_path / "out")) == 1
    assert not (tmp_path / "out" / "result.json").exists()
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("2 training queries have grades")


@pytest.mark.slow
def test_grades_of_zero_alone_are_refused(spec: dict[str, Any], fit: Fit) -> None:
    rows = examples.read_queries(Path(spec["queries"]))
    examples.write_queries(Path(spec["queries"]), [replace(row, grades={"p3": 0.0}) for row in rows])
    with pytest.raises(CannotFit, match="nothing to draw nearer"):
        fit(spec)


@pytest.mark.slow
def test_a_stopped_training_leaves_nothing_loadable(spec: dict[str, Any], tmp_path: Path) -> None:
    spec["settings"] |= {"both_epochs": 100_000}
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tuning.engine.retriever.train_retriever", *arguments(spec, out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while not (out / "metrics.jsonl").exists() or '"loss"' not in (out / "metrics.jsonl").read_text():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert sorted(path.name for path in out.iterdir()) == ["metrics.jsonl", "spec.json"]


def test_a_setting_nobody_knows_is_refused(spec_without_files: dict[str, Any]) -> None:
    with pytest.raises(CannotFit, match="nobody knows: epoch"):
        retriever_spec.read_spec(spec_without_files | {"settings": {"epoch": 3}})
    with pytest.raises(CannotFit, match="lacks passages"):
        retriever_spec.read_spec(spec_without_files | {"passages": ""})
    with pytest.raises(CannotFit, match="roads"):
        retriever_spec.read_spec(spec_without_files | {"settings": {"roads": ["linear"]}})


def test_the_bases_temperature_stays_unless_the_settings_name_one(spec_without_files: dict[str, Any]) -> None:
    given = spec_without_files | {"temperature": 0.03}
    assert retriever_spec.read_spec(given).settings.temperature == 0.03
    assert retriever_spec.read_spec(given | {"settings": {"temperature": 0.1}}).settings.temperature == 0.1


@pytest.fixture
def spec_without_files() -> dict[str, Any]:
    return {"queries": "q", "passages": "p", "query_path": "e", "passage_path": "e"}


def test_the_learning_rate_rises_then_falls_and_is_never_zero() -> None:
    rates = [strategies.rate(step, 10, 0.2) for step in range(10)]
    assert rates[:2] == [0.5, 1.0]
    assert all(left > right > 0 for left, right in zip(rates[1:], rates[2:], strict=False))
    assert strategies.rate(0, 1, 0.1) == 1.0


def test_the_dev_pool_holds_the_judged_then_rank_by_rank_what_is_found_today() -> None:
    queries = [JudgedQuery("q0", "?", {"a": 3}), JudgedQuery("q1", "?", {"b": 3}), JudgedQuery("q2", "?", {"c": 0})]
    rows = {name: at for at, name in enumerate("abcdefgh")}
    rankings = {0: np.array([3, 4]), 1: np.array([5, 6]), 2: np.array([7])}
    judge = dev_evaluation.prepare(queries, [True] * 3, rows, rankings, 10, 4, 0)
    assert judge.ids == ["q0", "q1"]  # q2 has no relevant passage
    assert judge.pool.tolist() == [0, 1, 3, 5]
    # q0 finds a first: 1; q1 finds b second: 1 / log2(3) = 0.63093
    scores = np.array([[9, 1, 2, 3], [0, 5, 9, 1]], np.float32)
    assert judge.value(scores, np.eye(4, dtype=np.float32)) == pytest.approx((1 + 0.63093) / 2, abs=1e-5)


def test_of_a_large_corpus_the_quick_roads_look_at_the_judged_the_first_and_others_by_chance(
    spec: dict[str, Any],
) -> None:
    examples.write_queries(Path(spec["queries"]), examples.read_queries(Path(spec["queries"]))[:20])
    spec["settings"] |= {"quick_passages": 50, "query_depth": 1}
    material = train_retriever.prepare(retriever_spec.read_spec(spec)).material
    assert len(material.looked_at) == 50 and (np.diff(material.looked_at) > 0).all()
    for one in material.examples:
        first = int(np.argmax(material.base_scores(one)))
        assert {first, *one.judged.tolist()} <= set(material.looked_at.tolist())


@pytest.mark.slow
def test_the_next_cycle_goes_on_from_two_sides_that_differ(spec: dict[str, Any], fit: Fit) -> None:
    """The query side of the first has a head; the second's main road begins with the passage side and its own head."""
    spec["settings"] |= {"roads": ["both"]}
    first = fit(spec)
    sides = {name: first[name] for name in ("query_path", "passage_path", "query_hash", "passage_hash")}
    assert first["choice"] == "both" and first["query_hash"] != first["passage_hash"]
    second = fit(spec | sides, "second")
    assert second["dev"]["base"] == pytest.approx(first["dev"]["both"], abs=1e-6)
    assert second["dev"][second["choice"]] >= second["dev"]["base"]


def test_the_language_model_teaches_where_no_person_found_a_relevant_passage(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    rows = [replace(row, split="train") for row in examples.read_queries(Path(spec["queries"]))]
    rows[0] = replace(rows[0], grades={"p0": 0.0})
    rows[1] = replace(rows[1], grades={})
    examples.write_queries(Path(spec["queries"]), rows)
    told = [{"query_id": row.query_id, "scores": {"p3": -1.0, "p4": -2.0}, "without_passage": None} for row in rows]
    (tmp_path / "scores.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    spec |= {"scores": str(tmp_path / "scores.jsonl")}

    def scored(**settings: Any) -> list[int]:
        asked = retriever_spec.read_spec(spec | {"settings": spec["settings"] | settings})
        return [one.row for one in train_retriever.prepare(asked).material.examples if len(one.scored)]

    assert scored() == [0, 1]
    assert scored(lm_beside_grades=True) == list(range(60))
    assert scored(human=0.0) == list(range(60))
