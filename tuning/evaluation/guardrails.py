"""Guardrail sets: questions that a project never tunes for, on which a challenger must not get worse.

Two sets come with Tandem and belong to every project: general passages with one question each, for the encoder, and
plain questions with a short answer, for the generator, which gets no passage. Other sets are frozen from the settled
work of another project or from files. An encoder ranks by its vectors alone: a lexical score would hide what it
forgot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from common import artifacts
from common.field_changes import set_changed_fields
from curation.core import audit_log
from curation.engine.statistics import relevance
from curation.models import Project
from retrieval.models import Passage
from tuning.datasets import collect
from tuning.evaluation.guardrail_files import Contents, read_contents, write_contents
from tuning.models import GuardrailSet

BUILT_IN = ("general", "closed-book")
BUILT_IN_FOLDER = Path(__file__).parent.parent / "sample"
MAX_QUERIES, MAX_PASSAGES, MIN_QUERIES = 300, 2000, 5

T = TypeVar("T")


class GuardrailError(Exception):
    """A guardrail set cannot be created; the message is the reason."""


def list_sets(project: Project) -> list[GuardrailSet]:
    """Return the project's guardrail sets, the built-in ones first. The first call creates the built-in rows."""
    for name in BUILT_IN:
        if not project.guardrail_sets.filter(name=name).exists():
            folder = BUILT_IN_FOLDER / name
            fields = {
                "origin": GuardrailSet.Origin.BUILT_IN,
                "path": name,
                "counts": read_contents(folder).counts(),
                "sha256": artifacts.folder_hash(folder),
            }
            GuardrailSet.objects.get_or_create(project=project, name=name, defaults=fields)
    return list(project.guardrail_sets.all())


def set_folder(guardrail_set: GuardrailSet) -> Path:
    """Return the folder of the set's files."""
    is_built_in = guardrail_set.origin == GuardrailSet.Origin.BUILT_IN
    return (BUILT_IN_FOLDER if is_built_in else Path(settings.DATA_DIR)) / guardrail_set.path


def create_from_project(
    project: Project, source: Project, name: str, margin: float | None = None, *, actor: AbstractBaseUser | None = None
) -> GuardrailSet:
    """Create a set from the settled work of another project as it is now. Raises GuardrailError."""
    if source == project:
        raise GuardrailError(_("A project cannot be its own guardrail set: its work is what is tuned for."))
    contents = Contents()
    for row in _sample(collect.settled_rows(source), MAX_QUERIES, lambda row: row.query_id):
        if not row.answer and not relevance.has_relevant(row.grades.values()):
            continue
        contents.questions[row.query_id] = row.text
        if row.grades:
            contents.grades[row.query_id] = dict(row.grades)
        if row.answer:
            contents.answers[row.query_id] = [row.answer]
    judged = {int(passage_id) for grades in contents.grades.values() for passage_id in grades}
    others = Passage.objects.active().filter(corpus=source.corpus).exclude(pk__in=judged).values_list("pk", flat=True)
    more = _sample(others.iterator(), max(0, MAX_PASSAGES - len(judged)), str)
    passages = Passage.objects.in_bulk([*judged, *more])
    contents.passages = {str(pk): passage.full_text for pk, passage in sorted(passages.items())}
    return _create(project, name, GuardrailSet.Origin.PROJECT, contents, margin, actor)


def create_from_folder(
    project: Project, folder: Path, name: str, margin: float | None = None, *, actor: AbstractBaseUser | None = None
) -> GuardrailSet:
    """Create a set from the files of a folder, from a random sample of a large one. Raises BadInput, GuardrailError."""
    complete = read_contents(folder)
    usable = [
        query_id for query_id in complete.questions if query_id in complete.grades or query_id in complete.answers
    ]
    query_ids = sorted(_sample(usable, MAX_QUERIES, str))
    judged = {passage_id for query_id in query_ids for passage_id in complete.grades.get(query_id, {})}
    others = (passage_id for passage_id in complete.passages if passage_id not in judged)
    passage_ids = {*judged, *_sample(others, max(0, MAX_PASSAGES - len(judged)), str)}
    contents = Contents(
        {query_id: complete.questions[query_id] for query_id in query_ids},
        {passage_id: complete.passages[passage_id] for passage_id in sorted(passage_ids)},
        {query_id: complete.grades[query_id] for query_id in query_ids if query_id in complete.grades},
        {query_id: complete.answers[query_id] for query_id in query_ids if query_id in complete.answers},
    )
    return _create(project, name, GuardrailSet.Origin.FOLDER, contents, margin, actor)


@transaction.atomic
def change_set(guardrail_set: GuardrailSet, changes: Mapping[str, object], *, actor: AbstractBaseUser) -> None:
    """Change whether the set is active and its margin, with an event in the audit log."""
    row = GuardrailSet.objects.select_for_update().get(pk=guardrail_set.pk)
    data = set_changed_fields(row, changes)
    if data["was"]:
        row.save(update_fields=list(data["now"]))
        audit_log.record("guard_changed", project=row.project_id, actor=actor, data={"guard": row.name, **data})


def _create(
    project: Project, name: str, origin: str, contents: Contents, margin: float | None, actor: AbstractBaseUser | None
) -> GuardrailSet:
    _check(project, name, contents)
    path = Path("guardrails") / f"{project.slug}-{name}"
    target = Path(settings.DATA_DIR) / path
    artifacts.remove_folder(target)  # a folder without a row was left by a killed process
    meta = {"kind": "guards", "name": name}
    digest = artifacts.write_folder(target, lambda part: write_contents(part, contents), meta)
    fields: dict[str, Any] = {} if margin is None else {"margin": margin}
    fields |= {"origin": origin, "path": str(path), "sha256": digest, "counts": contents.counts()}
    try:
        with transaction.atomic():
            audit_log.record("guard_added", project=project, actor=actor, data={"guard": name})
            return GuardrailSet.objects.create(project=project, name=name, **fields)
    except IntegrityError as error:
        raise _name_taken(name) from error


def _check(project: Project, name: str, contents: Contents) -> None:
    with_relevant = sum(relevance.has_relevant(grades.values()) for grades in contents.grades.values())
    if max(with_relevant, len(contents.answers)) < MIN_QUERIES:
        text = _("A guardrail set needs %(least)d questions with a relevant passage or with an answer.")
        raise GuardrailError(text % {"least": MIN_QUERIES})
    if project.guardrail_sets.filter(name=name).exists() or name in BUILT_IN:
        raise _name_taken(name)


def _name_taken(name: str) -> GuardrailError:
    return GuardrailError(_("There is already a guardrail set %(name)s.") % {"name": name})


def _sample(items: Iterable[T], size: int, key: Callable[[T], str]) -> Iterator[T]:
    """Return at most `size` items: those with the smallest hash of their key, so always the same ones."""
    ranked = sorted(items, key=lambda item: hashlib.sha256(key(item).encode()).digest())
    return iter(ranked[:size])
