"""Lead tokens or the whole passage: which of the two the dual encoder learns from.

Where the lead says what a passage is about, as a title does, four epochs over leads cost as much as one over whole
passages, and teach more (bench/README.md). Where the answer may stand anywhere, a retriever that learned from leads is
worse than before the training: ExpertQA 0.826 → 0.820, and 0.834 from whole passages. The base shows which of the two a
corpus is, before any training: does it find the positives by their leads as well as by the whole passages?
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retrieval.engine.encoders import lead_pooling
from tuning.engine.retriever.batches import TrainingData
from tuning.engine.retriever.candidates import Rows, TrainingExample, Vectors, fill_pool
from tuning.engine.retriever.retriever_spec import AUTO, LEAD, WHOLE, RetrieverSettings
from tuning.engine.retriever.trainable_encoder import TrainableEncoder
from tuning.engine.retriever.whitening import discounted_gain

MAX_QUERIES, MAX_PASSAGES = 128, 256  # in the comparison: three seconds


def choose_span(data: TrainingData, settings: RetrieverSettings, encoder: TrainableEncoder, seed: int) -> str:
    """Return LEAD or WHOLE; of equals the cheaper, which is LEAD. encoder: the base's passage side.

    A setting that names one of the two decides, and weights that have lead tokens keep to LEAD. Measured over the
    positives of some training queries, and the passages that the base ranks first for them.
    """
    if settings.passage_span != AUTO:
        return settings.passage_span
    examples = [example for example in data.examples if example.is_positive.any()]
    if encoder.lead_tokens or not examples:
        return LEAD
    positions = np.sort(np.random.default_rng(seed).permutation(len(examples))[:MAX_QUERIES])
    examples = [examples[position] for position in positions]
    positives = {int(row) for example in examples for row in example.positive_rows}
    pool = fill_pool(positives, [_ranking(data, example) for example in examples], MAX_PASSAGES)
    whole = np.ascontiguousarray(data.passage_vectors[pool])  # (m, dim)
    leads = _lead_vectors(whole, [data.passages[row] for row in pool], encoder, settings.dual_train_tokens)
    queries = data.query_vectors[[example.row for example in examples]]
    positions_of = [np.searchsorted(pool, np.sort(example.positive_rows)) for example in examples]
    lead_gain = discounted_gain(queries, positions_of, leads, leads)
    return LEAD if lead_gain >= discounted_gain(queries, positions_of, whole, whole) else WHOLE


def settings_for(settings: RetrieverSettings, span: str) -> RetrieverSettings:
    """Return the settings by which the dual encoder learns from LEAD or WHOLE."""
    if span == LEAD:
        return replace(settings, passage_span=LEAD)
    return replace(
        settings,
        passage_span=WHOLE,
        dual_train_tokens=settings.whole_train_tokens,
        dual_max_tokens=settings.whole_max_tokens,
        dual_epochs=settings.whole_epochs,
        dual_lead_tokens=(),
    )


def _lead_vectors(whole: Vectors, texts: list[str], encoder: TrainableEncoder, tokens: int) -> Vectors:
    """Return the vectors (m, dim) of the first `tokens` tokens of the texts, whose own vectors are `whole`."""
    leads = lead_pooling.truncate(encoder.model.tokenizer, texts, tokens)
    longer = [position for position, text in enumerate(texts) if leads[position] != text]
    vectors = whole.copy()
    if longer:
        vectors[longer] = encoder.encode([leads[position] for position in longer])
    return vectors


def _ranking(data: TrainingData, example: TrainingExample) -> Rows:
    """Return the rows that the base ranks first for a query, best first, at most MAX_PASSAGES."""
    scores = -data.base_scores(example)
    depth = min(MAX_PASSAGES, len(scores))
    rows = np.argpartition(scores, depth - 1)[:depth]
    ranking: Rows = rows[np.argsort(scores[rows], kind="stable")]
    return ranking
