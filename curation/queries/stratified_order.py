"""Stratified order: the random order of new queries, even over the strata.

A stratum is the document that a query's first ranking found first: queries on one subject, paraphrases among them. It
costs a join, needs no model, and is the same whenever it is computed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from django.db.models import Count

from common.batches import batches
from curation.engine.statistics import sampling
from curation.models import Project, Query, ShownPassage

_BATCH_SIZE = 200


def assign_keys(project: Project, queries: Sequence[Query], rankings: Mapping[int, int]) -> dict[int, float]:
    """Store the stratum of each query and return query id → random key in [0, 1).

    rankings: query id → ranking id. A query of the evaluation sample, or without a hit, gets a uniform random number:
    no stratum decides when it is judged.
    """
    _assign_strata(queries, rankings)
    stratified = [query for query in queries if query.stratum and not query.is_evaluation]
    random.shuffle(stratified)
    counts = _earlier_counts(project, stratified)
    keys = {query.pk: random.random() for query in queries}
    for query in stratified:
        number = counts.get(query.stratum, 0)
        counts[query.stratum] = number + 1
        keys[query.pk] = sampling.stratified_key(f"{project.slug}\n{query.stratum}", number)
    return keys


def _assign_strata(queries: Sequence[Query], rankings: Mapping[int, int]) -> None:
    """Store the stratum of the queries that have none."""
    without_stratum = [query for query in queries if not query.stratum and query.pk in rankings]
    for batch in batches(without_stratum, _BATCH_SIZE):
        first = ShownPassage.objects.filter(ranking__in=[rankings[query.pk] for query in batch], rank=1)
        documents = dict(first.values_list("ranking__query_id", "passage__document__external_id"))
        with_hit = [query for query in batch if query.pk in documents]
        for query in with_hit:
            query.stratum = documents[query.pk][:100]
        Query.objects.bulk_update(with_hit, ["stratum"])


def _earlier_counts(project: Project, queries: Sequence[Query]) -> dict[str, int]:
    """Return stratum → how many queries outside the evaluation sample it had before these."""
    counts: dict[str, int] = {}
    for strata in batches(sorted({query.stratum for query in queries}), _BATCH_SIZE):
        rows = project.queries.filter(stratum__in=strata, is_evaluation=False)
        counts |= dict(rows.order_by().values_list("stratum").annotate(Count("pk")))
    for query in queries:
        counts[query.stratum] -= 1
    return counts
