"""Signals of the queries room. Rooms above connect receivers, so that a new query needs no call to them."""

from __future__ import annotations

from django.dispatch import Signal

# Queries have their first ranking and are ready for annotation. Sent inside the transaction that froze the rankings,
# with `project` (Project) and `queries` (a sequence of Query). An error of a receiver undoes the transaction.
queries_ready = Signal()
