"""How far the retriever and the language model disagree on a query, written onto it for the queue of curation.

The scores are those of a retriever's training, which learns from them where no person called a passage relevant; of
the other queries they are computed for this alone, once, within the time a turn has for them. They are of queries that
are settled, so what they say reaches the queue through the strata: a subject on which the two disagree is worth more
of people's time than one on which they agree.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from curation.engine.sampling import divergence
from curation.models import Project, Query
from tuning.engine import targets
from tuning.engine.candidates import read_lm_scores
from tuning.engine.encoder_spec import RetrieverSettings

_AT_ONCE = 500


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
