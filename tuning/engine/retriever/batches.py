"""One step's worth of queries, the distinct passages they look at, and what each query says about each of them.

A passage wanted by several queries of a batch is encoded once. What one query wants is looked at by all
the others too, by the rules of `candidates`: right, wrong, or neither because it is unjudged and near.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curation.engine.statistics.relevance import RELEVANT_FROM
from tuning.engine.retriever import targets
from tuning.engine.retriever.candidates import Bools, Example, Floats, Rows, Vectors, mined, near_positives
from tuning.engine.retriever.retriever_spec import RetrieverSettings
from tuning.engine.retriever.whitening import Whitening


@dataclass(frozen=True)
class Material:
    """Everything a road trains on. Row i of a text list and of its vectors is the same thing.

    queries, passages: with their prefixes. query_vectors (n, dim), passage_vectors (N, dim): the base's, of length 1.
    looked_at: ascending rows of the passages that the quick roads look at. head: what stands behind the query side at
    first; aims (n, dim): the queries behind it, of length 1, which an anchor holds to.
    """

    queries: Sequence[str]
    passages: Sequence[str]
    query_vectors: Vectors
    passage_vectors: Vectors
    examples: Sequence[Example]
    looked_at: Rows
    head: Whitening

    @cached_property
    def aims(self) -> Vectors:
        moved = self.query_vectors @ self.head.matrix.T
        found: Vectors = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        return found

    def base_scores(self, example: Example) -> Floats:
        """(N,) cosines of the query with every passage, as the base sees them."""
        scores: Floats = (self.passage_vectors @ self.query_vectors[example.row]).astype(np.float64)
        return scores


@dataclass(frozen=True)
class Batch:
    """Rows are queries, columns passages: every matrix is (batch, passages).

    right, wrong:    the contrast; both empty for a query without a relevant passage.
    refused, others: for such a query, what was judged not relevant and what is unjudged.
    judged, human:   support and values of t_H; scored, lm: support and values of t_L.
    """

    queries: Rows
    passages: Rows
    weights: Floats
    right: Bools
    wrong: Bools
    refused: Bools
    others: Bools
    judged: Bools
    human: Floats
    scored: Bools
    lm: Floats


def epochs(count: int, size: int, times: int, rng: np.random.Generator) -> Iterator[Rows]:
    """`times` shuffles of `count` examples, cut into batches of near-equal size, at most `size`."""
    for _ in range(times):
        yield from np.array_split(rng.permutation(count), -(-count // size))


def steps(count: int, size: int, times: int) -> int:
    """How many batches `epochs` gives."""
    return times * -(-count // size)


def chosen(
    example: Example, scores: Floats, settings: RetrieverSettings, rng: np.random.Generator, most: int
) -> list[int]:
    """Passages one query brings into a batch of the road that has to encode them: at most `most`, and mined ones.

    First a relevant one (another each epoch), then judged-not ones, those the base ranks highest first,
    then the other judged and the scored ones in random order.
    """
    right = rng.permutation(example.right)
    wrong = example.wrong[np.argsort(-scores[example.wrong], kind="stable")]
    rest = rng.permutation(np.concatenate([right[1:], example.judged, example.scored]))
    picked = list(dict.fromkeys([*right[:1], *wrong, *rest]))[:most]
    if settings.both_mined:
        near = near_positives(scores, example.right, settings.near)
        pool = mined(scores, example, near, 4 * settings.both_mined)
        picked += list(rng.permutation(pool)[: settings.both_mined])
    return [int(row) for row in picked]


def make(
    material: Material,
    examples: Sequence[Example],
    passages: Sequence[int] | Rows,
    settings: RetrieverSettings,
    *,
    are_hard: bool,
) -> Batch:
    """The batch of these examples over these passages, in any order and with repetitions.

    are_hard: the passages are what the base confuses, and an unjudged one that it scores near the positive is left
    out. Else they came by chance, with other queries, or are the whole corpus: then only one that is all but the
    positive itself is, because what the base wrongly scores high is what there is to learn (FeedbackQA: both sides,
    200 queries, 0.661 with the first rule there, 0.669 without; a matrix over the whole corpus, 1,000 queries, 0.606
    and 0.620).
    """
    columns = np.unique(np.asarray(passages, dtype=np.int64))  # (P,) ascending
    shape = (len(examples), len(columns))
    masks = {name: np.zeros(shape, dtype=np.bool_) for name in ("right", "wrong", "refused", "others")}
    supports = {name: np.zeros(shape, dtype=np.bool_) for name in ("judged", "scored")}
    human, lm = np.zeros(shape), np.zeros(shape)
    rows = np.array([example.row for example in examples], dtype=np.int64)
    vectors = material.passage_vectors[columns]  # (P, dim)
    base = (material.query_vectors[rows] @ vectors.T).astype(np.float64)  # (B, P)
    for b, example in enumerate(examples):
        at, inside = _columns(columns, example.judged)
        supports["judged"][b, at] = True
        grades = example.grades[inside]
        target = targets.human_target(grades, settings.grade_temperature)
        if target is not None:
            human[b, at] = target
        unjudged = ~supports["judged"][b]
        if example.is_right.any():
            masks["right"][b, at] = example.is_right[inside]
            good = material.passage_vectors[example.right]  # in the batch or not
            if are_hard:
                left_out = _near(base[b], good @ material.query_vectors[example.row], settings.near)
            else:
                left_out = (vectors @ good.T).max(axis=1) >= settings.twin
            masks["wrong"][b] = unjudged & ~left_out
            masks["wrong"][b, at[grades < RELEVANT_FROM]] = True
        else:
            masks["refused"][b, at] = grades < RELEVANT_FROM
            masks["others"][b] = unjudged
        at, inside = _columns(columns, example.scored)
        share = example.lm_target[inside]
        if share.sum() > 0:
            supports["scored"][b, at] = True
            lm[b, at] = share / share.sum()
    weights = np.array([example.weight for example in examples])
    return Batch(rows, columns, weights, human=human, lm=lm, **masks, **supports)


def _near(base: Floats, positives: Vectors, share: float) -> Bools:
    """Which of the batch's passages (P,) the base scores near the query's best positive (right,)."""
    values = np.concatenate([base, positives.astype(np.float64)])
    return near_positives(values, np.arange(len(base), len(values)), share)[: len(base)]


def _columns(columns: Rows, wanted: Rows) -> tuple[Rows, Bools]:
    """Where the wanted passages stand among the columns, and which of them do."""
    at = np.searchsorted(columns, wanted).clip(max=max(0, len(columns) - 1))
    inside: Bools = columns[at] == wanted if len(columns) else np.zeros(len(wanted), dtype=np.bool_)
    return at[inside], inside
