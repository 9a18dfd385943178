"""The sample's questions and judgements as they lie in the files beside this one.

They were written by the project's authors: the questions as users ask them, the answers from the passages they
cite, each grade after reading the passage. Some questions were judged by a second person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.text_files import read_jsonl
from curation.sample.passage_names import Resolver

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Turn:
    """What one person said of one question. grades: external id → 0–3, in the order the passages were found."""

    curator: str
    grades: dict[str, int]


@dataclass(frozen=True)
class Question:
    """One question. answer: none when the corpus holds none. turns: none when it is left to be judged."""

    external_id: str
    text: str
    answer: str | None
    cited: tuple[str, ...]
    turns: tuple[Turn, ...]

    @property
    def is_unanswerable(self) -> bool:
        return self.answer is None


@dataclass(frozen=True)
class Sample:
    """The questions with their keys resolved. unmatched: keys of which this Python has no passage."""

    questions: tuple[Question, ...]
    keys: int
    unmatched: tuple[str, ...]


def read(resolver: Resolver) -> Sample:
    """All questions in order; what does not match the passages at hand is left out and named."""
    turns: dict[str, dict[str, dict[str, int]]] = {}
    seen: dict[tuple[str, str], str | None] = {}

    def find(key: str, words: str) -> str | None:
        if (key, words) not in seen:
            seen[key, words] = resolver.find(key, words)
        return seen[key, words]

    for _line, row in read_jsonl(FOLDER / "judgements.jsonl", ("question", "curator", "from", "words", "grade")):
        grades = turns.setdefault(str(row["question"]), {}).setdefault(str(row["curator"]), {})
        passage = find(str(row["from"]), str(row["words"]))
        if passage is not None:  # two keys may have become one passage: what is good in it counts
            grades[passage] = max(int(row["grade"]), grades.get(passage, 0))
    questions = [
        Question(
            external_id=str(row["id"]),
            text=str(row["question"]),
            answer=row["answer"],
            cited=_found(find(key, words) for key, words in row["citations"]),
            turns=tuple(Turn(name, grades) for name, grades in turns.get(str(row["id"]), {}).items() if grades),
        )
        for _line, row in read_jsonl(FOLDER / "questions.jsonl", ("id", "question", "answer", "citations"))
    ]
    unmatched = [f"{key}: {words}" for (key, words), passage in seen.items() if passage is None]
    return Sample(tuple(questions), len(seen), tuple(unmatched))


def _found(passages: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(passage for passage in passages if passage is not None))
