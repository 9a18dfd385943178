from pathlib import Path

import pytest

from common.text_files import BadInput
from retrieval.documents import readers
from retrieval.documents.ingest import SourceDocument


def read(path: Path, file_format: str = "") -> list[SourceDocument]:
    return list(readers.read_documents(path, file_format or readers.detect_format(path)))


def test_a_beir_folder_is_detected_by_its_corpus_file(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "title": "T", "text": "x", "metadata": {"site": "s"}}\n')
    assert readers.detect_format(tmp_path) == "beir"
    [source] = read(tmp_path)
    assert (source.external_id, source.title, source.text, source.metadata) == ("d1", "T", "x", {"site": "s"})
    assert (source.file, source.line) == (tmp_path / "corpus.jsonl", 1)


def test_the_id_of_jsonl_without_ids_is_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"content": "x", "year": 1999}\n{"id": 7, "body": "y"}\n')
    one, two = read(path)
    assert (one.external_id, one.text, one.metadata) == ("a.jsonl:1", "x", {"year": 1999})
    assert (two.external_id, two.text) == ("7", "y")


def test_csv_cells_may_contain_lines_and_other_columns_become_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id;title;text;tag\n1;One;"first\n\nsecond";x\n\n2;Two;"a ""b""";y\n')
    one, two = read(path)
    assert (one.external_id, one.title, one.text, one.metadata) == ("1", "One", "first\n\nsecond", {"tag": "x"})
    assert two.text == 'a "b"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,words\n1,x\n", "a.csv:2: no text"),
        ("id,text\n1,x,y\n", "a.csv:2: 3 cells"),
        ('id,text\n1,"x\n', "a.csv:2: "),
        ("id,text\n", "a.csv: holds no document"),
        ("", "a.csv: holds no document"),
    ],
)
def test_a_wrong_csv_is_bad_input(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read(path)
    assert message in str(caught.value)


def test_markdown_takes_its_title_from_front_matter_or_the_first_heading(tmp_path: Path) -> None:
    path = tmp_path / "how-to_start.md"
    for text, title, body in [
        ("---\ntitle: 'Front'\n---\n# Head\n\nText.", "Front", "Text."),
        ("# Head\n\nText.\n\n## More\n\nOf it.", "Head", "Text.\n\n## More\n\nOf it."),
        ("Text.", "how to start", "Text."),
    ]:
        path.write_text(text)
        [source] = read(path)
        assert (source.title, source.text) == (title, body)


def test_the_files_of_a_folder_have_their_path_as_id(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.md").write_text("# One\n\nx")
    (tmp_path / "two.txt").write_text("y")
    (tmp_path / ".hidden.txt").write_text("z")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [source.external_id for source in read(tmp_path)] == ["b/one.md", "two.txt"]


def test_an_unknown_format_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    for path in (tmp_path / "a.bin", tmp_path / "none.md"):
        with pytest.raises(BadInput):
            readers.detect_format(path)
    with pytest.raises(BadInput, match="no document"):
        read(tmp_path)
    with pytest.raises(BadInput, match="not UTF-8"):
        (tmp_path / "a.bin").write_bytes(b"ok\n\xff")
        read(tmp_path / "a.bin", "text")
