import json
from pathlib import Path

import pytest

from common import text_files
from common.text_files import BadInput


def write(tmp_path: Path, content: bytes | str) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_rows_have_their_line_number_and_empty_lines_count(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeff{"a": 1}\n\n{"a": 2}\r\n{"a": 3}')
    assert list(text_files.read_jsonl(path)) == [(1, {"a": 1}), (3, {"a": 2}), (4, {"a": 3})]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('{"a": 1}\n{"a": ', 2, "not valid JSON"),
        ('{"a": 1}\n[1]\n', 2, "not a JSON object"),
        ('{"a": 1}\n{"b": 1}\n', 2, "“a” is missing"),
        (b'{"a": "\xff"}\n', 1, "not UTF-8"),
        (b'{"a": "x"}\n{"a": "\0"}\n', 2, "NUL"),
        ('{"a": "x\\u0000"}\n', 1, "NUL"),
        ('{"a": ["\\ud800"]}\n', 1, "half a character"),
        ('{"a": ' + "[" * 100_000, 1, "not valid JSON"),
    ],
)
def test_an_error_in_a_row_names_its_line(tmp_path: Path, content: bytes | str, line: int, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(BadInput) as caught:
        list(text_files.read_jsonl(path, ["a"]))
    assert caught.value.line == line and message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_very_long_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("wb") as stream:  # 300 MB that need no disk space
        stream.truncate(300 * 1024 * 1024)
    with pytest.raises(BadInput, match="big.jsonl:1: a line longer"):
        list(text_files.read_jsonl(path))


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        list(text_files.read_jsonl(tmp_path / "none"))
    with pytest.raises(BadInput, match="No such file"):
        text_files.read_text(tmp_path / "none")


def test_qrels_are_read_from_beir_and_from_trec(tmp_path: Path) -> None:
    beir = write(tmp_path, "query-id\tcorpus-id\tscore\nq1\td1\t3\nq 2\td2\t0\n")
    assert list(text_files.read_qrels(beir)) == [(2, "q1", "d1", 3), (3, "q 2", "d2", 0)]
    trec = write(tmp_path, "q1 0 d1 3\nq2 0 d2 1.0\n")
    assert list(text_files.read_qrels(trec)) == [(1, "q1", "d1", 3), (2, "q2", "d2", 1)]


@pytest.mark.parametrize(
    "row", ["q1\td1\tx", "q1\td1\t4", "q1\td1\t-1", "q1\td1\t1.5", "q1\td1", "q1\t\t1", "q1\td1\tnan"]
)
def test_a_wrong_qrels_row_is_bad_input(tmp_path: Path, row: str) -> None:
    path = write(tmp_path, f"query-id\tcorpus-id\tscore\n{row}\n")
    with pytest.raises(BadInput, match=":2: "):
        list(text_files.read_qrels(path))


def test_text_of_a_row_is_stripped_and_numbers_are_taken(tmp_path: Path) -> None:
    row = json.loads('{"a": " x ", "n": 7, "list": [], "none": null, "yes": true}')
    assert text_files.parse_text(tmp_path, 1, row, "a") == "x"
    assert text_files.parse_text(tmp_path, 1, row, "n") == "7"
    assert text_files.parse_text(tmp_path, 1, row, "none", default="") == ""
    for name in ("list", "none", "yes"):
        with pytest.raises(BadInput):
            text_files.parse_text(tmp_path, 1, row, name)
