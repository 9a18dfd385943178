"""Settled answers as instances for a language model trained elsewhere, in the shapes such trainers read.

The prompt is the one the serving release would use, with the passages that were shown to the curators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Max, Prefetch

from curation.engine.generation.prompts import build_prompt
from curation.engine.statistics import relevance
from curation.models import Answer, Project, Ranking, Release, SettledGrade, ShownPassage
from curation.releases import lifecycle
from retrieval.models import Passage
from tuning.engine.data import instances as engine
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.generator import preference_pairs

_BATCH = 200

Json = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """What the generator drafted from a prompt, and what people made of it."""

    prompt: str
    chosen: str
    rejected: str


def instances(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[engine.Instance]:
    """The instances the project's own training would see, in the order of the rows. Raises NothingServes."""
    release = lifecycle.serving(project)
    generator = lifecycle.generator_for(release)
    recipe = engine.Recipe(release.prompt, release.refusal, release.answer_passages)
    most = SettledGrade.objects.filter(review__query__project=project).aggregate(most=Max("grade"))["most"] or 0.0
    min_grade = relevance.min_positive_grade([most])
    for batch in _batches(rows):
        shown = _shown(batch)
        wanted = {passage for row in batch for passage in (*row.grades, *shown.get(row.query_id, []))}
        made = engine.make(
            batch,
            _texts(wanted),
            shown,
            recipe,
            count_tokens=generator.count_tokens,
            seed=0,
            min_grade=min_grade,
        )
        place = {row.query_id: number for number, row in enumerate(batch)}
        yield from sorted(made, key=lambda one: (place[one.query_id], one.kind, one.prompt))


def pairs(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[Pair]:
    """Draft and edit of each settled answer that was really edited. Raises NothingServes."""
    release = lifecycle.serving(project)
    count_tokens = lifecycle.generator_for(release).count_tokens
    for batch in _batches(rows):
        drafted = [row for row in batch if preference_pairs.is_edited(row)]
        used = drafted_from(drafted, release)
        texts = _texts({passage for passages in used.values() for passage in passages})
        for row in drafted:
            passages = [texts[passage] for passage in used.get(row.query_id, [])]
            prompt = build_prompt(release.prompt, row.text, passages, count_tokens=count_tokens)
            yield Pair(prompt, row.answer, row.draft)


def drafted_from(rows: list[JudgedQuery], release: Release) -> dict[str, list[str]]:
    """query_id → the passages its draft was written from, best first; queries without a draft are left out."""
    answers = Answer.objects.filter(query_id__in=[int(row.query_id) for row in rows], draft__isnull=False)
    found = answers.select_related("draft__ranking").order_by("-pk")
    rankings = {str(answer.query_id): answer.draft.ranking for answer in found if answer.draft is not None}
    whole = Ranking.objects.prefetch_related(_machine_ranked()).in_bulk([ranking.pk for ranking in rankings.values()])
    return {query_id: _passages(whole[ranking.pk])[: release.answer_passages] for query_id, ranking in rankings.items()}


def _shown(rows: list[JudgedQuery]) -> dict[str, list[str]]:
    """query_id → the passages of its first ranking, best first: what curators added by search is not in it."""
    rankings = Ranking.objects.filter(query_id__in=[int(row.query_id) for row in rows]).order_by("-pk")
    return {str(ranking.query_id): _passages(ranking) for ranking in rankings.prefetch_related(_machine_ranked())}


def _machine_ranked() -> Prefetch[Any]:
    return Prefetch("shown", ShownPassage.objects.filter(added_by=None).order_by("rank"), to_attr="ranked")


def _passages(ranking: Ranking) -> list[str]:
    return [str(place.passage_id) for place in ranking.ranked]  # type: ignore[attr-defined]


def _texts(passage_ids: Iterable[str]) -> dict[str, str]:
    found = Passage.objects.in_bulk([int(passage_id) for passage_id in passage_ids])
    return {str(pk): passage.full_text for pk, passage in found.items()}


def _batches(rows: Iterable[JudgedQuery]) -> Iterator[list[JudgedQuery]]:
    rest = iter(rows)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _said(role: str, content: str) -> Json:
    return {"role": role, "content": content}


def _openai_pair(pair: Pair) -> Iterator[Json]:
    yield {
        "input": {"messages": [_said("user", pair.prompt)], "tools": [], "parallel_tool_calls": True},
        "preferred_output": [_said("assistant", pair.chosen)],
        "non_preferred_output": [_said("assistant", pair.rejected)],
    }


def _kto(pair: Pair) -> Iterator[Json]:
    yield {"prompt": pair.prompt, "completion": pair.chosen, "label": True}
    yield {"prompt": pair.prompt, "completion": pair.rejected, "label": False}


# format → the objects of one instance or pair; the first one of each is the default.
SFT: dict[str, Callable[[engine.Instance], Iterable[Json]]] = {
    "openai": lambda one: [{"messages": [_said("user", one.prompt), _said("assistant", one.answer)]}],
    "trl": lambda one: [{"prompt": one.prompt, "completion": one.answer}],
    "alpaca": lambda one: [{"instruction": one.prompt, "input": "", "output": one.answer}],
    "sharegpt": lambda one: [
        {"conversations": [{"from": "human", "value": one.prompt}, {"from": "gpt", "value": one.answer}]}
    ],
}
DPO: dict[str, Callable[[Pair], Iterable[Json]]] = {
    "openai": _openai_pair,
    "trl": lambda pair: [{"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}],
    "kto": _kto,
}
