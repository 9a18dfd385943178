"""Who can sign in to the sample project. Nothing of Django is imported: the greeting of `make demo` reads it too."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "tandem"


@dataclass(frozen=True)
class Person:
    """One account of the sample. role: what `Membership.role` takes."""

    name: str
    title: str
    role: str
    is_superuser: bool = False


PEOPLE = (
    Person("ana", "curator", "annotator"),
    Person("noa", "curator", "annotator"),
    Person("rui", "reviewer", "reviewer"),
    Person("admin", "admin", "manager", is_superuser=True),
)
LOGINS = [(person.title, person.name, PASSWORD) for person in PEOPLE]
