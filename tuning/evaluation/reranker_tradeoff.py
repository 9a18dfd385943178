"""Does a reranker pay for its milliseconds? Its release is measured with it and without it, and the policy decides.

The gain is that of nDCG@10 on the test split. The time is that of one search after another, as people ask, on the
machine that measures: a worker busy with something else would make both sides slow, so they take turns.
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
TIMED = 30  # searches with and as many without; one of each goes before, to load what has to be loaded
DEPTH = 10

Found = dict[str, Any]


def weigh(
    evaluation: Evaluation, texts: Mapping[str, str], grades: Grades, rankings: tuple[Rankings, Rankings]
) -> Found:
    """What the challenger's reranker brings and takes, and whether it is to stay.

    rankings: what the challenger finds for the texts without it, and with it.
    {"gain": a comparison, or None where nothing could be measured; "before", "after", "more": milliseconds a search,
    medians; "most": how many more are allowed; "timed": searches; "asked": whether the gate was; "is_kept"}
    """
    policy = Policy.of(evaluation.cycle.project)
    sides = [offline_run.measure_rankings(ranked, grades).values(MEASURE) for ranked in rankings]
    gain = asdict(compare(*sides, seed=evaluation.cycle.seed)) if sides[0] else None
    asked = evaluation.cycle.gate != Gate.ALWAYS
    found = {"gain": gain, "most": policy.max_rerank_ms, "asked": asked} | milliseconds(evaluation.challenger, texts)
    return found | {"is_kept": not (asked and objection(found))}


def milliseconds(release: Release, texts: Mapping[str, str]) -> dict[str, Any]:
    """How long one search takes without and with the reranker: medians over the same random queries."""
    ids = sorted(texts, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())[:TIMED]
    plain = retrieve.plain(release)
    for query_id in ids[:1]:
        _seconds(plain, texts[query_id])
        _seconds(release, texts[query_id])
    pairs = [(_seconds(plain, texts[query_id]), _seconds(release, texts[query_id])) for query_id in ids]
    before, after = (1000 * median(side) for side in zip(*pairs, strict=True))
    more = 1000 * median(with_it - without for without, with_it in pairs)
    return {"before": round(before, 1), "after": round(after, 1), "more": round(more, 1), "timed": len(ids)}


def objection(found: Found) -> StrOrMessage:
    """Why the reranker does not pay; empty when it does."""
    if found["gain"] is None:
        return message("nothing_measured")
    if found["gain"]["low"] <= 0:
        return message("rerank_no_gain")
    return message("rerank_too_slow") if found["more"] > found["most"] else ""


def told(found: Found) -> StrOrMessage:
    """What came of it, with both numbers; empty where there was no reranker to weigh."""
    if not found:
        return ""
    parts: list[StrOrMessage] = [_verdict(found)]
    if found["gain"] is not None:
        parts.append(message("rerank_gain", **{name: found["gain"][name] for name in _GAIN}))
    parts.append(message("rerank_time", **{name: found[name] for name in ("before", "after", "more", "most")}))
    return message("together", parts=parts)


def without_reranker(cycle: Cycle) -> StrOrMessage:
    """Why the cycle's challenger has no reranker; empty where it has one, none was asked for, or nobody knows yet."""
    evaluation = getattr(cycle, "evaluation", None)
    if evaluation is not None and evaluation.reranking:
        return "" if evaluation.reranking["is_kept"] else _verdict(evaluation.reranking)
    run = cycle.runs.filter(component=Component.RERANKER, reranker=None).first()
    if run is None or run.state not in (JobState.DONE, JobState.FAILED):
        return ""
    if run.state == JobState.FAILED:
        return message("rerank_untrained", why=run.reason)
    dev = run.record.get("dev", {})  # nDCG@10, by what the training calls the ranking as it was and the one it made
    return message("rerank_not_chosen", without=dev["no reranker"], reranked=dev["reranker"]) if dev else ""


_GAIN = ("champion", "challenger", "difference", "low", "high")


def _verdict(found: Found) -> Message:
    if not found["asked"]:
        return message("rerank_not_asked")
    why = objection(found)
    return message("rerank_left_out", why=why) if why else message("rerank_stays")


def _seconds(release: Release, text: str) -> float:
    began = time.perf_counter()
    retrieve.search(release, text, DEPTH)
    return time.perf_counter() - began
