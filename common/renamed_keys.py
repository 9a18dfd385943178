"""Keys of stored JSON that were renamed: data of an earlier version is read under its old keys.

Rows, run folders and checkpoints keep JSON that is never rewritten. Code reads it through `with_current_keys` and
knows only the keys of today. New data is written under the keys of today.
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
    # Fields of a project, in the audit log.
    "project": {
        "passes_on": "propagates_grades",
        "judges_edits": "re_annotates_edits",
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
