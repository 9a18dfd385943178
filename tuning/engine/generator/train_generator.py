"""Teach a generator the answers people settled on: a LoRA adapter, trained on the answer tokens alone.

    python -m tuning.engine.generator.train_generator SPEC.json OUT/

The specification names `base` and `cache_dir` (the untuned weights, see curation.engine.generation.gguf), `queries`,
`passages` and `candidates` (JSON lines), `prompt`, `refusal`, `answer_passages` (the release's), `seed`,
`threads`, `budget_seconds`, and `settings`, which override `Settings`; it may name `drafted` (JSON lines: the
passages each draft was written from), and then DPO on drafts and edits can follow the answers. The result names
`adapter_path` and `adapter_hash`.

The number of steps follows from the data; only a budget that is too short for them makes the outcome depend on the
machine's speed, and the record then says so. Everything else is decided by the specification: the same one gives
the same hash on the same machine, also where the process was killed on the way: every `bookmark_seconds` it leaves
a bookmark in OUT/, and the next one goes on from there.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import artifacts
from curation.engine.generation.generator import NoGenerator, TextGenerator, resolve
from retrieval.engine import hardware
from tuning.engine.generator import preference_pairs, training_data
from tuning.engine.generator.answer_loss import batches, dev_loss, gradients
from tuning.engine.generator.generator_spec import Settings, read_settings
from tuning.engine.generator.training_data import Material
from tuning.engine.process import training_process
from tuning.engine.process.checkpoints import BOOKMARK_SECONDS, Bookmark, key_of
from tuning.engine.process.training_loop import Course, Lesson
from tuning.engine.process.training_process import CannotFit

# A processor without an accelerator does about seven steps a minute with 135 million weights.
DEFAULT_BUDGET_SECONDS = 480.0
# Of the budget, what is kept for the preferences where there are any.
DPO_SHARE = 0.35


def fit(spec: dict[str, Any], out: Path, log: training_process.Log) -> dict[str, Any]:
    """Train and write OUT/checkpoint; the result. Raises CannotFit."""
    settings = read_settings(spec.get("settings") or {})
    hardware.set_threads(int(spec.get("threads") or 0))
    log.write(0, 0, seconds_left=float(spec.get("budget_seconds") or DEFAULT_BUDGET_SECONDS), note="loading")
    dtype = settings.dtype or hardware.fast_dtype(Path(spec["cache_dir"]) / "dtype.json")
    generator = _open(spec, dtype)
    found = training_data.read(spec, settings, generator)
    adapted = _with_adapter(generator.model, settings, int(spec["seed"]))
    courses = _learn(adapted, found, spec, settings, dtype, out, log)
    digest = _save(adapted, out / training_process.CHECKPOINT, spec, settings)
    sft = courses[0]
    record = {
        "dtype": dtype,
        "seed": int(spec["seed"]),
        "settings": asdict(settings),
        "instances": found.counts,
        "pairs": {"train": len(found.pairs), "dev": len(found.dev_pairs), "why_unused": found.why_no_pairs},
        "steps": sft.done,
        "steps_planned": sft.lesson.steps,
        "cut_short": any(course.was_cut for course in courses),
        "dpo_steps": courses[1].done if len(courses) > 1 else 0,
        "seconds": round(sum(course.seconds for course in courses), 1),
    }
    return {
        "adapter_path": str(out / training_process.CHECKPOINT),
        "adapter_hash": digest,
        "choice": "; ".join(f"{course.lesson.name}: {course.choice}" for course in courses),
        "curves": {
            "loss": sft.losses,
            "dev": [[look["step"], look["loss"]] for look in sft.looks],
            "dpo": {"loss": courses[1].losses, "dev": courses[1].looks} if len(courses) > 1 else {},
        },
        "record": hardware.describe() | record,
    }


def _learn(
    adapted: Any,
    found: Material,
    spec: dict[str, Any],
    settings: Settings,
    dtype: str,
    out: Path,
    log: training_process.Log,
) -> list[Course]:
    """The answers first, then, where there are pairs to learn from, the preferences; each course as it ended."""
    seed, every = int(spec["seed"]), float(spec.get("bookmark_seconds", BOOKMARK_SECONDS))
    of_dpo = {
        name: value for name, value in asdict(settings).items() if name.startswith("dpo") or name == "least_pairs"
    }
    decides = [spec["base"], dtype, seed, {k: v for k, v in asdict(settings).items() if k not in of_dpo}]
    left = float(spec.get("budget_seconds") or math.inf) - log.seconds
    key = key_of("sft", decides, [[one.pair for one in some] for some in (found.train, found.dev)])
    for_sft = left * (1 - DPO_SHARE) if found.pairs else left
    sft = _sft(found, settings, seed, adapted)
    course = Course(adapted, sft, log, Bookmark(out / "sft.bookmark", key, every), for_sft)
    course.run()
    if not found.pairs:
        return [course]
    key = key_of(
        "dpo", key, of_dpo, [[one.prompt, one.chosen, one.rejected] for one in (*found.pairs, *found.dev_pairs)]
    )
    dpo = _dpo(found, settings, seed, adapted)
    second = Course(adapted, dpo, log, Bookmark(out / "dpo.bookmark", key, every), left - course.seconds)
    second.run()
    return [course, second]


def _sft(found: Material, settings: Settings, seed: int, model: Any) -> Lesson:
    per_epoch = math.ceil(len(found.train) / settings.batch)
    return Lesson(
        name="sft",
        steps=min(settings.most_steps, settings.epochs * per_epoch),
        lr=settings.lr,
        batches=lambda: batches(found.train, settings.batch, seed),
        gradients=lambda batch: gradients(model, batch, settings.batch_tokens),
        look=(lambda: (dev_loss(model, found.dev), {})) if found.dev else None,
        warmup=settings.warmup,
        clip=settings.clip,
        looks=settings.looks,
        patience=settings.patience,
    )


def _dpo(found: Material, settings: Settings, seed: int, model: Any) -> Lesson:
    """From the weights as they are now, which are also its reference."""
    beta, weight = settings.dpo_beta, settings.dpo_sft_weight
    model.eval()
    known = preference_pairs.references(model, [*found.pairs, *found.dev_pairs])
    model.train()
    whole = list(zip([*found.pairs, *found.dev_pairs], known, strict=True))
    train, dev = whole[: len(found.pairs)], whole[len(found.pairs) :]

    def look() -> tuple[float, dict[str, float]]:
        loss, preferred = preference_pairs.dev_loss(model, dev, beta, weight)
        return loss, {"preferred": preferred}

    return Lesson(
        name="dpo",
        steps=min(settings.dpo_most_steps, settings.dpo_epochs * math.ceil(len(train) / settings.dpo_batch)),
        lr=settings.dpo_lr,
        batches=lambda: preference_pairs.batches(train, settings.dpo_batch, seed),
        gradients=lambda batch: preference_pairs.gradients(model, batch, settings.batch_tokens, beta, weight),
        look=look if dev else None,
        warmup=settings.warmup,
        clip=settings.clip,
        looks=settings.looks,
        patience=settings.patience,
    )


def _open(spec: dict[str, Any], dtype: str) -> TextGenerator:
    try:
        return TextGenerator(resolve(spec["base"], Path(spec["cache_dir"])), None, dtype)
    except NoGenerator as error:
        raise CannotFit(str(error)) from error


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
    sys.exit(training_process.run(fit, sys.argv[1:]))
