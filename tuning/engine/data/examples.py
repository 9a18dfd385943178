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
    """A line of a dataset or passage file that cannot be read; `str()` is `path:line: what is wrong`."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path, self.line = path, line


@dataclass(frozen=True)
class JudgedQuery:
    """One settled query: what people decided about it.

    grades:      passage_id → consensus grade, 0 … 3, fractions where judges differ. A passage that
                 is not a key is unjudged, which is a third state and never 0.
    reliability: w_q ≥ 0 of `method.md` §3, 1 for one judge of ordinary reliability.
    answer:      the settled answer, empty when there is none.
    cited:       passage ids the answer rests on.
    draft:       what the serving generator had written before the edit.
    cluster:     paraphrases share it, and with it the split.
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
        """Whether there is an answer to learn from, and not that there is none."""
        return bool(self.answer.strip()) and not self.is_unanswerable


@dataclass(frozen=True)
class PassageText:
    """A passage as the encoder, the lexical index and the generator see it: title, newline, text."""

    passage_id: str
    text: str


Row = TypeVar("Row", JudgedQuery, PassageText)


def write_queries(path: Path, queries: Iterable[JudgedQuery]) -> int:
    """Write the rows in the order given; how many there were."""
    return _write(path, queries)


def read_queries(path: Path, split: str | None = None) -> list[JudgedQuery]:
    """The rows of the file in its order, of one split or of all. Raises BadRow."""
    rows = _read(path, JudgedQuery)
    return [row for row in rows if split is None or row.split == split]


def write_passages(path: Path, passages: Iterable[PassageText]) -> int:
    """Write the rows in the order given; how many there were."""
    return _write(path, passages)


def read_passages(path: Path) -> list[PassageText]:
    """The passages of the file in its order, which is the order of the vector matrix beside it. Raises BadRow."""
    return list(_read(path, PassageText))


def _write(path: Path, rows: Iterable[JudgedQuery] | Iterable[PassageText]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) + "\n")
            count += 1
    return count


def _read(path: Path, kind: type[Row]) -> Iterator[Row]:
    known = {entry.name for entry in fields(kind)}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                values: dict[str, Any] = json.loads(line)
                row = kind(**{name: _frozen(value) for name, value in values.items() if name in known})
            except (ValueError, TypeError, AttributeError) as error:
                raise BadRow(path, number, str(error)) from error
            yield row


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
