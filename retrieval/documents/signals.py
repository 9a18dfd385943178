"""Signals of document changes. Other apps connect receivers, so that those who change documents need not call them."""

from __future__ import annotations

from datetime import datetime

from django.dispatch import Signal

from retrieval.models import Corpus, Passage

# Passages were retired, because their text was replaced or their document withdrawn. Sent once per change, inside its
# transaction, with `corpus` (Corpus) and `passages` (a queryset of the retired passages). What a receiver returns is
# handed to the caller of the change; an error of a receiver undoes the change.
passages_retired = Signal()


def send_passages_retired(corpus: Corpus, retired_at: datetime) -> tuple[object, ...]:
    """Send the signal for the passages retired at this moment, and return what the receivers returned."""
    passages = Passage.objects.filter(corpus=corpus, retired_at=retired_at)
    responses = passages_retired.send(sender=Passage, corpus=corpus, passages=passages)
    return tuple(response for _receiver, response in responses if response is not None)
