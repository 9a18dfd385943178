"""Training data of the retriever and its batches: the queries of a step, their passages, in-batch negatives.

A passage that several queries of a batch bring is encoded once. The passages of one query count for all the other
queries too, by the rules of `candidates`: positive, negative, or neither because it may be a false negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curation.engine.statistics.relevance import RELEVANT_FROM
from tuning.engine.retriever import targets
from tuning.engine.retriever.candidates import (
    Bools,
    Floats,
    Rows,
    TrainingExample,
    Vectors,
    likely_false_negatives,
    mine_hard_negatives,
)
from tuning.engine.retriever.retriever_spec import RetrieverSettings
from tuning.engine.retriever.whitening import Whitening


@dataclass(frozen=True)
class TrainingData:
    """Everything a training strategy trains on. Row i of a text list and of its vectors is the same thing.

    queries, passages: with their prefixes. query_vectors (n, dim), passage_vectors (N, dim): the base's, of length 1.
    candidate_rows: ascending rows of the passages in the softmax of the strategies with frozen passage vectors.
    whitening: the matrix behind the query side at first.
    """

    queries: Sequence[str]
    passages: Sequence[str]
    query_vectors: Vectors
    passage_vectors: Vectors
    examples: Sequence[TrainingExample]
    candidate_rows: Rows
    whitening: Whitening

    @cached_property
    def anchor_vectors(self) -> Vectors:
        """(n, dim) vectors of length 1: the base's queries behind the whitening, which an anchor holds to."""
        whitened = self.query_vectors @ self.whitening.matrix.T
        vectors: Vectors = whitened / np.maximum(np.linalg.norm(whitened, axis=1, keepdims=True), 1e-12)
        return vectors

    def base_scores(self, example: TrainingExample) -> Floats:
        """Return (N,) cosines of the query with every passage, by the base."""
        scores: Floats = (self.passage_vectors @ self.query_vectors[example.row]).astype(np.float64)
        return scores


@dataclass(frozen=True)
class Batch:
    """Rows are queries, columns passages: every matrix is (batch, passages).

    positives, negatives:      of the contrastive loss; both empty for a query without a relevant passage.
    only_negatives, unjudged:  of such a query: the passages judged not relevant, and those without a judgement.
    judged, human_target:      support and values of t_H. scored, lm_target: support and values of t_L.
    """

    queries: Rows
    passages: Rows
    weights: Floats
    positives: Bools
    negatives: Bools
    only_negatives: Bools
    unjudged: Bools
    judged: Bools
    human_target: Floats
    scored: Bools
    lm_target: Floats


def epoch_batches(count: int, size: int, epochs: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Shuffle `count` examples once an epoch and cut them into batches of near-equal size, at most `size`."""
    for _ in range(epochs):
        yield from np.array_split(rng.permutation(count), -(-count // size))


def count_batches(count: int, size: int, epochs: int) -> int:
    """Return how many batches `epoch_batches` gives."""
    return epochs * -(-count // size)


def choose_passages(
    example: TrainingExample, scores: Floats, settings: RetrieverSettings, rng: np.random.Generator, max_passages: int
) -> list[int]:
    """Return the passages of one query in a batch of the dual encoder: at most `max_passages`, and mined ones.

    First a positive (another each epoch), then judged negatives, those the base ranks highest first, then the other
    judged and the scored passages in random order, then hard negatives. scores: (N,) of the base.
    """
    positives = rng.permutation(example.positive_rows)
    negatives = example.negative_rows[np.argsort(-scores[example.negative_rows], kind="stable")]
    rest = rng.permutation(np.concatenate([positives[1:], example.judged_rows, example.scored_rows]))
    rows = list(dict.fromkeys([*positives[:1], *negatives, *rest]))[:max_passages]
    if settings.dual_hard_negatives:
        barred = likely_false_negatives(scores, example.positive_rows, settings.false_negative_ratio)
        pool = mine_hard_negatives(scores, example, barred, 4 * settings.dual_hard_negatives)
        rows += list(rng.permutation(pool)[: settings.dual_hard_negatives])
    return [int(row) for row in rows]


def build_batch(
    data: TrainingData,
    examples: Sequence[TrainingExample],
    passages: Sequence[int] | Rows,
    settings: RetrieverSettings,
    *,
    are_hard: bool,
) -> Batch:
    """Return the batch of these examples over these passages, given in any order and with repetitions.

    are_hard: the passages are hard negatives of the base; an unjudged one that it scores close to the positive is left
    out. Else they are in-batch negatives of other queries, or the whole corpus; then an unjudged passage is left out
    only where it duplicates the positive, because the errors of the base are what there is to learn. FeedbackQA: both
    sides, 200 queries, 0.661 with the first rule there, 0.669 without; a matrix over the whole corpus, 1,000 queries,
    0.606 and 0.620.
    """
    columns = np.unique(np.asarray(passages, dtype=np.int64))  # (P,) ascending
    batch = _empty_batch(examples, columns)
    vectors = data.passage_vectors[columns]  # (P, dim)
    base = (data.query_vectors[batch.queries] @ vectors.T).astype(np.float64) if are_hard else None  # (B, P)
    for row, example in enumerate(examples):
        _add_grades(batch, row, example, settings.grade_temperature)
        _add_lm_target(batch, row, example)
        if example.is_positive.any():
            positives = data.passage_vectors[example.positive_rows]  # in the batch or not
            if base is not None:
                scores = positives @ data.query_vectors[example.row]
                barred = _false_negatives(base[row], scores, settings.false_negative_ratio)
            else:
                barred = (vectors @ positives.T).max(axis=1) >= settings.duplicate_cosine
            batch.negatives[row] |= ~batch.judged[row] & ~barred
    return batch


def _empty_batch(examples: Sequence[TrainingExample], columns: Rows) -> Batch:
    shape = (len(examples), len(columns))
    rows = np.array([example.row for example in examples], dtype=np.int64)
    weights = np.array([example.weight for example in examples])
    names = ("positives", "negatives", "only_negatives", "unjudged", "judged", "scored")
    masks = {name: np.zeros(shape, dtype=np.bool_) for name in names}
    return Batch(rows, columns, weights, human_target=np.zeros(shape), lm_target=np.zeros(shape), **masks)


def _add_grades(batch: Batch, row: int, example: TrainingExample, temperature: float) -> None:
    """Fill in what people's grades say of the batch's passages."""
    columns, is_in_batch = _columns_of(batch.passages, example.judged_rows)
    grades = example.grades[is_in_batch]
    batch.judged[row, columns] = True
    target = targets.human_target(grades, temperature)
    if target is not None:
        batch.human_target[row, columns] = target
    if example.is_positive.any():
        batch.positives[row, columns] = example.is_positive[is_in_batch]
        batch.negatives[row, columns[grades < RELEVANT_FROM]] = True
    else:
        batch.only_negatives[row, columns[grades < RELEVANT_FROM]] = True
        batch.unjudged[row] = ~batch.judged[row]


def _add_lm_target(batch: Batch, row: int, example: TrainingExample) -> None:
    """Fill in the language model's target, renormalised over the batch's passages."""
    columns, is_in_batch = _columns_of(batch.passages, example.scored_rows)
    shares = example.lm_target[is_in_batch]
    if shares.sum() > 0:
        batch.scored[row, columns] = True
        batch.lm_target[row, columns] = shares / shares.sum()


def _false_negatives(scores: Floats, positive_scores: Vectors, ratio: float) -> Bools:
    """Return which of the batch's passages (P,) the base scores close to the query's best positive (positives,)."""
    values = np.concatenate([scores, positive_scores.astype(np.float64)])
    return likely_false_negatives(values, np.arange(len(scores), len(values)), ratio)[: len(scores)]


def _columns_of(columns: Rows, rows: Rows) -> tuple[Rows, Bools]:
    """Return the columns of those passages that are in the batch, and which of the passages are."""
    positions = np.searchsorted(columns, rows).clip(max=max(0, len(columns) - 1))
    is_in_batch: Bools = columns[positions] == rows if len(columns) else np.zeros(len(rows), dtype=np.bool_)
    return positions[is_in_batch], is_in_batch
