"""From a key, (topic or symbol, a few words), to the passage it means on the Python that runs.

The wording and the cut of the documentation move a little between versions. A key is looked up where it
was found first; words that have moved to another topic or symbol are followed when they stand in one place
only; and a symbol with a single passage is known by its name, whatever became of the words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from curation.sample.corpus import REFERENCE, SamplePassage, words_of


class Resolver:
    """The passages of one corpus, to be looked up by key."""

    def __init__(self, passages: Iterable[SamplePassage]) -> None:
        self._of_key: dict[str, list[tuple[str, str]]] = defaultdict(list)  # key → (padded words, external id)
        for passage in passages:
            self._of_key[passage.key].append((f" {words_of(passage.text)} ", passage.external_id))

    def find(self, key: str, words: str) -> str | None:
        """The external id of the passage meant, None when this Python has none."""
        there = self._of_key.get(key, [])
        found = self._with(words, there)
        if found:
            return found[0] if len(found) == 1 else None
        is_reference = key.startswith(REFERENCE)
        alike = (rows for name, rows in self._of_key.items() if name.startswith(REFERENCE) == is_reference)
        moved = self._with(words, (row for rows in alike for row in rows))
        if len(moved) == 1:
            return moved[0]
        return there[0][1] if len(there) == 1 and not is_reference else None

    @staticmethod
    def _with(words: str, rows: Iterable[tuple[str, str]]) -> list[str]:
        wanted = f" {words_of(words)} "
        return [external_id for text, external_id in rows if wanted in text]
