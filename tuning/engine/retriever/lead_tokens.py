"""How much of a passage the main road reads: its beginning, again and again, or more of it.

Where the beginning says what a passage is about, as a title does, it can be read four times for the price of the whole
once, and teaches more (bench/README.md). Where what answers may stand anywhere, a retriever that learned from
beginnings is worse than before it learned: ExpertQA 0.826 → 0.820, and 0.834 where it read on. The base knows which of
the two a corpus is, before anything was learned: does it find the right passages by their beginnings as well as by
what it reads of the whole?
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retrieval.engine.encoders import lead_pooling
from tuning.engine.retriever.batches import Material
from tuning.engine.retriever.candidates import Example, Rows, filled
from tuning.engine.retriever.retriever_spec import AUTO, BEGINNING, WHOLE, RetrieverSettings
from tuning.engine.retriever.trainable_encoder import Tower
from tuning.engine.retriever.whitening import quality

QUERIES, PASSAGES = 128, 256  # looked at, at most: three seconds


def choose(material: Material, settings: RetrieverSettings, tower: Tower, seed: int) -> str:
    """BEGINNING or WHOLE; of equals the cheaper, which is the beginning. tower: the base's passage side.

    Weights that read beginnings already keep to it, and so does a setting that names one of the two. Measured over the
    passages right for some training queries, and those that the base ranks first for them.
    """
    if settings.both_reads != AUTO:
        return settings.both_reads
    told = [example for example in material.examples if example.is_right.any()]
    if tower.begun or not told:
        return BEGINNING
    some = [told[at] for at in np.sort(np.random.default_rng(seed).permutation(len(told))[:QUERIES])]
    right = {int(row) for example in some for row in example.right}
    pool = filled(right, [_first(material, example) for example in some], PASSAGES)
    whole = np.ascontiguousarray(material.passage_vectors[pool])  # (m, dim)
    texts = [material.passages[row] for row in pool]
    begun = lead_pooling.cut(tower.model.tokenizer, texts, settings.both_train_tokens)
    longer = [at for at, text in enumerate(texts) if begun[at] != text]
    short = whole.copy()
    if longer:
        short[longer] = tower.vectors([begun[at] for at in longer])
    queries = material.query_vectors[[example.row for example in some]]
    rights = [np.searchsorted(pool, np.sort(example.right)) for example in some]
    return BEGINNING if quality(queries, rights, short, short) >= quality(queries, rights, whole, whole) else WHOLE


def settled(settings: RetrieverSettings, reads: str) -> RetrieverSettings:
    """The settings by which the main road then learns."""
    if reads == BEGINNING:
        return replace(settings, both_reads=BEGINNING)
    return replace(
        settings,
        both_reads=WHOLE,
        both_train_tokens=settings.whole_train_tokens,
        both_max_tokens=settings.whole_max_tokens,
        both_epochs=settings.whole_epochs,
        both_beginnings=(),
    )


def _first(material: Material, example: Example) -> Rows:
    """What the base ranks first for a query, best first, at most PASSAGES."""
    scores = -material.base_scores(example)
    most = min(PASSAGES, len(scores))
    rows = np.argpartition(scores, most - 1)[:most]
    order: Rows = rows[np.argsort(scores[rows], kind="stable")]
    return order
