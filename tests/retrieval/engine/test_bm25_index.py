from pathlib import Path

import numpy as np
import pytest

from common.artifacts import Damaged
from retrieval.engine.indexes import bm25_index
from retrieval.engine.indexes.bm25_index import LexicalIndex


def search(index: LexicalIndex, query: str, k: int = 10) -> list[int]:
    return index.best(index.scores(query), k)[1].tolist()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The cats' running, in list_iterator!", ["cat", "run", "list", "iter"]),
        ("Python's ＡＢＣ don’t", ["python", "abc", "don't"]),
        ("黑豹队赢了", ["黑豹", "豹队", "队赢", "赢了"]),
        ("第4次 猫 iPhone手机", ["第", "4", "次", "猫", "iphon", "手机"]),
        ("the of and", []),
    ],
)
def test_a_text_is_analyzed_into_terms(text: str, terms: list[str]) -> None:
    assert [term.replace("’", "'") for term in bm25_index.analyze(text)] == terms


def test_english_chinese_and_mixed_text_are_found() -> None:
    index = LexicalIndex.build(["The lion hunts at night.", "黑豹队的防守只丢了308分", "用 Python 编程很有趣"])
    assert search(index, "hunting lions") == [0]
    assert search(index, "防守") == [1]
    assert search(index, "python 编程") == [2]


def test_a_query_without_known_terms_finds_nothing() -> None:
    index = LexicalIndex.build(["alpha", "beta"])
    for query in ("gamma", "", "the", "!?"):
        assert search(index, query) == [] and index.scores(query).tolist() == [0, 0]


def test_equal_texts_rank_by_row_and_k_may_exceed_the_corpus() -> None:
    index = LexicalIndex.build(["zebra"] * 30 + ["lion"])
    assert search(index, "zebra", 4) == [0, 1, 2, 3]
    assert search(index, "zebra", 99) == list(range(30))


def test_a_text_of_stop_words_keeps_its_row() -> None:
    index = LexicalIndex.build(["the of", "lion", ""])
    assert len(index) == 3 and search(index, "lion") == [1]
    assert len(LexicalIndex.build(["the", "of"])) == 2


def test_a_saved_index_gives_the_same_scores(tmp_path: Path) -> None:
    index = LexicalIndex.build(["The lion hunts.", "The tiger hunts at night.", "黑豹队"])
    index.save(tmp_path / "lexical")
    again = LexicalIndex.load(tmp_path / "lexical")
    for query in ("hunting at night", "黑豹", "none"):
        assert np.array_equal(index.scores(query), again.scores(query))


def test_a_missing_or_cut_index_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(Damaged):
        LexicalIndex.load(tmp_path / "none")
    LexicalIndex.build(["lion"]).save(tmp_path / "lexical")
    (tmp_path / "lexical" / "vocab.index.json").write_text("{")
    with pytest.raises(Damaged):
        LexicalIndex.load(tmp_path / "lexical")
