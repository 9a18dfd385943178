"""Rows of curation: projects and members, queries and rankings, assignments and judgements, reviews, releases."""

from curation.models.assignments import Assignment, AssignmentQuerySet
from curation.models.events import Event, Unchangeable
from curation.models.judgements import Answer, Judgement
from curation.models.members import Membership, Preferences
from curation.models.projects import Guidelines, Project, default_grades
from curation.models.queries import Query, QueryVector
from curation.models.rankings import Draft, Ranking, ShownPassage
from curation.models.releases import Generator, Release, ReleaseQuerySet
from curation.models.reviews import Review, SettledGrade
from curation.models.suggested_grades import SuggestedGrade

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
    "Query",
    "QueryVector",
    "Ranking",
    "Release",
    "ReleaseQuerySet",
    "Review",
    "SettledGrade",
    "ShownPassage",
    "SuggestedGrade",
    "Unchangeable",
    "default_grades",
]
