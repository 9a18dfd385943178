"""Accounts of the sample project. Without Django, because the start of `make demo` prints them."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "tandem"


@dataclass(frozen=True)
class Person:
    """One account of the sample. title: the role as `make demo` prints it. role: a value of `Membership.Role`."""

    name: str
    title: str
    role: str
    is_superuser: bool = False


PEOPLE = (
    Person("ana", "annotator", "annotator"),
    Person("noa", "annotator", "annotator"),
    Person("rui", "reviewer", "reviewer"),
    Person("admin", "admin", "manager", is_superuser=True),
)
LOGINS = [(person.title, person.name, PASSWORD) for person in PEOPLE]
