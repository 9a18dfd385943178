"""Training data of a generator: instances and preference pairs as token ids, from the files of a dataset."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.engine.generation.generator import TextGenerator
from curation.engine.generation.log_likelihood import PromptAnswer
from curation.engine.generation.prompt_tokens import PromptTokenizer
from curation.engine.generation.prompts import BadTemplate, build_prompt
from tuning.engine.data import examples, instances
from tuning.engine.data.examples import DEV, TRAIN, JudgedQuery
from tuning.engine.generator import preference_pairs
from tuning.engine.generator.answer_loss import TokenizedInstance
from tuning.engine.generator.generator_spec import GeneratorSettings
from tuning.engine.generator.preference_pairs import PreferencePair, TokenizedPair
from tuning.engine.metrics import answer_metrics
from tuning.engine.process.training_process import TrainingError

# Queries that the generator answers without passages, and the F1 from which the answer counts as known.
MAX_KNOWN_QUERIES = 128
KNOWN_F1 = 0.8


@dataclass(frozen=True)
class GeneratorTrainingData:
    """Training and dev instances and preference pairs as token ids.

    counts: split → kind → number of instances. no_pairs_reason: why there are no preference pairs; may be empty.
    """

    train: list[TokenizedInstance]
    dev: list[TokenizedInstance]
    counts: dict[str, Any]
    pairs: list[TokenizedPair]
    dev_pairs: list[TokenizedPair]
    no_pairs_reason: str


@dataclass(frozen=True)
class _Source:
    """What instances and preference pairs are built from."""

    spec: Mapping[str, Any]
    settings: GeneratorSettings
    generator: TextGenerator
    rows: Sequence[JudgedQuery]
    passages: Mapping[str, str]
    recipe: instances.Recipe

    @property
    def tokenizer(self) -> PromptTokenizer:
        return self.generator.prompt_tokenizer

    @property
    def window(self) -> float:
        """Tokens of a prompt and its answer together; infinite where the weights do not say."""
        return self.generator.window or math.inf

    def rows_of(self, split: str) -> list[JudgedQuery]:
        return [row for row in self.rows if row.split == split]


def load_training_data(
    spec: Mapping[str, Any], settings: GeneratorSettings, generator: TextGenerator
) -> GeneratorTrainingData:
    """Return the instances and preference pairs of the specification's files. Raises TrainingError."""
    recipe = instances.Recipe(
        template=spec["prompt"],
        refusal=spec["refusal"],
        answer_passages=int(spec["answer_passages"]),
        per_query=settings.instances_per_query,
        refusal_share=settings.refusal_share,
        distractor_share=settings.distractor_share,
    )
    passages = {row.passage_id: row.text for row in examples.read_passages(Path(spec["passages"]))}
    rows = examples.read_queries(Path(spec["queries"]))
    source = _Source(spec, settings, generator, rows, passages, recipe)
    try:
        by_split, counts = _tokenized_instances(source)
        pairs, no_pairs_reason = _tokenized_pairs(source)
    except BadTemplate as error:
        raise TrainingError(str(error)) from error
    train, dev = by_split[TRAIN], by_split[DEV][: settings.max_dev_instances]
    if len(train) < settings.min_instances:
        raise TrainingError(f"{len(train)} answers with a good passage, or refusals, are too few to learn from")
    dev_pairs = pairs[DEV][: settings.max_dev_instances]
    return GeneratorTrainingData(train, dev, counts, pairs[TRAIN], dev_pairs, no_pairs_reason)


def _tokenized_instances(source: _Source) -> tuple[dict[str, list[TokenizedInstance]], dict[str, Any]]:
    """Return split → instances as token ids, and split → kind → number; those that are too long are left out."""
    settings, seed = source.settings, int(source.spec["seed"])
    candidates = examples.read_passage_lists(Path(source.spec["candidates"]))
    min_grade = instances.min_positive_grade(source.rows)
    known = _known_queries(source.rows, source.recipe, source.generator, seed) if settings.distractor_share else set()
    by_split: dict[str, list[TokenizedInstance]] = {}
    counts: dict[str, Any] = {}
    for split in (TRAIN, DEV):
        built = instances.build_instances(
            source.rows_of(split),
            source.passages,
            candidates,
            source.recipe,
            count_tokens=source.tokenizer.count,
            seed=seed,
            min_grade=min_grade,
            known=known,
        )
        tokenized = [_tokenized(instance, source.tokenizer) for instance in built]
        by_split[split] = [
            instance
            for instance in tokenized
            if len(instance.ids.answer) <= settings.max_answer_tokens and instance.tokens <= source.window
        ]
        counts[split] = instances.count_kinds(built) | {"too_long": len(built) - len(by_split[split])}
    return by_split, counts


def _tokenized_pairs(source: _Source) -> tuple[dict[str, list[TokenizedPair]], str]:
    """Return split → preference pairs as token ids, and why there are none where they cannot be used."""
    nothing: dict[str, list[TokenizedPair]] = {TRAIN: [], DEV: []}
    if not source.settings.dpo:
        return nothing, "the settings ask for none"
    if not source.spec.get("drafted"):
        return nothing, "it is not known what the drafts were written from"
    draft_passages = examples.read_passage_lists(Path(source.spec["drafted"]))
    by_split = {split: _pairs_of_split(split, draft_passages, source) for split in nothing}
    if (count := len(by_split[TRAIN])) < source.settings.dpo_min_pairs:
        return nothing, f"{count} edited drafts are too few to learn from"
    return by_split, ""


def _pairs_of_split(split: str, draft_passages: Mapping[str, Sequence[str]], source: _Source) -> list[TokenizedPair]:
    pairs = preference_pairs.build_preference_pairs(
        source.rows_of(split), source.passages, draft_passages, source.recipe, count_tokens=source.tokenizer.count
    )
    tokenized = [_tokenized_pair(pair, source.tokenizer) for pair in pairs]
    return [pair for pair in tokenized if _is_usable(pair, source)]


def _is_usable(pair: TokenizedPair, source: _Source) -> bool:
    """Return whether the two texts differ as token ids and are not too long."""
    longest = max(len(pair.chosen), len(pair.rejected))
    fits = longest <= source.settings.max_answer_tokens and len(pair.prompt) + longest <= source.window
    return pair.chosen != pair.rejected and fits


def _known_queries(
    rows: Sequence[JudgedQuery], recipe: instances.Recipe, generator: TextGenerator, seed: int
) -> set[str]:
    """Return ids of training queries that the generator answers correctly without passages, of a random sample."""
    answered = [row for row in rows if row.split == TRAIN and row.is_answered]
    sample = random.Random(seed).sample(answered, min(len(answered), MAX_KNOWN_QUERIES))
    prompts = [build_prompt(recipe.template, row.text, [], count_tokens=generator.count_tokens) for row in sample]
    answers = generator.generate(prompts)
    return {
        row.query_id
        for row, answer in zip(sample, answers, strict=True)
        if answer_metrics.f1(answer, [row.answer]) >= KNOWN_F1
    }


def _tokenized(instance: instances.Instance, tokenizer: PromptTokenizer) -> TokenizedInstance:
    answer = [*tokenizer.answer_ids(instance.answer), tokenizer.end_id]
    return TokenizedInstance(PromptAnswer(tokenizer.prompt_ids(instance.prompt), answer))


def _tokenized_pair(pair: PreferencePair, tokenizer: PromptTokenizer) -> TokenizedPair:
    chosen, rejected = ([*tokenizer.answer_ids(text), tokenizer.end_id] for text in (pair.chosen, pair.rejected))
    return TokenizedPair(tokenizer.prompt_ids(pair.prompt), chosen, rejected)
