"""Evaluation sample: a random tenth of the queries, annotated at random and never trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from curation.models import Project, Query

EVALUATION_SHARE = 0.1
_BATCH_SIZE = 200


def draw(project: Project, queries: Sequence[Query]) -> None:
    """Mark and save the queries that belong to the evaluation sample."""
    for query in queries:
        query.is_evaluation = query.is_evaluation or is_in_sample(project, query)
    sample = [query for query in queries if query.is_evaluation]
    Query.objects.bulk_update(sample, ["is_evaluation"], batch_size=_BATCH_SIZE)


def is_in_sample(project: Project, query: Query) -> bool:
    """Whether the query is in the sample, decided by a hash of its id: always the same, and nobody's choice."""
    digest = hashlib.sha256(f"{project.slug}\n{query.external_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < EVALUATION_SHARE * 2**64
