"""Instruction data and preference pairs from settled answers, in the formats of other trainers.

The prompt is that of the live release, with the passages that were shown to the annotators.
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
from tuning.engine.generator.preference_pairs import is_edited

_BATCH = 200

Json = dict[str, Any]


@dataclass(frozen=True)
class PreferencePair:
    """A prompt with the annotators' answer (chosen) and the generator's draft (rejected)."""

    prompt: str
    chosen: str
    rejected: str


def instances(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[engine.Instance]:
    """Return the instances that the project's own training would use, in the order of the rows.

    Raises NoLiveRelease.
    """
    release = lifecycle.live_release(project)
    generator = lifecycle.load_generator(release)
    recipe = engine.Recipe(release.prompt, release.refusal, release.answer_passages)
    settled = SettledGrade.objects.filter(review__query__project=project)
    min_grade = relevance.min_positive_grade([settled.aggregate(best=Max("grade"))["best"] or 0.0])
    for batch in _batches(rows):
        shown = _shown_passages(batch)
        passage_ids = {passage_id for row in batch for passage_id in (*row.grades, *shown.get(row.query_id, []))}
        batch_instances = engine.build_instances(
            batch,
            _texts(passage_ids),
            shown,
            recipe,
            count_tokens=generator.count_tokens,
            seed=0,
            min_grade=min_grade,
        )
        place_of = {row.query_id: place for place, row in enumerate(batch)}
        yield from sorted(
            batch_instances, key=lambda instance: (place_of[instance.query_id], instance.kind, instance.prompt)
        )


def preference_pairs(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[PreferencePair]:
    """Return draft and edit of each settled answer that was edited. Raises NoLiveRelease."""
    release = lifecycle.live_release(project)
    count_tokens = lifecycle.load_generator(release).count_tokens
    for batch in _batches(rows):
        edited = [row for row in batch if is_edited(row)]
        passages_of = draft_passages(edited, release)
        texts = _texts({passage_id for passage_ids in passages_of.values() for passage_id in passage_ids})
        for row in edited:
            passages = [texts[passage_id] for passage_id in passages_of.get(row.query_id, [])]
            prompt = build_prompt(release.prompt, row.text, passages, count_tokens=count_tokens)
            yield PreferencePair(prompt, chosen=row.answer, rejected=row.draft)


def draft_passages(rows: list[JudgedQuery], release: Release) -> dict[str, list[str]]:
    """Return query_id → ids of the passages its draft was generated from, best first, for queries with a draft."""
    answers = Answer.objects.filter(query_id__in=[int(row.query_id) for row in rows], draft__isnull=False)
    newest_first = answers.select_related("draft__ranking").order_by("-pk")
    rankings = {str(answer.query_id): answer.draft.ranking_id for answer in newest_first if answer.draft is not None}
    by_id = Ranking.objects.prefetch_related(_retrieved()).in_bulk(list(rankings.values()))
    return {query_id: _passage_ids(by_id[pk])[: release.answer_passages] for query_id, pk in rankings.items()}


def _shown_passages(rows: list[JudgedQuery]) -> dict[str, list[str]]:
    """Return query_id → passage ids of its first ranking, best first, without those that annotators added."""
    rankings = Ranking.objects.filter(query_id__in=[int(row.query_id) for row in rows]).order_by("-pk")
    return {str(ranking.query_id): _passage_ids(ranking) for ranking in rankings.prefetch_related(_retrieved())}


def _retrieved() -> Prefetch[Any]:
    return Prefetch("shown", ShownPassage.objects.filter(added_by=None).order_by("rank"), to_attr="retrieved")


def _passage_ids(ranking: Ranking) -> list[str]:
    return [str(shown.passage_id) for shown in ranking.retrieved]  # type: ignore[attr-defined]


def _texts(passage_ids: Iterable[str]) -> dict[str, str]:
    passages = Passage.objects.in_bulk([int(passage_id) for passage_id in passage_ids])
    return {str(pk): passage.full_text for pk, passage in passages.items()}


def _batches(rows: Iterable[JudgedQuery]) -> Iterator[list[JudgedQuery]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _chat_message(role: str, content: str) -> Json:
    return {"role": role, "content": content}


def _openai_sft(instance: engine.Instance) -> Iterator[Json]:
    yield {"messages": [_chat_message("user", instance.prompt), _chat_message("assistant", instance.answer)]}


def _sharegpt(instance: engine.Instance) -> Iterator[Json]:
    yield {"conversations": [{"from": "human", "value": instance.prompt}, {"from": "gpt", "value": instance.answer}]}


def _openai_dpo(pair: PreferencePair) -> Iterator[Json]:
    yield {
        "input": {"messages": [_chat_message("user", pair.prompt)], "tools": [], "parallel_tool_calls": True},
        "preferred_output": [_chat_message("assistant", pair.chosen)],
        "non_preferred_output": [_chat_message("assistant", pair.rejected)],
    }


def _kto(pair: PreferencePair) -> Iterator[Json]:
    yield {"prompt": pair.prompt, "completion": pair.chosen, "label": True}
    yield {"prompt": pair.prompt, "completion": pair.rejected, "label": False}


# format → JSON objects of one instance or pair; the first format is the default.
SFT_FORMATS: dict[str, Callable[[engine.Instance], Iterable[Json]]] = {
    "openai": _openai_sft,
    "trl": lambda instance: [{"prompt": instance.prompt, "completion": instance.answer}],
    "alpaca": lambda instance: [{"instruction": instance.prompt, "input": "", "output": instance.answer}],
    "sharegpt": _sharegpt,
}
DPO_FORMATS: dict[str, Callable[[PreferencePair], Iterable[Json]]] = {
    "openai": _openai_dpo,
    "trl": lambda pair: [{"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}],
    "kto": _kto,
}
