"""Query vectors: stored embeddings of queries, which find queries of the same meaning.

They come from the encoder that the project began with, never from the live one: training draws queries of one passage
together, and similarities would change with every promotion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from django.db.models import Exists, OuterRef, Q
from numpy.typing import NDArray

from curation.models import Project, Query, QueryVector
from curation.releases import lifecycle
from retrieval.models import Encoder
from retrieval.search import search

MAX_EMBEDDED = 500

Vector = NDArray[np.float16]


def first_encoder(project: Project) -> Encoder:
    """Return the untuned encoder that the live release's encoder descends from. Raises NoLiveRelease."""
    encoder = lifecycle.live_release(project).build.encoder
    while encoder.parent is not None:
        encoder = encoder.parent
    return encoder


def embed_missing(project: Project, queries: Sequence[Query]) -> int:
    """Embed these queries and the others of their strata that have no current vector; return how many.

    The newest MAX_EMBEDDED of them. The embedded queries become due for label propagation again, because more similar
    queries may be found now. Queries of the evaluation sample get no vector: they neither give nor take grades.
    Raises NoLiveRelease, CannotSearch.
    """
    if not queries:
        return 0
    encoder = first_encoder(project)
    batch = _without_vector(project, queries, encoder)
    if not batch:
        return 0
    vectors = search.query_encoder(encoder).encode_queries([query.text for query in batch])
    QueryVector.objects.bulk_create(
        [
            QueryVector(query=query, encoder=encoder, text_key=query.text_key, values=_to_bytes(vector))
            for query, vector in zip(batch, vectors, strict=True)
        ],
        update_conflicts=True,
        unique_fields=["query"],
        update_fields=["encoder", "text_key", "values"],
    )
    ids = [query.pk for query in batch]
    Query.objects.filter(pk__in=ids, propagated_at__isnull=False).update(propagated_at=None)
    return len(batch)


def _without_vector(project: Project, queries: Sequence[Query], encoder: Encoder) -> list[Query]:
    """Return these queries and others of their strata that have no current vector of the encoder, newest first."""
    current = QueryVector.objects.filter(query=OuterRef("pk"), encoder=encoder, text_key=OuterRef("text_key"))
    is_near = Q(pk__in=[query.pk for query in queries]) | Q(stratum__in={query.stratum for query in queries} - {""})
    missing = project.queries.filter(is_near, ~Exists(current), is_evaluation=False).order_by("-pk")
    return list(missing.only("text", "text_key")[:MAX_EMBEDDED])


def cosine_similarities(query: Query, others: Iterable[Query]) -> dict[int, float]:
    """Return query id → cosine similarity to the query, in [-1, 1].

    Queries are left out whose vector is missing, outdated, or from another encoder.
    """
    own = QueryVector.objects.filter(query=query, text_key=query.text_key).first()
    if own is None:
        return {}
    keys = {other.pk: other.text_key for other in others}
    rows = QueryVector.objects.filter(query__in=keys, encoder=own.encoder_id).only("query", "text_key", "values")
    current = [row for row in rows if row.text_key == keys[row.query_id]]
    if not current:
        return {}
    matrix = np.stack([_from_bytes(row) for row in current]).astype(np.float32)  # (others, dim)
    return dict(zip([row.query_id for row in current], (matrix @ _from_bytes(own)).tolist(), strict=True))


def _to_bytes(vector: NDArray[np.float32]) -> bytes:
    return vector.astype("<f2").tobytes()


def _from_bytes(row: QueryVector) -> Vector:
    return np.frombuffer(row.values, "<f2")
