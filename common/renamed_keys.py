"""Renamed keys of stored JSON: data of earlier versions is read under its old keys.

Rows, run folders and checkpoints store JSON that is never rewritten. Code reads it through `with_current_keys` and
uses only the current keys, under which new data is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Kind of document → old key → key of today. A row is never removed: the old data stays.
RENAMED_KEYS: dict[str, dict[str, str]] = {
    # Fields of the policy and of guardrail sets, in the audit log and in a decision's numbers.
    "policy": {
        "asks": "target_rule",
        "guard_rule": "guardrail_rule",
        "guard_margin": "guardrail_margin",
        "log_margin": "log_prob_margin",
        "least_judged": "min_judged",
        "most_rerank_ms": "max_rerank_ms",
        "least_new_queries": "min_new_queries",
        "most_every_hours": "min_hours_between",
    },
    # meta.json of an encoder checkpoint.
    "encoder meta": {"beginnings": "lead_tokens"},
    # A comparison of champion and challenger in an evaluation's measures.
    "figure": {"is_reading": "is_informational"},
    # The trade-off of a reranker, in an evaluation and in a decision's numbers.
    "reranker tradeoff": {
        "before": "ms_without",
        "after": "ms_with",
        "more": "ms_added",
        "most": "max_ms",
        "timed": "timed_queries",
        "asked": "is_gated",
    },
    # Fields of a project, in the audit log.
    "project": {
        "reveal": "visibility",
        "passes_on": "propagates_grades",
        "judges_edits": "re_annotates_edits",
    },
    # Settings of a training, in policies, cycles, runs and the meta.json of checkpoints.
    "retriever settings": {
        "roads": "strategies",
        "quick_temperature": "frozen_temperature",
        "human": "human_weight",
        "lm": "lm_weight",
        "lm_beside_grades": "lm_on_graded_queries",
        "contrastive": "contrastive_weight",
        "anchor": "anchor_weight",
        "both_reads": "passage_span",
        "both_lr": "dual_lr",
        "both_epochs": "dual_epochs",
        "both_batch": "dual_batch_size",
        "both_train_tokens": "dual_train_tokens",
        "both_max_tokens": "dual_max_tokens",
        "both_beginnings": "dual_lead_tokens",
        "both_list": "dual_passages_per_query",
        "both_mined": "dual_hard_negatives",
        "query_batch": "query_batch_size",
        "query_depth": "ranking_depth",
        "quick_passages": "max_candidates",
        "whitens": "use_whitening",
        "adapter_steps": "adapter_max_steps",
        "adapter_anchor": "adapter_anchor_weight",
        "near": "false_negative_ratio",
        "twin": "duplicate_cosine",
        "least_queries": "min_queries",
        "dev_queries": "max_dev_queries",
        "dev_passages": "max_dev_passages",
        "dev_depth": "dev_passages_per_query",
    },
    "generator settings": {
        "rank": "lora_rank",
        "alpha": "lora_alpha",
        "batch": "batch_size",
        "batch_tokens": "micro_batch_tokens",
        "most_steps": "max_steps",
        "clip": "max_grad_norm",
        "looks": "evaluations",
        "dev_instances": "max_dev_instances",
        "least_instances": "min_instances",
        "most_answer_tokens": "max_answer_tokens",
        "per_query": "instances_per_query",
        "dpo_batch": "dpo_batch_size",
        "dpo_most_steps": "dpo_max_steps",
        "least_pairs": "dpo_min_pairs",
    },
    "reranker settings": {
        "mined": "max_mined",
        "most_judged": "max_judged",
        "near": "false_negative_ratio",
        "batch": "batch_size",
        "looks": "evaluations",
        "least_queries": "min_queries",
        "dev_queries": "max_dev_queries",
    },
    # spec.json of a training, which the run keeps.
    "retriever specification": {"bookmark_seconds": "state_seconds"},
    "generator specification": {"bookmark_seconds": "state_seconds"},
    "reranker specification": {"bookmark_seconds": "state_seconds"},
    # spec.json and result.json of the scoring before a retriever's training.
    "lm scores specification": {"teach": "supervised_queries", "beside": "disagreement_queries"},
    "lm scores result": {
        "queries": "supervised_scored",
        "of": "supervised_total",
        "beside": "disagreement_scored",
    },
    # The record of a run.
    "run record": {
        "looked_at": "candidate_passages",
        "reads": "passage_span",
        "taught_by": "supervision",
        "answering": "answer_mode",
    },
}


def with_current_keys(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping under the keys of today, in the same order.

    kind: a key of RENAMED_KEYS. Only the top level is renamed. Where both the old and the current key stand,
    the value of the current one counts.
    """
    table = RENAMED_KEYS[kind]
    renamed = {table.get(key, key): value for key, value in data.items()}
    return renamed | {key: value for key, value in data.items() if key not in table}
