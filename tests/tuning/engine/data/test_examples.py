"""The rows of dataset and passage files."""

from pathlib import Path

import pytest

from tuning.engine.data import examples
from tuning.engine.data.examples import JudgedQuery, PassageText


def test_queries_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [
        JudgedQuery("q1", "何を?", {"p2": 3.0, "p1": 0.0}, 1.5, "An answer.", cited=("p2",), draft="d", cluster="c"),
        JudgedQuery("q2", "line\nbreak", is_unanswerable=True, split="dev"),
    ]
    assert examples.write_queries(tmp_path / "queries.jsonl", rows) == 2
    assert examples.read_queries(tmp_path / "queries.jsonl") == rows
    assert examples.read_queries(tmp_path / "queries.jsonl", split="dev") == rows[1:]


def test_the_same_grades_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    examples.write_queries(tmp_path / "a", [JudgedQuery("q", "?", {"p1": 1.0, "p2": 2.0})])
    examples.write_queries(tmp_path / "b", [JudgedQuery("q", "?", {"p2": 2.0, "p1": 1.0})])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_passages_keep_their_order(tmp_path: Path) -> None:
    rows = [PassageText("b", "Title\nText"), PassageText("a", "Text")]
    examples.write_passages(tmp_path / "passages.jsonl", rows)
    assert examples.read_passages(tmp_path / "passages.jsonl") == rows


def test_passage_lists_are_read_with_ids_as_text(tmp_path: Path) -> None:
    (tmp_path / "drafted.jsonl").write_text('{"query_id": 7, "passages": [3, 1], "scores": [2, 1]}\n\n')
    assert examples.read_passage_lists(tmp_path / "drafted.jsonl") == {"7": ["3", "1"]}


@pytest.mark.parametrize("line", ["{", "[]", '{"text": "no id"}', "3"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text(f'{{"query_id": "q", "text": "?"}}\n{line}\n')
    with pytest.raises(examples.BadRow, match=r"queries\.jsonl:2: "):
        examples.read_queries(path)
