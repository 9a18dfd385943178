"""Settled queries → what the generator learns to write: the deployed prompt, and the answer people settled on.

An instance looks exactly like a prompt the release serves: the same template, the same number of passages, in
the order the retriever ranks them. Wrong passages with a right answer teach a model to make things up, so an
answer is only ever shown with a passage people found good, or where the model knows it without one.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curation.engine.generation.prompts import DEFAULT_BUDGET, CountTokens, build_prompt
from curation.engine.statistics import relevance
from tuning.engine.data.examples import JudgedQuery

Kind = Literal["answer", "distractors", "refusal"]


@dataclass(frozen=True)
class Instance:
    """One prompt and the answer to learn after it."""

    query_id: str
    prompt: str
    answer: str
    kind: Kind


@dataclass(frozen=True)
class Recipe:
    """How instances are made.

    template, refusal, answer_passages, budget: the release's.
    per_query:         instances of one query, each led by another good passage, at the most.
    refusal_share:     refusals among all instances; None is as many as there are unanswerable queries, which
                       is the share of production where the queries are a random sample of it.
    distractor_share:  of the queries the generator answers without passages, so many also appear with passages
                       that were judged not relevant (RAFT, Zhang et al. 2024, arXiv 2403.10131, §4).
    """

    template: str
    refusal: str
    answer_passages: int
    budget: int = DEFAULT_BUDGET
    per_query: int = 2
    refusal_share: float | None = None
    distractor_share: float = 0.2


def make(
    queries: Sequence[JudgedQuery],
    passages: Mapping[str, str],
    candidates: Mapping[str, Sequence[str]],
    recipe: Recipe,
    *,
    count_tokens: CountTokens,
    seed: int,
    min_grade: int | None = None,
    known: Collection[str] = (),
) -> list[Instance]:
    """The instances of these queries, shuffled; the same arguments give the same list.

    passages: passage_id → text; grades of passages that are not there do not count.
    candidates: query_id → what the serving release retrieves, best first.
    min_grade: the lowest grade of a passage that carries the answer; by default `min_positive_grade(queries)`.
    known: ids of queries that the generator answers rightly without a passage.
    A query with an answer but no good passage gives none: nothing says that what it would be shown holds the answer.
    """
    min_grade = min_positive_grade(queries) if min_grade is None else min_grade
    maker = _Maker(passages, candidates, recipe, count_tokens, min_grade)
    answered: list[Instance] = []
    refused: list[Instance] = []
    spare: list[Instance] = []
    for query in queries:
        chance = random.Random(f"{seed} {query.query_id}")
        if query.is_unanswerable:
            refused.append(maker.refusal(query))
        elif query.answer.strip():
            answered += maker.answers(query)
            if query.query_id in known and chance.random() < recipe.distractor_share:
                answered += maker.distractors(query, chance)
            spare += maker.insufficient(query, chance)
    shuffled = random.Random(seed)
    refused = _matched(refused, spare, len(answered), recipe.refusal_share, shuffled)
    instances = answered + refused
    shuffled.shuffle(instances)
    return instances


def min_positive_grade(queries: Iterable[JudgedQuery]) -> int:
    """Return the lowest grade of a passage that carries an answer: 2, or 1 where grades only say yes or no."""
    return relevance.min_positive_grade(grade for query in queries for grade in query.grades.values())


def read_candidates(path: Path) -> dict[str, list[str]]:
    """query_id → the passage ids that the serving release retrieves, best first."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return {str(row["query_id"]): [str(passage) for passage in row["passages"]] for row in rows}


def kinds(instances: Iterable[Instance]) -> dict[str, int]:
    """How many instances there are of each kind."""
    return dict(sorted(Counter(instance.kind for instance in instances).items()))


@dataclass(frozen=True)
class _Maker:
    passages: Mapping[str, str]
    candidates: Mapping[str, Sequence[str]]
    recipe: Recipe
    count_tokens: CountTokens
    min_grade: int

    def answers(self, query: JudgedQuery) -> list[Instance]:
        """The answer with what the release shows, a good passage among it; again for further good passages."""
        good = self._judged(query, lambda grade: relevance.is_positive(grade, self.min_grade))
        good.sort(key=lambda passage: (passage not in query.cited, -query.grades[passage], passage))
        shown = self._shown(query)
        first = [passage for passage in shown if passage in good][:1] or good[:1]
        leads = first + [passage for passage in good if passage not in {*first, *shown}]
        made = []
        for lead in leads[: self.recipe.per_query]:
            # The retriever's own list where it has the good passage; else that takes the place of the last one.
            texts = shown if lead in shown else [*shown[: self.recipe.answer_passages - 1], lead]
            made.append(self._instance(query, texts, query.answer, "answer"))
        return made

    def distractors(self, query: JudgedQuery, chance: random.Random) -> list[Instance]:
        """The answer with passages judged not relevant alone; none when there are none."""
        bad = self._bad(query, chance)
        return [self._instance(query, bad, query.answer, "distractors")] if bad else []

    def insufficient(self, query: JudgedQuery, chance: random.Random) -> list[Instance]:
        """The refusal with passages judged not relevant alone: never with unjudged ones, which may hold the answer."""
        bad = self._bad(query, chance)
        return [self._instance(query, bad, self.recipe.refusal, "refusal")] if bad else []

    def refusal(self, query: JudgedQuery) -> Instance:
        """The refusal with what the release shows for a query the corpus does not answer."""
        texts = self._shown(query) or self._judged(query, lambda grade: not relevance.is_positive(grade, self.min_grade))
        return self._instance(query, texts[: self.recipe.answer_passages], self.recipe.refusal, "refusal")

    def _shown(self, query: JudgedQuery) -> list[str]:
        found = [passage for passage in self.candidates.get(query.query_id, ()) if passage in self.passages]
        return found[: self.recipe.answer_passages]

    def _bad(self, query: JudgedQuery, chance: random.Random) -> list[str]:
        bad = self._judged(query, relevance.is_judged_not_relevant)
        chance.shuffle(bad)
        return bad[: self.recipe.answer_passages]

    def _judged(self, query: JudgedQuery, wanted: Callable[[float], bool]) -> list[str]:
        return sorted(p for p, grade in query.grades.items() if p in self.passages and wanted(grade))

    def _instance(self, query: JudgedQuery, ids: Sequence[str], answer: str, kind: Kind) -> Instance:
        prompt = build_prompt(
            self.recipe.template,
            query.text,
            [self.passages[passage] for passage in ids],
            count_tokens=self.count_tokens,
            budget=self.recipe.budget,
        )
        return Instance(query.query_id, prompt, answer.strip(), kind)


def _matched(
    refused: list[Instance], spare: list[Instance], answers: int, share: float | None, chance: random.Random
) -> list[Instance]:
    """Refusals in the wanted share of all: too many are thinned at random, too few topped up from the spare."""
    if share is None or not answers:
        return refused
    wanted = round(answers * share / (1 - share)) if share < 1 else len(refused)
    if len(refused) >= wanted:
        return chance.sample(refused, wanted)
    return refused + chance.sample(spare, min(len(spare), wanted - len(refused)))
