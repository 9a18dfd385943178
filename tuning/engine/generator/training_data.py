"""What a generator's training has to learn from: instances and preferences as ids, made from a dataset's files."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.engine.generation import log_likelihood
from curation.engine.generation.generator import TextGenerator
from curation.engine.generation.prompt_tokens import Dialogue
from curation.engine.generation.prompts import BadTemplate, build_prompt
from tuning.engine.data import examples, instances
from tuning.engine.generator import preference_pairs
from tuning.engine.generator.answer_loss import Example
from tuning.engine.generator.generator_spec import Settings
from tuning.engine.metrics import answer_metrics
from tuning.engine.process.training_process import CannotFit

# Queries the generator is asked without passages, and the F1 from which it knows the answer.
KNOWN_AT_MOST = 128
KNOWN_F1 = 0.8


@dataclass(frozen=True)
class Material:
    """What there is to learn from, as ids, and how many instances of which kind."""

    train: list[Example]
    dev: list[Example]
    counts: dict[str, Any]
    pairs: list[preference_pairs.Pair]
    dev_pairs: list[preference_pairs.Pair]
    why_no_pairs: str


def read(spec: dict[str, Any], settings: Settings, generator: TextGenerator) -> Material:
    """Training and dev instances and preferences as ids. Raises CannotFit."""
    rows = examples.read_queries(Path(spec["queries"]))
    passages = {row.passage_id: row.text for row in examples.read_passages(Path(spec["passages"]))}
    recipe = instances.Recipe(
        template=spec["prompt"],
        refusal=spec["refusal"],
        answer_passages=int(spec["answer_passages"]),
        per_query=settings.per_query,
        refusal_share=settings.refusal_share,
        distractor_share=settings.distractor_share,
    )
    try:
        made, counts = _examples(spec, settings, generator, rows, passages, recipe)
        found, why = _preferences(spec, settings, generator, rows, passages, recipe)
    except BadTemplate as error:
        raise CannotFit(str(error)) from error
    train, dev = made[examples.TRAIN], made[examples.DEV][: settings.dev_instances]
    if len(train) < settings.least_instances:
        raise CannotFit(f"{len(train)} answers with a good passage, or refusals, are too few to learn from")
    pairs, dev_pairs = found[examples.TRAIN], found[examples.DEV][: settings.dev_instances]
    return Material(train, dev, counts, pairs, dev_pairs, why)


def _examples(
    spec: dict[str, Any],
    settings: Settings,
    generator: TextGenerator,
    rows: Sequence[examples.JudgedQuery],
    passages: Mapping[str, str],
    recipe: instances.Recipe,
) -> tuple[dict[str, list[Example]], dict[str, Any]]:
    """split → instances as ids, and how many there are of which kind."""
    candidates = instances.read_candidates(Path(spec["candidates"]))
    made: dict[str, list[Example]] = {}
    counts: dict[str, Any] = {}
    min_grade, dialogue = instances.min_positive_grade(rows), generator.dialogue
    window = generator.window or math.inf
    known = _known(rows, recipe, generator, int(spec["seed"])) if settings.distractor_share else set()
    for split in (examples.TRAIN, examples.DEV):
        found = instances.make(
            [row for row in rows if row.split == split],
            passages,
            candidates,
            recipe,
            count_tokens=dialogue.count,
            seed=int(spec["seed"]),
            min_grade=min_grade,
            known=known,
        )
        as_ids = [_as_ids(instance, dialogue) for instance in found]
        most = settings.most_answer_tokens
        made[split] = [one for one in as_ids if len(one.pair.answer) <= most and one.tokens <= window]
        counts[split] = instances.kinds(found) | {"too_long": len(found) - len(made[split])}
    return made, counts


def _preferences(
    spec: dict[str, Any],
    settings: Settings,
    generator: TextGenerator,
    rows: Sequence[examples.JudgedQuery],
    passages: Mapping[str, str],
    recipe: instances.Recipe,
) -> tuple[dict[str, list[preference_pairs.Pair]], str]:
    """split → drafts and edits as ids; none, and why, where they are not to be learned from."""
    found: dict[str, list[preference_pairs.Pair]] = {examples.TRAIN: [], examples.DEV: []}
    if not settings.dpo:
        return found, "the settings ask for none"
    if not spec.get("drafted"):
        return found, "it is not known what the drafts were written from"
    drafted = preference_pairs.read_drafted(Path(spec["drafted"]))
    dialogue, end = generator.dialogue, generator.dialogue.end_id
    window = generator.window or math.inf
    for split, pairs in found.items():
        chosen = [row for row in rows if row.split == split]
        for one in preference_pairs.make(chosen, passages, drafted, recipe, count_tokens=dialogue.count):
            edit, draft = [*dialogue.answer_ids(one.chosen), end], [*dialogue.answer_ids(one.rejected), end]
            pair = preference_pairs.Pair(dialogue.prompt_ids(one.prompt), edit, draft)
            longest = max(len(edit), len(draft))
            fits = longest <= settings.most_answer_tokens and len(pair.prompt) + longest <= window
            if edit != draft and fits:
                pairs.append(pair)
    if (count := len(found[examples.TRAIN])) < settings.least_pairs:
        return {split: [] for split in found}, f"{count} edited drafts are too few to learn from"
    return found, ""


def _known(
    rows: Sequence[examples.JudgedQuery], recipe: instances.Recipe, generator: TextGenerator, seed: int
) -> set[str]:
    """Ids of training queries the generator answers rightly without a passage, of a random sample."""
    asked = [row for row in rows if row.split == examples.TRAIN and row.is_answered]
    asked = random.Random(seed).sample(asked, min(len(asked), KNOWN_AT_MOST))
    prompts = [build_prompt(recipe.template, row.text, [], count_tokens=generator.count_tokens) for row in asked]
    written = generator.generate(prompts)
    return {
        row.query_id
        for row, text in zip(asked, written, strict=True)
        if answer_metrics.f1(text, [row.answer]) >= KNOWN_F1
    }


def _as_ids(instance: instances.Instance, dialogue: Dialogue) -> Example:
    answer = [*dialogue.answer_ids(instance.answer), dialogue.end_id]
    return Example(log_likelihood.Pair(dialogue.prompt_ids(instance.prompt), answer))
