"""Champion and challenger on one split: parts of it apart, and how refusals fall."""

from __future__ import annotations

from types import SimpleNamespace

from tuning.engine.data.examples import JudgedQuery
from tuning.evaluation import compare


def test_a_part_is_measured_from_five_queries_on_and_never_the_whole() -> None:
    before = {str(n): {"ndcg@10": 0.5} for n in range(12)}
    after = {str(n): {"ndcg@10": 0.5 + (0.2 if n < 6 else 0.0)} for n in range(12)}
    parts = {
        "unseen": {str(n) for n in range(6)},
        "ja": {"0", "1", "2", "3"},
        "latin": {str(n) for n in range(40)},
    }
    figures = compare._apart((before, after), parts, seed=0)
    assert figures.keys() == {"ndcg@10 unseen"}
    assert round(figures["ndcg@10 unseen"]["difference"], 6) == 0.2
    assert figures["ndcg@10 unseen"]["queries"] == 6


def test_of_the_queries_that_were_answered_those_of_a_part_are_compared() -> None:
    side = {str(n): {"ndcg@10": 0.5} | ({"f1": n / 10} if n % 2 else {}) for n in range(20)}
    figures = compare._apart((side, side), {"rare": {str(n) for n in range(16)}}, seed=0)
    assert (figures["ndcg@10 rare"]["queries"], figures["f1 rare"]["queries"]) == (16, 8)


def test_refusals_have_a_precision_and_a_recall_and_no_interval() -> None:
    pair = SimpleNamespace(champion=SimpleNamespace(refusal="No."), challenger=SimpleNamespace(refusal="No."))
    test = [JudgedQuery(name, "Who?", is_unanswerable=name in "12") for name in "1234"]
    before = dict.fromkeys("1234", "The lion.")
    after = {"1": "No.", "2": "The lion.", "3": "No.", "4": "A tiger."}
    figures = compare._refused(pair, (before, after), test)  # type: ignore[arg-type]
    precision, recall = figures["refusal-precision"], figures["refusal-recall"]
    assert (precision["champion"], precision["challenger"], precision["difference"]) == (None, 0.5, None)
    assert (recall["champion"], recall["challenger"], recall["difference"]) == (0.0, 0.5, 0.5)
    assert (recall["queries"], recall["low"]) == (2, None)
