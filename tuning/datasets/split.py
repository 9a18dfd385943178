"""The split of a dataset: paraphrases form a cluster, and each cluster goes to train, dev or test as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from common.messages import StrOrMessage, message
from curation.models import Project
from curation.queries import query_vectors
from retrieval.index import encoders
from tuning.engine.data import clusters
from tuning.engine.data.examples import JudgedQuery

_BATCH = 250  # queries that are embedded between two progress reports

Progress = Callable[[int, int, StrOrMessage], None]


def split_rows(
    project: Project, rows: Sequence[JudgedQuery], held_out: set[str], seed: int, on_progress: Progress | None = None
) -> list[JudgedQuery]:
    """Return the rows with their cluster and split, in the same order.

    held_out: query ids of the evaluation sample. A cluster that has one of them is test as a whole.
    """
    vectors = _query_vectors(project, rows, on_progress)
    first_of_cluster = clusters.group_paraphrases([row.text for row in rows], vectors)
    names = [clusters.text_key(rows[index].text) for index in first_of_cluster]
    locked = {name for row, name in zip(rows, names, strict=True) if row.query_id in held_out}
    split_of = clusters.assign_splits(names, locked, seed)
    return [replace(row, cluster=name, split=split_of[name]) for row, name in zip(rows, names, strict=True)]


def _query_vectors(project: Project, rows: Sequence[JudgedQuery], on_progress: Progress | None) -> clusters.Floats:
    """Return the query vectors (rows, dim) of the encoder that the project began with.

    Not those of the live encoder: training moves queries of one passage closer together. Clusters that grew with
    every promotion would move queries from split to split.
    """
    encoder = encoders.load(query_vectors.first_encoder(project))
    batches = []
    for start in range(0, len(rows), _BATCH):
        batches.append(encoder.encode_queries([row.text for row in rows[start : start + _BATCH]]))
        if on_progress:
            on_progress(min(start + _BATCH, len(rows)), len(rows), message("comparing_queries"))
    return np.concatenate(batches)
