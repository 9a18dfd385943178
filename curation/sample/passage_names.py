"""Passage names of the sample: (topic or symbol, a few words) → a passage of the Python that runs.

The wording and the chunking of the documentation differ a little between versions. The words are looked up in their
topic or symbol first. Words that moved to another topic or symbol are found where they occur in one passage only. A
symbol with a single passage is found by its name, even if its words have changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from curation.sample.corpus import REFERENCE, SamplePassage, normalize_words


class PassageNames:
    """The passages of one corpus, found by name."""

    def __init__(self, passages: Iterable[SamplePassage]) -> None:
        self._of_key: dict[str, list[tuple[str, str]]] = defaultdict(list)  # key → (padded words, external id)
        for passage in passages:
            self._of_key[passage.key].append((f" {normalize_words(passage.text)} ", passage.external_id))

    def find(self, key: str, words: str) -> str | None:
        """Return the external id of the passage; None where this Python has none or more than one."""
        own_passages = self._of_key.get(key, [])
        matches = self._matches(words, own_passages)
        if matches:
            return matches[0] if len(matches) == 1 else None
        is_reference = key.startswith(REFERENCE)
        same_kind = (rows for name, rows in self._of_key.items() if name.startswith(REFERENCE) == is_reference)
        moved = self._matches(words, (row for rows in same_kind for row in rows))
        if len(moved) == 1:
            return moved[0]
        return own_passages[0][1] if len(own_passages) == 1 and not is_reference else None

    @staticmethod
    def _matches(words: str, rows: Iterable[tuple[str, str]]) -> list[str]:
        pattern = f" {normalize_words(words)} "
        return [external_id for text, external_id in rows if pattern in text]
