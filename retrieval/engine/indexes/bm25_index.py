"""BM25 index (lexical search) over English, Chinese and mixed texts.

Analysis: words are case-folded, stop words removed, the others stemmed. A run of CJK characters becomes its bigrams,
which needs no dictionary; a single character is a term.
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
from retrieval.engine.indexes.dense_index import FloatArray, IntArray, top_k
from retrieval.engine.text.chunking import CJK

if TYPE_CHECKING:
    import bm25s

K1, B = 1.5, 0.75  # the defaults of bm25s; the formula is Lucene's
_TOKENS = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+(?:['’][^\W_{CJK}]+)?")
_IS_CJK = re.compile(f"[{CJK}]")
_PROGRESS_STEP = 2000  # texts


def analyze(text: str) -> list[str]:
    """Return the text's terms in order, with repetitions."""
    return list(_terms(unicodedata.normalize("NFKC", text).casefold()))


class LexicalIndex:
    """A BM25 index: the scores of every term in every text. Thread-safe."""

    def __init__(self, index: bm25s.BM25) -> None:
        self._index = index

    @classmethod
    def build(cls, texts: Sequence[str], on_progress: Callable[[int, int], None] | None = None) -> LexicalIndex:
        """Build the index of at least one text; row i is text i. on_progress(done, total) counts analysed texts."""
        bm25s = _bm25s()
        terms = []
        for done, text in enumerate(texts, start=1):
            terms.append(analyze(text) or [""])  # a text of stop words alone keeps its row; no query has the term ""
            if on_progress and (done % _PROGRESS_STEP == 0 or done == len(texts)):
                on_progress(done, len(texts))
        index = bm25s.BM25(k1=K1, b=B, method="lucene")
        index.index(terms, show_progress=False)
        return cls(index)

    def save(self, folder: Path) -> None:
        """Write the index's files into `folder`."""
        self._index.save(str(folder), show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> LexicalIndex:
        """Open a saved index, memory-mapped. Raises Damaged when it is missing or incomplete."""
        bm25s = _bm25s()
        try:
            return cls(bm25s.BM25.load(str(folder), mmap=True, show_progress=False))
        except (OSError, ValueError, KeyError) as error:
            raise Damaged(f"{folder} holds no readable lexical index") from error

    def __len__(self) -> int:
        return int(self._index.scores["num_docs"])

    def scores(self, query: str) -> FloatArray:
        """Return (n,) BM25 scores of all texts, ≥ 0; all 0 when no term of the query is in the index."""
        term_ids: list[int] = self._index.get_tokens_ids(analyze(query))
        if not term_ids:
            return np.zeros(len(self), np.float32)
        scores: FloatArray = self._index.get_scores_from_ids(term_ids)
        return scores

    def best(self, scores: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """Return scores and rows of the k best texts with a term of the query, best first; ties by row."""
        best, rows = top_k(scores, min(k, len(scores)))
        has_term: NDArray[np.bool_] = best > 0
        return best[has_term], rows[has_term]


def _terms(text: str) -> Iterator[str]:
    for match in _TOKENS.finditer(text):
        token = match.group()
        if _IS_CJK.match(token):
            yield from _bigrams(token)
        else:
            word = token.removesuffix("'s").removesuffix("’s")
            if word not in _stop_words():
                yield _stem(word)


def _bigrams(run: str) -> Iterable[str]:
    return [run] if len(run) == 1 else (run[start : start + 2] for start in range(len(run) - 1))


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
