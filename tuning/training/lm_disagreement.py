"""How far the retriever and the language model disagree on a query, written onto it for the queue of curation.

The scores are those of a retriever's training, which learns from them where no person called a passage relevant; of
the other queries a few are scored for this alone. They are of queries that are settled, so what they say reaches the
queue through the strata: a subject on which the two disagree is worth more of people's time than one on which they
agree.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
from django.db.models import Count

from curation.engine.statistics.sampling import divergence
from curation.models import Project, Query
from tuning.engine.retriever import targets
from tuning.engine.retriever.candidates import read_lm_scores
from tuning.engine.retriever.retriever_spec import RetrieverSettings

MOST_BESIDE = 24  # scored in a cycle for the queue alone: each costs the small generator two seconds
_AT_ONCE = 500


def worth_scoring(project: Project, answered: Sequence[str]) -> list[str]:
    """Of these settled queries those whose scores would tell the queue something new, at most MOST_BESIDE.

    They have not been scored and are of a stratum in which queries are open: first one of each stratum, the one with
    the most open queries before the others, then a second of each, and so on; in a stratum in the order given. Without
    open queries there are none.
    """
    unscored = project.queries.filter(disagreement__isnull=True, is_evaluation=False).exclude(stratum="")
    of_stratum: dict[str, list[str]] = defaultdict(list)
    for start in range(0, len(answered), _AT_ONCE):
        some = answered[start : start + _AT_ONCE]
        stratum_of = dict(unscored.filter(pk__in=[int(name) for name in some]).values_list("pk", "stratum"))
        for name in some:
            if int(name) in stratum_of:
                of_stratum[stratum_of[int(name)]].append(name)
    counted = project.queries.filter(state=Query.State.OPEN, is_evaluation=False).exclude(stratum="")
    strata = counted.order_by().values("stratum").annotate(open=Count("pk")).order_by("-open", "stratum")
    rounds = zip_longest(*(of_stratum[row["stratum"]] for row in strata.iterator() if row["stratum"] in of_stratum))
    return list(islice((name for name in chain.from_iterable(rounds) if name), MOST_BESIDE))


def note(project: Project, scores: Path, candidates: Path) -> int:
    """Write the Jensen–Shannon divergence of p_R and t_L, in bits, onto each scored query; how many it were.

    p_R is taken as 1 / rank over the candidates both have seen, because the list keeps the order and no scores. A
    query whose answer needs no passage (targets.lm_target) says nothing of the retriever and keeps what it had, and
    the evaluation sample is left alone.
    """
    lm = read_lm_scores(scores)
    found: dict[int, float] = {}
    with candidates.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            told = lm.get(str(row["query_id"]))
            ranked = [name for name in row["passages"] if told is not None and name in told.scores]
            if told is None or len(ranked) < 2:
                continue
            given = np.array([told.scores[name] for name in ranked])
            target = targets.lm_target(given, RetrieverSettings().lm_temperature, told.without_passage)
            if target is not None:
                belief = 1.0 / np.arange(1, len(ranked) + 1)
                found[int(row["query_id"])] = divergence(belief / belief.sum(), target)
    queries = list(Query.objects.filter(project=project, pk__in=found, is_evaluation=False).only("pk"))
    for query in queries:
        query.disagreement = round(found[query.pk], 4)
    Query.objects.bulk_update(queries, ["disagreement"], batch_size=_AT_ONCE)
    return len(queries)
