"""Files of the import tests, and the commands that import them."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

from django.contrib.auth.models import User
from django.core.management import call_command

from curation.models import Answer, Assignment, Judgement, Membership, Project, Query, Review, SettledGrade
from retrieval.models import Document, Passage


def write_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write the rows as a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(command: str, *arguments: object) -> dict[str, int]:
    """Return the JSON result of a management command."""
    out = StringIO()
    call_command(command, *map(str, arguments), "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue().splitlines()[-1])


def count_rows() -> list[int]:
    """Return the number of rows of each model that an import writes."""
    models = (Project, Document, Passage, Query, Assignment, Judgement, Answer, Review, SettledGrade, User, Membership)
    return [model.objects.count() for model in models]
