"""Questions and judgements of the sample, read from the files beside this one.

The project's authors wrote them: the questions as users ask them, the answers from the passages they cite, each grade
after reading the passage. A second person judged some of the questions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.text_files import read_jsonl
from curation.sample.passage_names import PassageNames

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class SampleAssignment:
    """One person's grades of one question. grades: external id → 0–3, in the order of the file."""

    curator: str
    grades: dict[str, int]


@dataclass(frozen=True)
class Question:
    """One question. answer: None where the corpus has none. assignments: empty where nobody has judged it."""

    external_id: str
    text: str
    answer: str | None
    cited: tuple[str, ...]
    assignments: tuple[SampleAssignment, ...]

    @property
    def is_unanswerable(self) -> bool:
        return self.answer is None


@dataclass(frozen=True)
class Sample:
    """The questions with their passages. keys: number of passage names. unmatched: names without a passage here."""

    questions: tuple[Question, ...]
    keys: int
    unmatched: tuple[str, ...]


def read_sample(passage_names: PassageNames) -> Sample:
    """Return all questions in order. Grades and citations without a passage are left out and listed as unmatched."""
    grades_by_question: dict[str, dict[str, dict[str, int]]] = {}  # question → curator → passage → grade
    resolved: dict[tuple[str, str], str | None] = {}

    def find(key: str, words: str) -> str | None:
        if (key, words) not in resolved:
            resolved[key, words] = passage_names.find(key, words)
        return resolved[key, words]

    for _line, row in read_jsonl(FOLDER / "judgements.jsonl", ("question", "curator", "from", "words", "grade")):
        grades = grades_by_question.setdefault(str(row["question"]), {}).setdefault(str(row["curator"]), {})
        passage = find(str(row["from"]), str(row["words"]))
        if passage is not None:  # two names can resolve to one passage: the higher grade counts
            grades[passage] = max(int(row["grade"]), grades.get(passage, 0))
    questions = [
        Question(
            external_id=str(row["id"]),
            text=str(row["question"]),
            answer=row["answer"],
            cited=_known(find(key, words) for key, words in row["citations"]),
            assignments=tuple(
                SampleAssignment(curator, grades)
                for curator, grades in grades_by_question.get(str(row["id"]), {}).items()
                if grades
            ),
        )
        for _line, row in read_jsonl(FOLDER / "questions.jsonl", ("id", "question", "answer", "citations"))
    ]
    unmatched = [f"{key}: {words}" for (key, words), passage in resolved.items() if passage is None]
    return Sample(tuple(questions), len(resolved), tuple(unmatched))


def _known(passages: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(passage for passage in passages if passage is not None))
