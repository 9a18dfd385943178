"""Teach a generator the answers people settled on: a LoRA adapter, trained on the answer tokens alone.

    python -m tuning.engine.fit_generator SPEC.json OUT/

The specification names `base` and `cache_dir` (the untuned weights, see curation.engine.gguf), `queries`,
`passages` and `candidates` (JSON lines), `prompt`, `refusal`, `answer_passages` (the release's), `seed`,
`threads`, `budget_seconds`, and `settings`, which override `Settings`. The result names `adapter_path` and
`adapter_hash`. The number of steps follows from the data; only a budget that is too short for them makes the
outcome depend on the machine's speed, and the record then says so. Everything else is decided by the
specification: the same one gives the same hash on the same machine.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.engine import scoring
from curation.engine.dialogue import Dialogue
from curation.engine.generator import NoGenerator, TextGenerator, resolve
from curation.engine.prompting import BadTemplate, build_prompt
from retrieval.engine import artifacts, compute
from tuning.engine import answers, examples, fitting, instances
from tuning.engine.answer_loss import Example, batches, dev_loss, gradients, pace
from tuning.engine.fitting import CannotFit

if TYPE_CHECKING:
    import torch

# A processor without an accelerator does about seven steps a minute with 135 million weights.
DEFAULT_BUDGET_SECONDS = 480.0
# Queries the generator is asked without passages, and the F1 from which it knows the answer.
KNOWN_AT_MOST = 128
KNOWN_F1 = 0.8


@dataclass(frozen=True)
class Settings:
    """What decides the weights, besides the data and the seed.

    epochs, most_steps: whichever ends first. batch: instances in a step; batch_tokens: how many tokens go
    through the model at once, the rest follows and their gradients add up.
    """

    rank: int = 8
    alpha: int = 16
    lr: float = 1e-3
    batch: int = 8
    batch_tokens: int = 2048
    epochs: int = 3
    most_steps: int = 40
    warmup: float = 0.1  # share of the steps
    clip: float = 1.0
    looks: int = 4  # at the dev instances, besides the one before the first step
    patience: int = 2  # looks without a better one that end it
    dev_instances: int = 32
    least_instances: int = 8
    most_answer_tokens: int = 384  # an instance with a longer answer is left out, never cut
    per_query: int = 2
    refusal_share: float | None = None
    distractor_share: float = 0.0  # above 0 costs a minute: the generator is asked what it knows without passages
    dtype: str = ""  # empty: whichever this machine multiplies faster


def fit(spec: dict[str, Any], out: Path, log: fitting.Log) -> dict[str, Any]:
    """Train and write OUT/checkpoint; the result. Raises CannotFit."""
    settings = read_settings(spec.get("settings") or {})
    compute.set_threads(int(spec.get("threads") or 0))
    log.write(0, 0, seconds_left=float(spec.get("budget_seconds") or DEFAULT_BUDGET_SECONDS), note="loading")
    dtype = settings.dtype or compute.fast_dtype(Path(spec["cache_dir"]) / "dtype.json")
    generator = _open(spec, dtype)
    train, dev, counts = _examples(spec, settings, generator)
    seed = int(spec["seed"])
    adapted = _with_adapter(generator.model, settings, seed)
    course = Course(adapted, train, dev, settings, seed, log, float(spec.get("budget_seconds") or math.inf))
    course.run()
    digest = _save(adapted, out / fitting.CHECKPOINT, spec, settings)
    return {
        "adapter_path": str(out / fitting.CHECKPOINT),
        "adapter_hash": digest,
        "choice": course.choice,
        "curves": {"loss": course.losses, "dev": course.looks},
        "record": compute.describe()
        | {
            "dtype": dtype,
            "seed": seed,
            "settings": asdict(settings),
            "instances": counts,
            "steps": course.done,
            "steps_planned": course.planned,
            "cut_short": course.was_cut,
            "seconds": round(log.seconds, 1),
        },
    }


def read_settings(values: Mapping[str, Any]) -> Settings:
    """The settings with these overrides. Raises CannotFit for a name or a kind of value that is unknown."""
    known = {entry.name for entry in fields(Settings)}
    if unknown := sorted(set(values) - known):
        raise CannotFit(f"unknown settings: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    settings = Settings(**values)
    for name in ("rank", "alpha", "lr", "batch", "batch_tokens", "epochs", "most_steps", "looks", "dev_instances"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            raise CannotFit(f"{name} must be a number above 0")
    return settings


class Course:
    """One training: its steps, its looks at the dev instances, and the weights that did best there."""

    def __init__(
        self,
        model: Any,
        train: Sequence[Example],
        dev: Sequence[Example],
        settings: Settings,
        seed: int,
        log: fitting.Log,
        budget_seconds: float,
    ) -> None:
        self.model, self.train, self.dev = model, train, dev
        self.settings, self.seed, self.log, self.budget_seconds = settings, seed, log, budget_seconds
        per_epoch = math.ceil(len(train) / settings.batch)
        self.planned = self.steps = min(settings.most_steps, settings.epochs * per_epoch)
        self.done = 0
        self.losses: list[list[float]] = []
        self.looks: list[list[float]] = []
        self.was_cut = False
        self.choice = ""
        self._kept: dict[str, torch.Tensor] = {}
        self._best, self._since = math.inf, 0

    def run(self) -> None:
        """Train until the steps or the patience or the time is over, then put the best weights back."""
        import torch

        learning = [weight for weight in self.model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=self.settings.lr, weight_decay=0.0)
        self._look()
        for batch in batches(self.train, self.settings.batch, self.seed):
            if self.done >= self.steps or (self.dev and self._since >= self.settings.patience):
                break
            for group in optimizer.param_groups:
                group["lr"] = self.settings.lr * pace(self.done, self.steps, self.settings.warmup)
            loss = gradients(self.model, batch, self.settings.batch_tokens)
            torch.nn.utils.clip_grad_norm_(learning, self.settings.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            self.done += 1
            self.losses.append([self.done, loss])
            self._heed_time()
            self.log.write(self.done, self.steps, seconds_left=self._seconds_left(), loss=loss)
            if self.done in self._look_at():
                self._look()
        self._put_back()

    def _heed_time(self) -> None:
        """After a few steps it is known what one costs: plan no more than the budget pays for."""
        if self.done not in (3, 10) or math.isinf(self.budget_seconds):
            return
        affordable = self.done + int((self.budget_seconds - self.log.seconds) / max(self._step_seconds(), 1e-6))
        if affordable < self.steps:
            self.steps, self.was_cut = max(affordable, self.done), True

    def _look(self) -> None:
        """Measure the dev loss, and keep the weights if none were better."""
        if not self.dev:
            return
        loss = dev_loss(self.model, self.dev)
        self.looks.append([self.done, loss])
        self.log.write(self.done, self.steps, seconds_left=self._seconds_left(), dev=loss)
        if loss < self._best:
            self._best, self._since = loss, 0
            self._kept = {name: value.detach().clone() for name, value in _learned(self.model).items()}
            self.choice = f"step {self.done}"
        else:
            self._since += 1

    def _look_at(self) -> set[int]:
        return {round(self.steps * place / self.settings.looks) for place in range(1, self.settings.looks + 1)}

    def _put_back(self) -> None:
        if not self.dev:
            self.choice = f"step {self.done}, the last: there are no dev instances to choose by"
            return
        own = _learned(self.model)
        for name, value in self._kept.items():
            own[name].data.copy_(value)

    def _step_seconds(self) -> float:
        # The looks to come are paid for too: their share is in the seconds so far.
        return self.log.seconds / max(self.done, 1)

    def _seconds_left(self) -> float:
        if not self.done:
            return DEFAULT_BUDGET_SECONDS if math.isinf(self.budget_seconds) else self.budget_seconds
        return self._step_seconds() * (self.steps - self.done)


def _open(spec: dict[str, Any], dtype: str) -> TextGenerator:
    try:
        return TextGenerator(resolve(spec["base"], Path(spec["cache_dir"])), None, dtype)
    except NoGenerator as error:
        raise CannotFit(str(error)) from error


def _examples(
    spec: dict[str, Any], settings: Settings, generator: TextGenerator
) -> tuple[list[Example], list[Example], dict[str, Any]]:
    """Training and dev instances as ids, and how many there are of which kind. Raises CannotFit."""
    rows = examples.read_queries(Path(spec["queries"]))
    passages = {row.passage_id: row.text for row in examples.read_passages(Path(spec["passages"]))}
    candidates = instances.read_candidates(Path(spec["candidates"]))
    recipe = instances.Recipe(
        template=spec["prompt"],
        refusal=spec["refusal"],
        answer_passages=int(spec["answer_passages"]),
        per_query=settings.per_query,
        refusal_share=settings.refusal_share,
        distractor_share=settings.distractor_share,
    )
    made: dict[str, list[Example]] = {}
    counts: dict[str, Any] = {}
    good_from, dialogue = instances.good_grade(rows), generator.dialogue
    known = _known(rows, recipe, generator, int(spec["seed"])) if settings.distractor_share else set()
    for split in (examples.TRAIN, examples.DEV):
        chosen = [row for row in rows if row.split == split]
        try:
            found = instances.make(
                chosen,
                passages,
                candidates,
                recipe,
                count_tokens=dialogue.count,
                seed=int(spec["seed"]),
                good_from=good_from,
                known=known,
            )
        except BadTemplate as error:
            raise CannotFit(str(error)) from error
        as_ids = [_as_ids(instance, dialogue) for instance in found]
        made[split] = [one for one in as_ids if len(one.pair.answer) <= settings.most_answer_tokens]
        counts[split] = instances.kinds(found) | {"too_long": len(found) - len(made[split])}
    train, dev = made[examples.TRAIN], made[examples.DEV][: settings.dev_instances]
    if len(train) < settings.least_instances:
        raise CannotFit(f"{len(train)} answers with a good passage, or refusals, are too few to learn from")
    return train, dev, counts


def _known(
    rows: Sequence[examples.JudgedQuery], recipe: instances.Recipe, generator: TextGenerator, seed: int
) -> set[str]:
    """Ids of training queries the generator answers rightly without a passage, of a random sample."""
    asked = [row for row in rows if row.split == examples.TRAIN and row.answer.strip() and not row.is_unanswerable]
    asked = random.Random(seed).sample(asked, min(len(asked), KNOWN_AT_MOST))
    prompts = [build_prompt(recipe.template, row.text, [], count_tokens=generator.count_tokens) for row in asked]
    written = generator.generate(prompts)
    return {
        row.query_id for row, text in zip(asked, written, strict=True) if answers.f1(text, [row.answer]) >= KNOWN_F1
    }


def _as_ids(instance: instances.Instance, dialogue: Dialogue) -> Example:
    answer = [*dialogue.answer_ids(instance.answer), dialogue.end_id]
    return Example(scoring.Pair(dialogue.prompt_ids(instance.prompt), answer))


def _with_adapter(model: Any, settings: Settings, seed: int) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
    )
    adapted = get_peft_model(model, config)
    adapted.train()
    return adapted


def _learned(model: Any) -> dict[str, Any]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _save(model: Any, target: Path, spec: dict[str, Any], settings: Settings) -> str:
    """Write the adapter's folder; its hash. Nothing in it depends on the clock or on where it lies."""

    def fill(folder: Path) -> None:
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        path = folder / "adapter_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = spec["base"]
        config["target_modules"] = sorted(config["target_modules"])
        path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    # Without a result beside it, a checkpoint is what a killed process left: nobody knows of it.
    shutil.rmtree(target, ignore_errors=True)
    meta = {"kind": "adapter", "base": spec["base"], "seed": spec["seed"], "settings": asdict(settings)}
    return artifacts.write_folder(target, fill, meta)


if __name__ == "__main__":
    sys.exit(fitting.run(fit, sys.argv[1:]))
