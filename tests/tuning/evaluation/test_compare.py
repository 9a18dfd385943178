"""Comparison of champion and challenger: slices of the test split, precision and recall of refusals."""

from __future__ import annotations

from types import SimpleNamespace

from tuning.engine.data.examples import JudgedQuery
from tuning.evaluation import compare


def test_a_slice_needs_five_queries_and_must_not_be_the_whole_split() -> None:
    before = {str(n): {"ndcg@10": 0.5} for n in range(12)}
    after = {str(n): {"ndcg@10": 0.5 + (0.2 if n < 6 else 0.0)} for n in range(12)}
    slices = {
        "unseen": {str(n) for n in range(6)},
        "ja": {"0", "1", "2", "3"},
        "latin": {str(n) for n in range(40)},
    }
    figures = compare._slice_figures((before, after), slices, seed=0)
    assert figures.keys() == {"ndcg@10 unseen"}
    assert round(figures["ndcg@10 unseen"]["difference"], 6) == 0.2
    assert figures["ndcg@10 unseen"]["queries"] == 6


def test_answers_are_compared_on_the_answered_queries_of_a_slice() -> None:
    side = {str(n): {"ndcg@10": 0.5} | ({"f1": n / 10} if n % 2 else {}) for n in range(20)}
    figures = compare._slice_figures((side, side), {"rare": {str(n) for n in range(16)}}, seed=0)
    assert (figures["ndcg@10 rare"]["queries"], figures["f1 rare"]["queries"]) == (16, 8)


def test_refusals_have_a_precision_and_a_recall_and_no_interval() -> None:
    releases = SimpleNamespace(champion=SimpleNamespace(refusal="No."), challenger=SimpleNamespace(refusal="No."))
    test = [JudgedQuery(name, "Who?", is_unanswerable=name in "12") for name in "1234"]
    before = dict.fromkeys("1234", "The lion.")
    after = {"1": "No.", "2": "The lion.", "3": "No.", "4": "A tiger."}
    figures = compare._refusal_figures(releases, (before, after), test)  # type: ignore[arg-type]
    precision, recall = figures["refusal-precision"], figures["refusal-recall"]
    assert (precision["champion"], precision["challenger"], precision["difference"]) == (None, 0.5, None)
    assert (recall["champion"], recall["challenger"], recall["difference"]) == (0.0, 0.5, 0.5)
    assert (recall["queries"], recall["low"]) == (2, None)
