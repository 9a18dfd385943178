"""tuning/engine/reranker/train_reranker.py on a cross-encoder of one small layer and made-up words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common import artifacts
from retrieval.engine.encoders.cross_encoder import TextReranker
from tests.tiny_models import make_text, tiny_encoder, tiny_reranker
from tuning.engine.data import examples
from tuning.engine.data.examples import JudgedQuery, PassageText
from tuning.engine.process.training_process import MetricsLog, TrainingError, run_training
from tuning.engine.reranker import train_reranker
from tuning.engine.reranker.graded_lists import UNJUDGED
from tuning.engine.reranker.reranker_spec import read_spec
from tuning.engine.retriever.trainable_encoder import TrainableEncoder

Train = Callable[..., dict[str, Any]]

QUERIES = 40


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def spec(tiny: Path, tmp_path: Path) -> dict[str, Any]:
    """Half of the passages have the word "ba" and answer every query; the ranking to improve is random.

    Each query has five passages in its ranking: two judged relevant, two judged not relevant, one unjudged.
    """
    rng = np.random.default_rng(1)
    passages = [
        PassageText(f"p{at}", f"{'ba' if at % 2 else 'bu'} {make_text(rng.integers(5, 50, 4), 0)}") for at in range(60)
    ]
    examples.write_passages(tmp_path / "p.jsonl", passages)
    queries, rankings = [], []
    for at in range(QUERIES):
        good, bad = rng.permutation(30)[:2] * 2 + 1, rng.permutation(30)[:3] * 2
        grades = {f"p{good[0]}": 3.0, f"p{good[1]}": 2.0} | {f"p{row}": 0.0 for row in bad[:2]}
        split = "dev" if at % 4 == 0 else "train"
        queries.append(JudgedQuery(f"q{at}", make_text(rng.integers(5, 50, 2), 0), grades, split=split))
        order = rng.permutation([*good, *bad])
        rankings.append({"query_id": f"q{at}", "passages": [f"p{row}" for row in order], "scores": [5, 4, 3, 2, 1]})
    examples.write_queries(tmp_path / "q.jsonl", queries)
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rankings))
    np.save(tmp_path / "v.npy", TrainableEncoder(tiny).encode([one.text for one in passages]))
    return {
        "queries": str(tmp_path / "q.jsonl"),
        "passages": str(tmp_path / "p.jsonl"),
        "candidates": str(tmp_path / "c.jsonl"),
        "vectors": str(tmp_path / "v.npy"),
        "base": str(tiny),
        "query_path": str(tiny),
        "threads": 1,
        "seed": 4,
        "settings": {"lr": 0.005, "epochs": 6, "max_tokens": 24, "false_negative_ratio": 5.0},
    }


@pytest.fixture
def train(tmp_path: Path, restored_process_state: None) -> Train:
    """Train inside this process."""

    def run_here(spec: dict[str, Any], name: str = "out") -> dict[str, Any]:
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        return train_reranker.train(spec, out, MetricsLog(out / "metrics.jsonl"))

    return run_here


def change_rows(spec: dict[str, Any], change: Callable[[JudgedQuery], JudgedQuery]) -> None:
    path = Path(spec["queries"])
    examples.write_queries(path, [change(row) for row in examples.read_queries(path)])


def loaded(spec: dict[str, Any]) -> train_reranker.LoadedTraining:
    return train_reranker.load(read_spec(spec))


def test_it_learns_the_order_of_the_grades_and_loads_with_the_chosen_weights(
    spec: dict[str, Any], train: Train, tmp_path: Path
) -> None:
    result = train(spec)
    assert result["dev"]["reranker"] > result["dev"]["no reranker"] + 0.1
    artifacts.verify(Path(result["reranker_path"]), result["reranker_hash"])
    dev = loaded(spec).dev
    scores = TextReranker(Path(result["reranker_path"])).scores(dev.pairs)
    assert dev.evaluate(scores, result["share"]) == pytest.approx(result["dev"]["reranker"], abs=1e-5)
    assert 0.5 < result["share"] <= 1  # fewer dev queries give a smaller share
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert {line.get("candidate") for line in lines} == {None, "no reranker", "reranker"}
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == result["record"]["steps"] and np.mean(losses[-5:]) < np.mean(losses[:5])


def test_reversed_grades_give_no_reranker(spec: dict[str, Any], train: Train, tmp_path: Path) -> None:
    def reverse(row: JudgedQuery) -> JudgedQuery:
        if row.split == "dev":
            return row
        return replace(row, grades={name: 3.0 - grade for name, grade in row.grades.items()})

    change_rows(spec, reverse)
    result = train(spec | {"settings": spec["settings"] | {"max_mined": 0}})
    assert result["choice"] == "no reranker" and "reranker_path" not in result
    assert result["dev"]["reranker"] <= result["dev"]["no reranker"]
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_the_same_seed_gives_the_same_bytes_and_another_others(spec: dict[str, Any], train: Train) -> None:
    spec["settings"] |= {"epochs": 2}
    hashes = [train(spec | {"seed": seed}, str(number)).get("reranker_hash") for number, seed in enumerate((4, 4, 5))]
    assert hashes[0] is not None
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_short_budget_stops_it_early_and_the_record_says_so(spec: dict[str, Any], train: Train) -> None:
    spec["settings"] |= {"epochs": 2000, "patience": 2000}
    result = train(spec | {"budget_seconds": 3})
    assert result["record"]["cut_short"] and result["record"]["steps"] < result["record"]["steps_planned"]
    assert result["record"]["seconds"] < 20


def test_a_cross_encoder_is_good_enough_untrained_where_training_makes_it_worse(
    spec: dict[str, Any], train: Train, tmp_path: Path
) -> None:
    trained = train(spec)
    change_rows(
        spec,
        lambda row: (
            row
            if row.split == "dev"
            else replace(row, grades={name: 3.0 - grade for name, grade in row.grades.items()})
        ),
    )
    again = train(spec | {"settings": spec["settings"] | {"base": trained["reranker_path"], "max_mined": 0}}, "again")
    assert again["choice"] == "reranker, step 0"
    assert again["dev"]["reranker"] == pytest.approx(trained["dev"]["reranker"], abs=1e-5)


def test_an_unjudged_passage_is_never_a_0_and_only_there_when_it_is_far(spec: dict[str, Any]) -> None:
    graded = loaded(spec).graded
    assert {label for one in graded.lists for label in one.labels} == {3.0, 2.0, 0.0, UNJUDGED}
    assert all(one.labels.count(0.0) == 2 and one.labels.count(UNJUDGED) == 1 for one in graded.lists)
    close = loaded(spec | {"settings": spec["settings"] | {"false_negative_ratio": 1e-9}}).graded
    assert {label for one in close.lists for label in one.labels} == {3.0, 2.0, 0.0}


def test_queries_without_an_order_are_left_out_and_counted(spec: dict[str, Any]) -> None:
    kinds = {"q1": {}, "q2": {"p0": 0.0}, "q3": {"gone": 3.0}}
    change_rows(spec, lambda row: replace(row, grades=kinds.get(row.query_id, row.grades)))
    graded = loaded(spec).graded
    assert len(graded.lists) == QUERIES * 3 // 4 - 3
    assert (graded.without_order, graded.without_grades, graded.unknown_passages) == (1, 2, 1)


def test_of_many_judged_passages_the_best_and_the_worst_stay(spec: dict[str, Any]) -> None:
    change_rows(spec, lambda row: replace(row, grades={f"p{at}": float(at % 4) for at in range(40)}))
    one = loaded(spec | {"settings": spec["settings"] | {"max_judged": 5, "max_mined": 0}}).graded.lists[0]
    assert one.labels == (3.0, 3.0, 3.0, 0.0, 0.0)


def test_judged_0_and_unjudged_weigh_nothing_against_each_other_but_both_lie_below_a_grade(tmp_path: Path) -> None:
    """UNJUDGED in the library's loss: only the pairs with the relevant passage have a gradient."""
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.losses import LambdaLoss

    model = CrossEncoder(str(tiny_reranker(tmp_path)), device="cpu")
    model.eval()
    loss = LambdaLoss(model, mini_batch_size=8)
    texts = ["ba de", "fi go", "ku la"]

    def value(*labels: float) -> float:
        return float(loss([["ba"], [texts[: len(labels)]]], [torch.tensor(labels)]).detach())

    assert value(0.0, UNJUDGED) == 0
    assert value(3.0, UNJUDGED) == pytest.approx(value(3.0, 0.0)) and value(3.0, UNJUDGED) > 0


def test_shares_0_and_1_give_the_two_orders(spec: dict[str, Any]) -> None:
    dev = loaded(spec).dev
    perfect = np.array([dev.grades[at].get(int(row), 0) for at, one in enumerate(dev.rankings) for row in one.rows])
    scores = perfect.astype(np.float32)
    assert dev.evaluate(scores, 1.0) == pytest.approx(1.0)
    assert dev.evaluate(scores, 0.0) == dev.evaluate(None) < 1
    # Ten dev queries: the best shares, whatever they are, draw half of (10·best + 50·0.5) / 60.
    assert dev.best_share(scores) > 0.5 > dev.best_share(-scores)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"candidates": ""}, "lacks candidates"),
        ({"settings": {"epoch": 3}}, "unknown keys: epoch"),
        ({"settings": {"depth": 0}}, "depth must be a number above 0"),
        (
            {"settings": {"min_queries": 1000}},
            "30 training queries put passages in an order; the reranker needs 1000",
        ),
        ({"base": "no-such-package"}, "no encoder called 'no-such-package'"),
    ],
)
def test_a_training_that_is_impossible_gives_its_reason(
    spec: dict[str, Any], train: Train, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TrainingError, match=reason):
        train(spec | change)


def test_without_dev_queries_it_is_refused(spec: dict[str, Any], train: Train) -> None:
    change_rows(spec, lambda row: replace(row, split="train"))
    with pytest.raises(TrainingError, match="No dev query has a relevant passage"):
        train(spec)


def test_a_folder_that_is_no_model_is_refused_with_its_reason(
    spec: dict[str, Any], tmp_path: Path, restored_process_state: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "spec.json").write_text(json.dumps(spec | {"base": str(tmp_path / "empty")}))
    assert run_training(train_reranker.train, [str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 1
    assert f"{tmp_path / 'empty'} cannot become a reranker" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_killed_training_resumes_and_ends_with_the_same_weights_and_curves(
    spec: dict[str, Any], train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec |= {"state_seconds": 0.0}
    spec["settings"] |= {"epochs": 2}
    whole = train(spec, "whole")
    plain = train_reranker.add_gradients

    def dies(model: Any, loss: Any, batch: train_reranker.Batch, seed: int) -> float:
        if batch[0] == 9:
            raise KeyboardInterrupt
        return plain(model, loss, batch, seed)

    monkeypatch.setattr(train_reranker, "add_gradients", dies)
    with pytest.raises(KeyboardInterrupt):
        train(spec, "killed")
    monkeypatch.undo()
    again = train(spec, "killed")
    assert again["reranker_hash"] == whole["reranker_hash"]
    assert again["curves"] == whole["curves"]
