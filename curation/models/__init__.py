"""People, and what they think of the passages."""

from curation.models.events import Event, Unchangeable
from curation.models.projects import Guidelines, Membership, Preferences, Project, default_grades
from curation.models.queries import Draft, Query, QueryVector, Ranking, ShownPassage
from curation.models.releases import Generator, Release, ReleaseQuerySet
from curation.models.reviews import Review, SettledGrade, SuggestedGrade
from curation.models.work import Answer, Assignment, AssignmentQuerySet, Judgement

__all__ = [
    "Answer",
    "Assignment",
    "AssignmentQuerySet",
    "Draft",
    "Event",
    "Generator",
    "Guidelines",
    "Judgement",
    "Membership",
    "Preferences",
    "Project",
    "SuggestedGrade",
    "Query",
    "QueryVector",
    "Ranking",
    "Release",
    "ReleaseQuerySet",
    "Review",
    "SettledGrade",
    "ShownPassage",
    "Unchangeable",
    "default_grades",
]
