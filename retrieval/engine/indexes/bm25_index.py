"""BM25 over English, Chinese, and texts that mix them.

Words are folded, stemmed and, when they say nothing, left out; a run of CJK characters becomes its pairs
(the standard analysis where no dictionary is to be kept), a single character stands for itself.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.artifacts import Damaged
from retrieval.engine.indexes.dense_index import FloatArray, IntArray, top
from retrieval.engine.text.chunking import CJK

if TYPE_CHECKING:
    import bm25s

K1, B = 1.5, 0.75  # bm25s' own, which are Lucene's form with the usual constants
_RUNS = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+(?:['’][^\W_{CJK}]+)?")
_IS_CJK = re.compile(f"[{CJK}]")
_STEP = 2000


def analyse(text: str) -> list[str]:
    """The text's terms, in order and as often as they come."""
    return list(_terms(unicodedata.normalize("NFKC", text).casefold()))


class LexicalIndex:
    """BM25 scores of every term in every text. Safe to share between threads."""

    def __init__(self, index: bm25s.BM25) -> None:
        self._index = index

    @classmethod
    def build(cls, texts: Sequence[str], on_progress: Callable[[int, int], None] | None = None) -> LexicalIndex:
        """The index of at least one text; row i is text i. on_progress(done, total) while reading."""
        bm25s = _bm25s()
        terms = []
        for done, text in enumerate(texts, start=1):
            terms.append(analyse(text) or [""])  # a text of stop words alone keeps its row; no query has this term
            if on_progress and (done % _STEP == 0 or done == len(texts)):
                on_progress(done, len(texts))
        index = bm25s.BM25(k1=K1, b=B, method="lucene")
        index.index(terms, show_progress=False)
        return cls(index)

    def save(self, folder: Path) -> None:
        """Write the index's files into a folder of its own."""
        self._index.save(str(folder), show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> LexicalIndex:
        """The saved index, memory-mapped; raises Damaged when it is not there or not whole."""
        bm25s = _bm25s()
        try:
            return cls(bm25s.BM25.load(str(folder), mmap=True, show_progress=False))
        except (OSError, ValueError, KeyError) as error:
            raise Damaged(f"{folder} holds no readable lexical index") from error

    def __len__(self) -> int:
        return int(self._index.scores["num_docs"])

    def scores(self, query: str) -> FloatArray:
        """(n,) BM25 of every text, at least 0; all 0 when no term of the query is known."""
        known: list[int] = self._index.get_tokens_ids(analyse(query))
        if not known:
            return np.zeros(len(self), np.float32)
        scores: FloatArray = self._index.get_scores_from_ids(known)
        return scores

    def best(self, scores: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """Scores and rows of the k best that have a term of the query, best first; equal ones by row."""
        best, rows = top(scores, min(k, len(scores)))
        has_term: NDArray[np.bool_] = best > 0
        return best[has_term], rows[has_term]


def _terms(text: str) -> Iterator[str]:
    for match in _RUNS.finditer(text):
        run = match.group()
        if _IS_CJK.match(run):
            yield from _pairs(run)
        else:
            word = run.removesuffix("'s").removesuffix("’s")
            if word not in _stop_words():
                yield _stem(word)


def _pairs(run: str) -> Iterable[str]:
    return [run] if len(run) == 1 else (run[at : at + 2] for at in range(len(run) - 1))


@cache
def _bm25s() -> Any:
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # the import sets it to DEBUG
    return bm25s


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)


@lru_cache(maxsize=1 << 17)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
