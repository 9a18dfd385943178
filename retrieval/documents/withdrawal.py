"""Withdrawal: take documents out of a corpus. Their rows stay, because judgements refer to them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from common.batches import batches
from retrieval.documents.signals import send_passages_retired
from retrieval.models import Corpus, Passage

_BATCH_SIZE = 500


@transaction.atomic
def withdraw(corpus: Corpus, external_ids: Iterable[str]) -> int:
    """Retire the documents with these ids and their passages; return the number of documents.

    Ids without an active document are ignored. Sends `passages_retired`.
    """
    Corpus.objects.select_for_update().get(pk=corpus.pk)  # one change of a corpus at a time
    now = timezone.now()
    document_count = passage_count = 0
    for ids in batches(external_ids, _BATCH_SIZE):
        documents = corpus.documents.active().filter(external_id__in=ids)
        passage_count += Passage.objects.active().filter(document__in=documents).update(retired_at=now)
        document_count += documents.update(retired_at=now)
    if passage_count:
        send_passages_retired(corpus, now)
    return document_count
