"""Where queries lie: their vectors, made by a worker and kept, for the acts that ask which queries mean the same.

By the encoder that the project began with, never the serving one: tuning draws queries of one passage together, and
what is alike would change with every promotion.
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

AT_ONCE = 500

Vector = NDArray[np.float16]


def first_encoder(project: Project) -> Encoder:
    """The untuned encoder behind whatever serves. Raises NothingServes."""
    encoder = lifecycle.serving(project).build.encoder
    while encoder.parent is not None:
        encoder = encoder.parent
    return encoder


def embed(project: Project, queries: Sequence[Query]) -> int:
    """Give a vector to these queries and to those of their subjects, where they have none: the newest AT_ONCE of them.

    How many got one. Who had been looked at without is due to be looked at again. The evaluation sample needs none,
    it takes and gives no grade. Raises NothingServes, CannotSearch.
    """
    if not queries:
        return 0
    encoder = first_encoder(project)
    there = QueryVector.objects.filter(query=OuterRef("pk"), encoder=encoder, text_key=OuterRef("text_key"))
    near = Q(pk__in=[query.pk for query in queries]) | Q(stratum__in={query.stratum for query in queries} - {""})
    blank = project.queries.filter(near, ~Exists(there), is_evaluation=False).order_by("-pk")
    some = list(blank.only("text", "text_key")[:AT_ONCE])
    if not some:
        return 0
    vectors = search.query_encoder(encoder).encode_queries([query.text for query in some])
    QueryVector.objects.bulk_create(
        [
            QueryVector(query=query, encoder=encoder, text_key=query.text_key, values=_packed(vector))
            for query, vector in zip(some, vectors, strict=True)
        ],
        update_conflicts=True,
        unique_fields=["query"],
        update_fields=["encoder", "text_key", "values"],
    )
    Query.objects.filter(pk__in=[query.pk for query in some], propagated_at__isnull=False).update(propagated_at=None)
    return len(some)


def closeness(query: Query, others: Iterable[Query]) -> dict[int, float]:
    """Cosine of the query to each of the others, by id; left out are those that no vector can be compared of."""
    own = QueryVector.objects.filter(query=query, text_key=query.text_key).first()
    if own is None:
        return {}
    keys = {other.pk: other.text_key for other in others}
    rows = QueryVector.objects.filter(query__in=keys, encoder=own.encoder_id).only("query", "text_key", "values")
    there = [row for row in rows if row.text_key == keys[row.query_id]]
    if not there:
        return {}
    matrix = np.stack([_unpacked(row) for row in there]).astype(np.float32)  # (others, dim)
    return dict(zip([row.query_id for row in there], (matrix @ _unpacked(own)).tolist(), strict=True))


def _packed(vector: NDArray[np.float32]) -> bytes:
    return vector.astype("<f2").tobytes()


def _unpacked(row: QueryVector) -> Vector:
    return np.frombuffer(row.values, "<f2")
