"""Where a new query stands in the random order: even over the strata, and by lot within each.

A stratum is the document that a query's first ranking found first: queries of one subject, paraphrases among them.
It costs a join, needs no model, and is the same whenever it is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from django.db.models import Count

from curation.engine.statistics import sampling
from curation.models import Project, Query, ShownPassage

_AT_ONCE = 200


def place(project: Project, queries: Sequence[Query], rankings: Mapping[int, int]) -> dict[int, float]:
    """The place of each query in [0, 1), after its stratum was written down; rankings: query → ranking.

    Of the evaluation sample, and of a query that found nothing, the place is a plain random number: no stratum
    has a say in when it is judged.
    """
    _name(queries, rankings)
    steerable = [query for query in queries if query.stratum and not query.is_evaluation]
    random.shuffle(steerable)
    there = _counts(project, steerable)
    places = {query.pk: random.random() for query in queries}
    for query in steerable:
        number = there.get(query.stratum, 0)
        there[query.stratum] = number + 1
        places[query.pk] = sampling.place(f"{project.slug}\n{query.stratum}", number)
    return places


def _name(queries: Sequence[Query], rankings: Mapping[int, int]) -> None:
    """Write the stratum of the queries that have none."""
    nameless = [query for query in queries if not query.stratum and query.pk in rankings]
    for start in range(0, len(nameless), _AT_ONCE):
        some = nameless[start : start + _AT_ONCE]
        first = ShownPassage.objects.filter(ranking__in=[rankings[query.pk] for query in some], rank=1)
        documents = dict(first.values_list("ranking__query_id", "passage__document__external_id"))
        found = [query for query in some if query.pk in documents]
        for query in found:
            query.stratum = documents[query.pk][:100]
        Query.objects.bulk_update(found, ["stratum"])


def _counts(project: Project, queries: Sequence[Query]) -> dict[str, int]:
    """How many steerable queries each of their strata has had, without these."""
    strata = sorted({query.stratum for query in queries})
    counts: dict[str, int] = {}
    for start in range(0, len(strata), _AT_ONCE):
        there = project.queries.filter(stratum__in=strata[start : start + _AT_ONCE], is_evaluation=False)
        counts |= dict(there.order_by().values_list("stratum").annotate(Count("pk")))
    for query in queries:
        counts[query.stratum] -= 1
    return counts
