"""Guardrail sets: questions a project never tunes for, asked of champion and challenger, so that forgetting shows.

Two come with Tandem and are every project's: general passages with a question each, for the encoder, and plain
questions with a short answer, for the generator that is given no passage. Others are frozen from another
project's settled work or from files. An encoder ranks by its vectors alone: words would hide what it forgot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from common import artifacts
from common.messages import StrOrMessage, message
from common.text_files import BadInput, read_jsonl, read_qrels, text_of
from curation.core import audit_log
from curation.engine.statistics import relevance
from curation.models import Project, Release
from curation.releases import lifecycle
from retrieval.models import Passage
from tuning.datasets import collect
from tuning.engine.metrics import answer_metrics, ranking_metrics
from tuning.engine.metrics.significance import compare
from tuning.models import Component, Evaluation, GuardrailSet

PREFIX, LOG_PROBABILITY = "guard:", "logprob"
BUILT_IN = ("general", "closed-book")
SAMPLE = Path(__file__).parent.parent / "sample"
CORPUS, QUERIES, QRELS, ANSWERS = "corpus.jsonl", "queries.jsonl", "qrels.tsv", "answers.jsonl"
FILES = (CORPUS, QUERIES, QRELS, ANSWERS)
MOST_QUERIES, MOST_PASSAGES, LEAST_QUERIES = 300, 2000, 5
MOST_TOKENS = 16
PROMPT = "Answer in a few words. {question}"  # not the deployed one: without a passage that asks for a refusal

Progress = Callable[[int, int, StrOrMessage], None]
Values = dict[str, float]  # query_id → value
T = TypeVar("T")


class CannotGuard(Exception):
    """A guardrail set cannot be made, with the reason."""


@dataclass
class Contents:
    """query_id → question; passage_id → text; query_id → passage_id → grade; query_id → right answers."""

    questions: dict[str, str] = field(default_factory=dict)
    passages: dict[str, str] = field(default_factory=dict)
    grades: dict[str, dict[str, float]] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        return {
            "passages": len(self.passages),
            "queries": len(self.questions),
            "grades": sum(map(len, self.grades.values())),
            "answers": len(self.answers),
        }


def sets_of(project: Project) -> list[GuardrailSet]:
    """The project's guardrail sets, those that come with Tandem first; these get their rows at the first call."""
    for name in BUILT_IN:
        if not project.guardrail_sets.filter(name=name).exists():
            contents = read(SAMPLE / name)
            fields = {"origin": GuardrailSet.Origin.BUILT_IN, "path": name, "counts": contents.counts()}
            digest = artifacts.folder_hash(SAMPLE / name)
            GuardrailSet.objects.get_or_create(project=project, name=name, defaults=fields | {"sha256": digest})
    return list(project.guardrail_sets.all())


def folder(guardrail_set: GuardrailSet) -> Path:
    """Where the set's files are."""
    return (
        SAMPLE if guardrail_set.origin == GuardrailSet.Origin.BUILT_IN else Path(settings.DATA_DIR)
    ) / guardrail_set.path


def read(place: Path) -> Contents:
    """The files of a guardrail set. Raises BadInput with file and line, also for an id that no other file knows."""
    found = Contents()
    for line, row in read_jsonl(place / QUERIES, required=["_id", "text"]):
        found.questions[text_of(place / QUERIES, line, row, "_id")] = text_of(place / QUERIES, line, row, "text")
    if (place / CORPUS).exists():
        for line, row in read_jsonl(place / CORPUS, required=["_id", "text"]):
            title = text_of(place / CORPUS, line, row, "title", default="")
            text = text_of(place / CORPUS, line, row, "text")
            found.passages[text_of(place / CORPUS, line, row, "_id")] = f"{title}\n{text}" if title else text
    if (place / QRELS).exists():
        for line, query_id, passage_id, grade in read_qrels(place / QRELS):
            _check(place / QRELS, line, query_id, found.questions)
            _check(place / QRELS, line, passage_id, found.passages)
            found.grades.setdefault(query_id, {})[passage_id] = float(grade)
    if (place / ANSWERS).exists():
        for line, row in read_jsonl(place / ANSWERS, required=["_id", "answers"]):
            query_id, known = text_of(place / ANSWERS, line, row, "_id"), row["answers"]
            _check(place / ANSWERS, line, query_id, found.questions)
            if not isinstance(known, list) or not known or not all(isinstance(one, str) and one for one in known):
                raise BadInput(place / ANSWERS, line, _("“answers” is not a list of texts"))
            found.answers[query_id] = known
    return found


def from_project(
    project: Project, source: Project, name: str, margin: float | None = None, *, actor: AbstractBaseUser | None = None
) -> GuardrailSet:
    """A set of what another project has settled, as it stands now. Raises CannotGuard."""
    if source == project:
        raise CannotGuard(_("A project cannot be its own guardrail set: its work is what is tuned for."))
    found, wanted = Contents(), set()
    for row in _sample(collect.settled_rows(source), MOST_QUERIES, lambda row: row.query_id):
        if not row.answer and not relevance.has_relevant(row.grades.values()):
            continue
        found.questions[row.query_id] = row.text
        if row.grades:
            found.grades[row.query_id] = dict(row.grades)
            wanted |= {int(passage_id) for passage_id in row.grades}
        if row.answer:
            found.answers[row.query_id] = [row.answer]
    others = Passage.objects.active().filter(corpus=source.corpus).exclude(pk__in=wanted).values_list("pk", flat=True)
    more = _sample(others.iterator(), max(0, MOST_PASSAGES - len(wanted)), str)
    texts = Passage.objects.in_bulk([*wanted, *more])
    found.passages = {str(pk): passage.full_text for pk, passage in sorted(texts.items())}
    return _make(project, name, GuardrailSet.Origin.PROJECT, found, margin, actor)


def from_folder(
    project: Project, place: Path, name: str, margin: float | None = None, *, actor: AbstractBaseUser | None = None
) -> GuardrailSet:
    """A set of the files of a folder; of a large one, a sample by chance. Raises BadInput, CannotGuard."""
    whole = read(place)
    asked = [name for name in whole.questions if name in whole.grades or name in whole.answers]
    kept = sorted(_sample(asked, MOST_QUERIES, str))
    judged = {passage_id for name in kept for passage_id in whole.grades.get(name, {})}
    others = (passage_id for passage_id in whole.passages if passage_id not in judged)
    passages = {*judged, *_sample(others, max(0, MOST_PASSAGES - len(judged)), str)}
    found = Contents(
        {name: whole.questions[name] for name in kept},
        {passage_id: whole.passages[passage_id] for passage_id in sorted(passages)},
        {name: whole.grades[name] for name in kept if name in whole.grades},
        {name: whole.answers[name] for name in kept if name in whole.answers},
    )
    return _make(project, name, GuardrailSet.Origin.FOLDER, found, margin, actor)


def measure(evaluation: Evaluation, on_progress: Progress) -> dict[str, dict[str, Any]]:
    """guard:<set> <measure> → the comparison, of the components that learned; with the margin the gate allows.

    is_reading: shown and not judged. F1 is one: a model that learned to be brief, or to refuse, moves it
    without having forgotten anything, and the log-probability of the right answer does not care.
    """
    learned = set(evaluation.cycle.runs.done().values_list("component", flat=True))
    figures: dict[str, dict[str, Any]] = {}
    for guardrail_set in sets_of(evaluation.cycle.project):
        if not guardrail_set.is_active:
            continue
        artifacts.verify(folder(guardrail_set), guardrail_set.sha256)
        contents = read(folder(guardrail_set))
        found: dict[str, tuple[Values, Values]] = {}
        if Component.RETRIEVER in learned and contents.grades:
            found |= _ranked(evaluation, contents)
        if Component.GENERATOR in learned and contents.answers:
            found |= _answered(evaluation, contents, on_progress)
        for name, (before, after) in found.items():
            if before:
                figure = asdict(compare(before, after, seed=evaluation.cycle.seed))
                extra = {"margin": guardrail_set.margin, "is_reading": name == "f1"}
                figures[f"{PREFIX}{guardrail_set.name} {name}"] = figure | extra
        on_progress(1, 1, message("guard_set", name=guardrail_set.name))
    return figures


def _ranked(evaluation: Evaluation, contents: Contents) -> dict[str, tuple[Values, Values]]:
    """nDCG@10 of both encoders over the set's own passages."""
    champion, challenger = (release.build.encoder for release in (evaluation.champion, evaluation.challenger))
    before = _ndcg(collect.open_encoder(champion), contents)
    return {
        "ndcg@10": (before, before if champion == challenger else _ndcg(collect.open_encoder(challenger), contents))
    }


def _ndcg(encoder: Any, contents: Contents) -> Values:
    asked, names = list(contents.grades), np.array(list(contents.passages))
    queries = encoder.encode_queries([contents.questions[name] for name in asked])  # (q, dim)
    scores = queries @ encoder.encode_passages(list(contents.passages.values())).T  # (q, p)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    rankings = {name: names[best].tolist() for name, best in zip(asked, order, strict=True)}
    return ranking_metrics.evaluate(rankings, contents.grades, recall_at=(), mrr_at=(), judged_at=()).values("ndcg@10")


def _answered(evaluation: Evaluation, contents: Contents, on_progress: Progress) -> dict[str, tuple[Values, Values]]:
    """Log-probability of the right answers, where both can score, and F1 of what each answers from memory.

    The challenger first: its weights are still loaded from the answers it has just written.
    """
    after = _remembered(evaluation.challenger, contents, on_progress)
    before = _remembered(evaluation.champion, contents, on_progress)
    return {name: (before[name], after[name]) for name in before if name in after}


def _remembered(release: Release, contents: Contents, on_progress: Progress) -> dict[str, Values]:
    generator = lifecycle.generator_for(release)
    asked = list(contents.answers)
    prompts = [PROMPT.replace("{question}", contents.questions[name]) for name in asked]
    note = message("remembering", number=release.number)
    found: dict[str, Values] = {}
    if generator.can_score:
        pairs = [(prompt, contents.answers[name][0]) for name, prompt in zip(asked, prompts, strict=True)]
        scores = generator.score(pairs, lambda done, total: on_progress(done, total, note))
        found[LOG_PROBABILITY] = dict(zip(asked, map(float, scores), strict=True))
    written = generator.generate(prompts, MOST_TOKENS, lambda done, total: on_progress(done, total, note))
    found["f1"] = {
        name: answer_metrics.f1(text, contents.answers[name]) for name, text in zip(asked, written, strict=True)
    }
    return found


def _make(
    project: Project, name: str, origin: str, contents: Contents, margin: float | None, actor: AbstractBaseUser | None
) -> GuardrailSet:
    known = sum(relevance.has_relevant(grades.values()) for grades in contents.grades.values())
    if max(known, len(contents.answers)) < LEAST_QUERIES:
        told = _("A guardrail set needs %(least)d questions with a relevant passage or with an answer.")
        raise CannotGuard(told % {"least": LEAST_QUERIES})
    if project.guardrail_sets.filter(name=name).exists() or name in BUILT_IN:
        raise CannotGuard(_("There is a guardrail set called %(name)s already.") % {"name": name})
    path = Path("guardrails") / f"{project.slug}-{name}"
    target = Path(settings.DATA_DIR) / path
    artifacts.remove_folder(target)  # without a row it is what a killed process left
    digest = artifacts.write_folder(target, lambda part: _write(part, contents), {"kind": "guards", "name": name})
    fields: dict[str, Any] = {} if margin is None else {"margin": margin}
    try:
        with transaction.atomic():
            audit_log.note("guard_added", project=project, actor=actor, data={"guard": name})
            return GuardrailSet.objects.create(
                project=project,
                name=name,
                origin=origin,
                path=str(path),
                sha256=digest,
                counts=contents.counts(),
                **fields,
            )
    except IntegrityError as error:
        raise CannotGuard(_("There is a guardrail set called %(name)s already.") % {"name": name}) from error


def _write(part: Path, contents: Contents) -> None:
    _lines(part / QUERIES, ({"_id": name, "text": text} for name, text in contents.questions.items()))
    if contents.grades:
        _lines(part / CORPUS, ({"_id": name, "text": text} for name, text in contents.passages.items()))
        rows = (
            f"{name}\t{passage_id}\t{int(grade + 0.5)}\n"
            for name, found in contents.grades.items()
            for passage_id, grade in found.items()
        )
        (part / QRELS).write_text("query-id\tcorpus-id\tscore\n" + "".join(rows), encoding="utf-8")
    if contents.answers:
        _lines(part / ANSWERS, ({"_id": name, "answers": found} for name, found in contents.answers.items()))


def _lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _check(path: Path, line: int, name: str, known: dict[str, str]) -> None:
    if name not in known:
        raise BadInput(path, line, _("“%(id)s” is in none of the other files") % {"id": name})


def _sample(items: Iterable[T], most: int, key: Callable[[T], str]) -> Iterator[T]:
    """At most `most` of them, the same ones every time: those whose hash is smallest."""
    ranked = sorted(items, key=lambda item: hashlib.sha256(key(item).encode()).digest())
    return iter(ranked[:most])
