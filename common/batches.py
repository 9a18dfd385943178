"""Split iterables into batches, because a database query takes a limited number of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

MAX_PARAMETERS = 900  # of one SQL statement: SQLite before 3.32 allows 999


def batches(items: Iterable[T], size: int = MAX_PARAMETERS) -> Iterator[list[T]]:
    """Yield lists of up to `size` items, in order; none for no items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
