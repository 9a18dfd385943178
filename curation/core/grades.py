"""The grades of a project as the choices of a page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from curation.models import Judgement, Project

CANNOT_TELL = "x"
GRADES = ("0", "1", "2", "3")

# Default labels and descriptions of projects that were made before they were reworded. Rows store the English text,
# and it is translated where it is shown.
EARLIER_LABELS = [
    *(gettext_noop("Relevant"), gettext_noop("Answers it")),
    *(gettext_noop("Says nothing that helps."), gettext_noop("On the subject, but does not answer.")),
]


@dataclass(frozen=True)
class GradeChoice:
    """One grade that a passage can get. value: 0–3, or CANNOT_TELL."""

    value: str
    label: str
    description: str


def grade_choices(project: Project) -> list[GradeChoice]:
    """Return the project's grades, lowest first, then "can't tell"."""
    grades = [
        GradeChoice(str(row["grade"]), _(str(row["label"])), _(str(row.get("description") or "")))
        for row in project.grades
    ]
    return [*grades, GradeChoice(CANNOT_TELL, _("Can't tell"), _("The passage cannot be judged."))]


def choice_value(judgement: Judgement | None) -> str:
    """Return the value of the choice that the judgement is; empty for an unjudged passage."""
    if judgement is None:
        return ""
    return CANNOT_TELL if judgement.grade is None else str(judgement.grade)
