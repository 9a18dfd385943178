"""Result of an import: counts, and notes for the person who imports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import User

from curation.core import audit_log
from curation.models import Project

Progress = Callable[[int, int, str], None]

COUNTS = ("documents", "passages", "queries", "judgements", "answers", "skipped")


@dataclass(frozen=True)
class ImportResult:
    """Numbers of new rows; results can be added.

    skipped: rows that existed before, or that name no single passage. notes: sentences for the person.
    """

    documents: int = 0
    passages: int = 0
    queries: int = 0
    judgements: int = 0
    answers: int = 0
    skipped: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: ImportResult) -> ImportResult:
        return ImportResult(**{name: getattr(self, name) + getattr(other, name) for name in (*COUNTS, "notes")})


def record_import(project: Project, actor: User | None, result: ImportResult) -> None:
    """Add the import of judgements and answers to the audit log."""
    data = {"judgements": result.judgements, "answers": result.answers}
    audit_log.record("imported", project=project, actor=actor, data=data)
