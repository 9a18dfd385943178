"""Reranker trade-off: the gain in nDCG@10 against the added latency of a search, measured with and without it.

The gain is measured on the test split. The latency is that of single searches on the machine that evaluates. A busy
machine slows both sides, so searches with and without the reranker take turns.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

from common.jobs import JobState
from common.messages import Message, StrOrMessage, message
from curation.models import Release
from curation.releases import retrieve
from tuning.engine.metrics.significance import compare
from tuning.evaluation import offline_run
from tuning.evaluation.offline_run import Grades, Rankings
from tuning.models import Component, Cycle, Evaluation, Gate, Policy

MEASURE = "ndcg@10"
TIMED_QUERIES = 30  # each is searched once with and once without; one warm-up search of each loads what is needed
DEPTH = 10

Tradeoff = dict[str, Any]


def measure_tradeoff(
    evaluation: Evaluation, texts: Mapping[str, str], grades: Grades, rankings: tuple[Rankings, Rankings]
) -> Tradeoff:
    """Measure gain and latency of the challenger's reranker, and decide whether it stays.

    rankings: the challenger's rankings of the texts without and with the reranker. Return {"gain": a comparison, or
    None where nothing could be measured; "ms_without", "ms_with", "ms_added": median milliseconds per search;
    "max_ms": the allowed ms_added; "timed_queries"; "is_gated": whether the gate decides; "is_kept"}.
    """
    policy = Policy.of(evaluation.cycle.project)
    sides = [offline_run.measure_rankings(ranking, grades).values(MEASURE) for ranking in rankings]
    gain = asdict(compare(*sides, seed=evaluation.cycle.seed)) if sides[0] else None
    is_gated = evaluation.cycle.gate != Gate.ALWAYS
    tradeoff = {"gain": gain, "max_ms": policy.max_rerank_ms, "is_gated": is_gated}
    tradeoff |= measure_latency(evaluation.challenger, texts)
    return tradeoff | {"is_kept": not (is_gated and objection(tradeoff))}


def measure_latency(release: Release, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the median milliseconds of one search without and with the reranker, over the same random queries."""
    ids = sorted(texts, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())[:TIMED_QUERIES]
    plain = retrieve.without_reranker(release)
    for query_id in ids[:1]:
        _search_seconds(plain, texts[query_id])
        _search_seconds(release, texts[query_id])
    pairs = [(_search_seconds(plain, texts[query_id]), _search_seconds(release, texts[query_id])) for query_id in ids]
    ms_without, ms_with = (1000 * median(side) for side in zip(*pairs, strict=True))
    ms_added = 1000 * median(with_it - without for without, with_it in pairs)
    return {
        "ms_without": round(ms_without, 1),
        "ms_with": round(ms_with, 1),
        "ms_added": round(ms_added, 1),
        "timed_queries": len(ids),
    }


def objection(tradeoff: Tradeoff) -> StrOrMessage:
    """Return the reason why the reranker does not pay; empty when it does."""
    if tradeoff["gain"] is None:
        return message("nothing_measured")
    if tradeoff["gain"]["low"] <= 0:
        return message("rerank_no_gain")
    return message("rerank_too_slow") if tradeoff["ms_added"] > tradeoff["max_ms"] else ""


def tradeoff_message(tradeoff: Tradeoff) -> StrOrMessage:
    """Return the verdict on the reranker with gain and latency; empty where the challenger had no reranker."""
    if not tradeoff:
        return ""
    parts: list[StrOrMessage] = [_verdict(tradeoff)]
    if tradeoff["gain"] is not None:
        parts.append(message("rerank_gain", **{name: tradeoff["gain"][name] for name in _GAIN_FIGURES}))
    times = {
        "before": tradeoff["ms_without"],
        "after": tradeoff["ms_with"],
        "more": tradeoff["ms_added"],
        "most": tradeoff["max_ms"],
    }
    return message("together", parts=[*parts, message("rerank_time", **times)])


def reason_without_reranker(cycle: Cycle) -> StrOrMessage:
    """Return why the cycle's challenger has no reranker.

    Empty where it has one, where the cycle trains none, and while it is not known yet.
    """
    evaluation = getattr(cycle, "evaluation", None)
    if evaluation is not None and evaluation.reranking:
        return "" if evaluation.reranking["is_kept"] else _verdict(evaluation.tradeoff)
    run = cycle.runs.filter(component=Component.RERANKER, reranker=None).first()
    if run is None or run.state not in (JobState.DONE, JobState.FAILED):
        return ""
    if run.state == JobState.FAILED:
        return message("rerank_untrained", why=run.reason)
    dev = run.record.get("dev", {})  # nDCG@10 of both, under the names that the training process gives them
    return message("rerank_not_chosen", without=dev["no reranker"], reranked=dev["reranker"]) if dev else ""


_GAIN_FIGURES = ("champion", "challenger", "difference", "low", "high")


def _verdict(tradeoff: Tradeoff) -> Message:
    if not tradeoff["is_gated"]:
        return message("rerank_not_asked")
    reason = objection(tradeoff)
    return message("rerank_left_out", why=reason) if reason else message("rerank_stays")


def _search_seconds(release: Release, text: str) -> float:
    started = time.perf_counter()
    retrieve.search(release, text, DEPTH)
    return time.perf_counter() - started
