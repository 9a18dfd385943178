"""The rows of a dataset file and of a passage file: one JSON object a line, keys sorted.

The same rows give the same bytes, so the sha256 of the file is the identity of the dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

TRAIN, DEV, TEST = "train", "dev", "test"


class BadRow(ValueError):
    """An invalid line of a dataset or passage file; `str()` is `path:line: what is wrong`."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path, self.line = path, line


@dataclass(frozen=True)
class JudgedQuery:
    """One settled query with its consensus grades and its answer.

    grades:      passage_id → consensus grade, 0 … 3, fractions where judges differ. A passage that
                 is not a key is unjudged, which is a third state and never 0.
    reliability: w_q ≥ 0 (docs/method.md), 1 for one judge of ordinary reliability.
    answer:      the settled answer, empty when there is none.
    cited:       ids of the passages that support the answer.
    draft:       the answer of the live generator before people edited it.
    cluster:     the paraphrase cluster; all its queries are in one split.
    """

    query_id: str
    text: str
    grades: dict[str, float] = field(default_factory=dict)
    reliability: float = 1.0
    answer: str = ""
    is_unanswerable: bool = False
    cited: tuple[str, ...] = ()
    draft: str = ""
    split: str = TRAIN
    cluster: str = ""

    @property
    def is_answered(self) -> bool:
        """Whether the query has an answer to train on; False for an unanswerable query."""
        return bool(self.answer.strip()) and not self.is_unanswerable


@dataclass(frozen=True)
class PassageText:
    """A passage as the encoder, the lexical index and the generator read it: title, newline, text."""

    passage_id: str
    text: str


Row = TypeVar("Row", JudgedQuery, PassageText)


def write_queries(path: Path, queries: Iterable[JudgedQuery]) -> int:
    """Write the rows in the order given; return their number."""
    return _write_rows(path, queries)


def read_queries(path: Path, split: str | None = None) -> list[JudgedQuery]:
    """Return the rows of the file in its order, of one split or of all. Raises BadRow."""
    rows = _read_rows(path, JudgedQuery)
    return [row for row in rows if split is None or row.split == split]


def write_passages(path: Path, passages: Iterable[PassageText]) -> int:
    """Write the rows in the order given; return their number."""
    return _write_rows(path, passages)


def read_passages(path: Path) -> list[PassageText]:
    """Return the passages of the file in its order: the row order of the vector matrix beside it. Raises BadRow."""
    return list(_read_rows(path, PassageText))


def read_passage_lists(path: Path) -> dict[str, list[str]]:
    """Return query_id → passage ids in their order, of JSON lines {"query_id", "passages"}; other keys are ignored."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return {str(row["query_id"]): [str(passage) for passage in row["passages"]] for row in rows}


def _write_rows(path: Path, rows: Iterable[JudgedQuery] | Iterable[PassageText]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) + "\n")
            count += 1
    return count


def _read_rows(path: Path, kind: type[Row]) -> Iterator[Row]:
    """Yield the rows of a file; keys that the class does not have are ignored. Raises BadRow."""
    names = {entry.name for entry in fields(kind)}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                values: dict[str, Any] = json.loads(line)
                row = kind(**{name: _as_tuple(value) for name, value in values.items() if name in names})
            except (ValueError, TypeError, AttributeError) as error:
                raise BadRow(path, number, str(error)) from error
            yield row


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
