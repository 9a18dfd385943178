"""Disagreement of the retriever and the language model on a query, stored for the priority of open queries.

The scores are those of a retriever's training, which uses them for queries without a relevant passage. A few other
queries are scored for this alone. All of them are settled, so their disagreement reaches open queries through the
strata: a subject on which the two models disagree deserves more annotation than one on which they agree.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
from django.db.models import Count

from curation.engine.statistics.sampling import jensen_shannon_divergence
from curation.models import Project, Query
from tuning.engine.retriever import targets
from tuning.engine.retriever.candidates import read_lm_scores
from tuning.engine.retriever.retriever_spec import RetrieverSettings

MAX_EXTRA_QUERIES = 24  # scored in a cycle for the priority alone: each costs the small generator two seconds
_BATCH = 500


def select_queries(project: Project, answered: Sequence[str]) -> list[str]:
    """Return at most MAX_EXTRA_QUERIES of these settled query ids to score: unscored, and of a stratum in use.

    A stratum is in use when it has open queries. First comes one query of each stratum, the stratum with the most
    open queries first, then a second query of each, and so on; within a stratum in the given order.
    """
    queries_of_stratum = _unscored_by_stratum(project, answered)
    open_queries = project.queries.filter(state=Query.State.OPEN, is_evaluation=False).exclude(stratum="")
    counts = open_queries.order_by().values("stratum").annotate(open=Count("pk")).order_by("-open", "stratum")
    in_use = [row["stratum"] for row in counts.iterator() if row["stratum"] in queries_of_stratum]
    rounds = zip_longest(*(queries_of_stratum[stratum] for stratum in in_use))
    return list(islice((query_id for query_id in chain.from_iterable(rounds) if query_id), MAX_EXTRA_QUERIES))


def record_disagreement(project: Project, scores: Path, candidates: Path) -> int:
    """Store the disagreement of each scored query, and return the number of queries.

    The disagreement is the Jensen–Shannon divergence of p_R and t_L, in bits. p_R is proportional to 1 / rank over
    the candidates that have a score, because the file of candidates is used for its order only. A query whose answer
    needs no passage (targets.lm_target) says nothing about the retriever and keeps its value. Queries of the
    evaluation sample are left out.
    """
    disagreement = _disagreement(scores, candidates)
    queries = list(Query.objects.filter(project=project, pk__in=disagreement, is_evaluation=False).only("pk"))
    for query in queries:
        query.disagreement = round(disagreement[query.pk], 4)
    Query.objects.bulk_update(queries, ["disagreement"], batch_size=_BATCH)
    return len(queries)


def _unscored_by_stratum(project: Project, query_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return stratum → those of the query ids that have no disagreement yet, in their order."""
    unscored = project.queries.filter(disagreement__isnull=True, is_evaluation=False).exclude(stratum="")
    by_stratum: dict[str, list[str]] = defaultdict(list)
    for start in range(0, len(query_ids), _BATCH):
        batch_ids = query_ids[start : start + _BATCH]
        stratum_of = dict(
            unscored.filter(pk__in=[int(query_id) for query_id in batch_ids]).values_list("pk", "stratum")
        )
        for query_id in batch_ids:
            if int(query_id) in stratum_of:
                by_stratum[stratum_of[int(query_id)]].append(query_id)
    return by_stratum


def _disagreement(scores: Path, candidates: Path) -> dict[int, float]:
    """Return query id → Jensen–Shannon divergence in bits, for queries with two scored candidates and a target."""
    lm_scores = read_lm_scores(scores)
    divergences: dict[int, float] = {}
    with candidates.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            query_scores = lm_scores.get(str(row["query_id"]))
            if query_scores is None:
                continue
            ranked = [passage_id for passage_id in row["passages"] if passage_id in query_scores.scores]
            if len(ranked) < 2:
                continue
            values = np.array([query_scores.scores[passage_id] for passage_id in ranked])
            target = targets.lm_target(values, RetrieverSettings().lm_temperature, query_scores.without_passage)
            if target is not None:
                retriever = 1.0 / np.arange(1, len(ranked) + 1)
                divergences[int(row["query_id"])] = jensen_shannon_divergence(retriever / retriever.sum(), target)
    return divergences
