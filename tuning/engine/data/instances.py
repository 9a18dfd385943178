"""Instances for generator training: the deployed prompt, and the answer that people settled on.

An instance looks exactly like a prompt of the live release: the same template and number of passages, in the order of
the retriever. Wrong passages with a right answer train a model to hallucinate. So an answer is only trained with a
passage that answers the question, or where the model knows the answer without passages.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from curation.engine.generation.prompts import DEFAULT_BUDGET, CountTokens, build_prompt
from curation.engine.statistics import relevance
from tuning.engine.data.examples import JudgedQuery

Kind = Literal["answer", "distractors", "refusal"]


@dataclass(frozen=True)
class Instance:
    """A prompt and the answer to learn after it."""

    query_id: str
    prompt: str
    answer: str
    kind: Kind


@dataclass(frozen=True)
class Recipe:
    """The settings of instances.

    template, refusal, answer_passages, budget: the release's.
    per_query:         maximum of instances of one query, each with another positive passage.
    refusal_share:     refusals among all instances; None is as many as there are unanswerable queries, which
                       is the share of production where the queries are a random sample of it.
    distractor_share:  of the queries the generator answers without passages, the share that also appears with
                       passages judged not relevant (RAFT, Zhang et al. 2024, arXiv 2403.10131, §4).
    """

    template: str
    refusal: str
    answer_passages: int
    budget: int = DEFAULT_BUDGET
    per_query: int = 2
    refusal_share: float | None = None
    distractor_share: float = 0.2


def build_instances(
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
    """Return the instances of these queries, shuffled; the same arguments give the same list.

    passages: passage_id → text; grades of passages that are not there do not count.
    candidates: query_id → passage ids that the live release retrieves, best first.
    min_grade: the lowest grade of a passage that carries the answer; by default `min_positive_grade(queries)`.
    known: ids of queries that the generator answers correctly without passages.
    A query with an answer but without a positive passage gives no instance: it is not known that its prompt holds the
    answer.
    """
    min_grade = min_positive_grade(queries) if min_grade is None else min_grade
    builder = _InstanceBuilder(passages, candidates, recipe, count_tokens, min_grade)
    answers: list[Instance] = []
    refusals: list[Instance] = []
    spare_refusals: list[Instance] = []
    for query in queries:
        rng = random.Random(f"{seed} {query.query_id}")
        if query.is_unanswerable:
            refusals.append(builder.refusal(query))
        elif query.answer.strip():
            answers += builder.answers(query)
            if query.query_id in known and rng.random() < recipe.distractor_share:
                answers += builder.distractors(query, rng)
            spare_refusals += builder.insufficient_context(query, rng)
    rng = random.Random(seed)
    instances = answers + _with_share(refusals, spare_refusals, len(answers), recipe.refusal_share, rng)
    rng.shuffle(instances)
    return instances


def min_positive_grade(queries: Iterable[JudgedQuery]) -> int:
    """Return the lowest grade of a passage that carries an answer: 2, or 1 where grades only say yes or no."""
    return relevance.min_positive_grade(grade for query in queries for grade in query.grades.values())


def count_kinds(instances: Iterable[Instance]) -> dict[str, int]:
    """Return the number of instances of each kind that occurs."""
    return dict(sorted(Counter(instance.kind for instance in instances).items()))


@dataclass(frozen=True)
class _InstanceBuilder:
    passages: Mapping[str, str]
    candidates: Mapping[str, Sequence[str]]
    recipe: Recipe
    count_tokens: CountTokens
    min_grade: int

    def answers(self, query: JudgedQuery) -> list[Instance]:
        """Return the answer with the release's passages, a positive one among them; again for further positives."""
        positives = self._judged(query, self._is_positive)
        positives.sort(key=lambda passage: (passage not in query.cited, -query.grades[passage], passage))
        retrieved = self._retrieved(query)
        first = [passage for passage in retrieved if passage in positives][:1] or positives[:1]
        leads = first + [passage for passage in positives if passage not in {*first, *retrieved}]
        instances = []
        for lead in leads[: self.recipe.per_query]:
            # The retriever's own list where it has the positive passage; else that takes the last place.
            ids = retrieved if lead in retrieved else [*retrieved[: self.recipe.answer_passages - 1], lead]
            instances.append(self._instance(query, ids, query.answer, "answer"))
        return instances

    def distractors(self, query: JudgedQuery, rng: random.Random) -> list[Instance]:
        """Return the answer with only passages judged not relevant; none where there are no such passages."""
        ids = self._not_relevant(query, rng)
        return [self._instance(query, ids, query.answer, "distractors")] if ids else []

    def insufficient_context(self, query: JudgedQuery, rng: random.Random) -> list[Instance]:
        """Return the refusal with only passages judged not relevant; unjudged ones could hold the answer."""
        ids = self._not_relevant(query, rng)
        return [self._instance(query, ids, self.recipe.refusal, "refusal")] if ids else []

    def refusal(self, query: JudgedQuery) -> Instance:
        """Return the refusal with the release's passages, for a query that the corpus does not answer."""
        ids = self._retrieved(query) or self._judged(query, lambda grade: not self._is_positive(grade))
        return self._instance(query, ids[: self.recipe.answer_passages], self.recipe.refusal, "refusal")

    def _retrieved(self, query: JudgedQuery) -> list[str]:
        ids = [passage for passage in self.candidates.get(query.query_id, ()) if passage in self.passages]
        return ids[: self.recipe.answer_passages]

    def _not_relevant(self, query: JudgedQuery, rng: random.Random) -> list[str]:
        ids = self._judged(query, relevance.is_judged_not_relevant)
        rng.shuffle(ids)
        return ids[: self.recipe.answer_passages]

    def _is_positive(self, grade: float) -> bool:
        return relevance.is_positive(grade, self.min_grade)

    def _judged(self, query: JudgedQuery, condition: Callable[[float], bool]) -> list[str]:
        """Return the judged passages whose grade meets the condition, by id."""
        return sorted(
            passage for passage, grade in query.grades.items() if passage in self.passages and condition(grade)
        )

    def _instance(self, query: JudgedQuery, ids: Sequence[str], answer: str, kind: Kind) -> Instance:
        prompt = build_prompt(
            self.recipe.template,
            query.text,
            [self.passages[passage] for passage in ids],
            count_tokens=self.count_tokens,
            budget=self.recipe.budget,
        )
        return Instance(query.query_id, prompt, answer.strip(), kind)


def _with_share(
    refusals: list[Instance], spare: list[Instance], answers: int, share: float | None, rng: random.Random
) -> list[Instance]:
    """Return refusals that are the given share of all: a random sample of too many, too few filled from `spare`."""
    if share is None or not answers:
        return refusals
    count = round(answers * share / (1 - share)) if share < 1 else len(refusals)
    if len(refusals) >= count:
        return rng.sample(refusals, count)
    return refusals + rng.sample(spare, min(len(spare), count - len(refusals)))
