"""Fine-tune a generator on settled answers: supervised fine-tuning (SFT) of a LoRA adapter, on the answer tokens alone.

    python -m tuning.engine.generator.train_generator SPEC.json OUT/

The specification names `base` and `cache_dir` (the untuned weights, see curation.engine.generation.gguf), `queries`,
`passages` and `candidates` (JSON lines), `prompt`, `refusal`, `answer_passages` (the release's), `seed`,
`threads`, `budget_seconds`, and `settings`, which override `GeneratorSettings`; it may name `drafted` (JSON lines: the
passages each draft was written from), and then DPO on drafts and edits can follow SFT. The result names
`adapter_path` and `adapter_hash`.

The number of steps follows from the data; only where the budget is too short for them does the outcome depend on the
machine's speed, and the record then says so. Everything else is decided by the specification: the same one gives the
same hash on the same machine, also where the process was killed on the way: every `state_seconds` it saves its training
state in OUT/, and the next process resumes from there.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import artifacts
from common.renamed_keys import with_current_keys
from curation.engine.generation.generator import NoGenerator, TextGenerator, resolve
from retrieval.engine import hardware
from tuning.engine.generator import preference_pairs, training_data
from tuning.engine.generator.answer_loss import add_gradients, dev_loss, endless_batches
from tuning.engine.generator.generator_spec import GeneratorSettings, read_settings
from tuning.engine.generator.training_data import GeneratorTrainingData
from tuning.engine.process import training_process, training_state
from tuning.engine.process.training_loop import TrainingLoop, TrainingPlan
from tuning.engine.process.training_process import MetricsLog, TrainingError
from tuning.engine.process.training_state import TrainingState

# A CPU takes about seven steps a minute with 135 million weights.
DEFAULT_BUDGET_SECONDS = 480.0
# Share of the budget that is kept for DPO where there are preference pairs.
DPO_SHARE = 0.35


def train(content: dict[str, Any], out: Path, log: MetricsLog) -> dict[str, Any]:
    """Train, write OUT/checkpoint and return the result. Raises TrainingError."""
    spec = with_current_keys("generator specification", content)
    settings = read_settings(spec.get("settings") or {})
    hardware.set_threads(int(spec.get("threads") or 0))
    log.write(0, 0, seconds_left=float(spec.get("budget_seconds") or DEFAULT_BUDGET_SECONDS), note="loading")
    dtype = settings.dtype or hardware.fast_dtype(Path(spec["cache_dir"]) / "dtype.json")
    generator = _open(spec, dtype)
    data = training_data.load_training_data(spec, settings, generator)
    model = _add_lora(generator.model, settings, int(spec["seed"]))
    loops = _run_loops(model, data, spec, settings, dtype, out, log)
    digest = _save(model, out / training_process.CHECKPOINT, spec, settings)
    sft, dpo = loops[0], loops[1] if len(loops) > 1 else None
    return {
        "adapter_path": str(out / training_process.CHECKPOINT),
        "adapter_hash": digest,
        "choice": "; ".join(f"{loop.plan.name}: {loop.choice}" for loop in loops),
        "curves": {
            "loss": sft.losses,
            "dev": [[point["step"], point["loss"]] for point in sft.evaluations],
            "dpo": {"loss": dpo.losses, "dev": dpo.evaluations} if dpo else {},
        },
        "record": _record(spec, settings, dtype, data, loops),
    }


def _record(
    spec: Mapping[str, Any],
    settings: GeneratorSettings,
    dtype: str,
    data: GeneratorTrainingData,
    loops: list[TrainingLoop],
) -> dict[str, Any]:
    return hardware.describe() | {
        "dtype": dtype,
        "seed": int(spec["seed"]),
        "settings": asdict(settings),
        "instances": data.counts,
        "pairs": {"train": len(data.pairs), "dev": len(data.dev_pairs), "why_unused": data.no_pairs_reason},
        "steps": loops[0].step,
        "steps_planned": loops[0].plan.steps,
        "cut_short": any(loop.is_cut_short for loop in loops),
        "dpo_steps": loops[1].step if len(loops) > 1 else 0,
        "seconds": round(sum(loop.seconds for loop in loops), 1),
    }


def _run_loops(
    model: Any,
    data: GeneratorTrainingData,
    spec: Mapping[str, Any],
    settings: GeneratorSettings,
    dtype: str,
    out: Path,
    log: MetricsLog,
) -> list[TrainingLoop]:
    """Run SFT and then, where there are preference pairs, DPO; return the loops at their end."""
    seed = int(spec["seed"])
    save_seconds = float(spec.get("state_seconds", training_state.SAVE_SECONDS))
    fingerprints = _fingerprints(data, spec, settings, dtype)

    def saved_state(name: str) -> TrainingState:
        return TrainingState(out / f"{name}{training_state.SUFFIX}", fingerprints[name], save_seconds)

    budget = float(spec.get("budget_seconds") or math.inf) - log.seconds
    sft_budget = budget * (1 - DPO_SHARE) if data.pairs else budget
    sft = TrainingLoop(model, _sft_plan(data, settings, seed, model), log, saved_state("sft"), sft_budget)
    sft.run()
    if not data.pairs:
        return [sft]
    plan = _dpo_plan(data, settings, seed, model)
    dpo = TrainingLoop(model, plan, log, saved_state("dpo"), budget - sft.seconds)
    dpo.run()
    return [sft, dpo]


def _fingerprints(
    data: GeneratorTrainingData, spec: Mapping[str, Any], settings: GeneratorSettings, dtype: str
) -> dict[str, str]:
    """Return the fingerprint of everything that decides the weights of SFT, and of DPO after it."""
    values = asdict(settings)
    dpo_values = {name: value for name, value in values.items() if name.startswith("dpo")}
    sft_values = {name: value for name, value in values.items() if name not in dpo_values}
    base = [spec["base"], dtype, int(spec["seed"]), sft_values]
    instances = [[instance.ids for instance in split] for split in (data.train, data.dev)]
    sft = training_state.fingerprint("sft", base, instances)
    pairs = [[pair.prompt, pair.chosen, pair.rejected] for pair in (*data.pairs, *data.dev_pairs)]
    return {"sft": sft, "dpo": training_state.fingerprint("dpo", sft, dpo_values, pairs)}


def _sft_plan(data: GeneratorTrainingData, settings: GeneratorSettings, seed: int, model: Any) -> TrainingPlan:
    epoch_steps = math.ceil(len(data.train) / settings.batch_size)
    return TrainingPlan(
        name="sft",
        steps=min(settings.max_steps, settings.epochs * epoch_steps),
        lr=settings.lr,
        batches=lambda: endless_batches(data.train, settings.batch_size, seed),
        gradients=lambda batch: add_gradients(model, batch, settings.micro_batch_tokens),
        evaluate=(lambda: (dev_loss(model, data.dev), {})) if data.dev else None,
        warmup=settings.warmup,
        max_grad_norm=settings.max_grad_norm,
        evaluations=settings.evaluations,
        patience=settings.patience,
    )


def _dpo_plan(data: GeneratorTrainingData, settings: GeneratorSettings, seed: int, model: Any) -> TrainingPlan:
    """Return the plan of DPO. Its reference model is the model as it is now."""
    beta, weight = settings.dpo_beta, settings.dpo_sft_weight
    model.eval()
    references = preference_pairs.reference_log_probs(model, [*data.pairs, *data.dev_pairs])
    model.train()
    pairs = list(zip([*data.pairs, *data.dev_pairs], references, strict=True))
    train_pairs, dev_pairs = pairs[: len(data.pairs)], pairs[len(data.pairs) :]

    def evaluate() -> tuple[float, dict[str, float]]:
        loss, preferred = preference_pairs.dev_loss(model, dev_pairs, beta, weight)
        return loss, {"preferred": preferred}

    tokens = settings.micro_batch_tokens
    epoch_steps = math.ceil(len(train_pairs) / settings.dpo_batch_size)
    return TrainingPlan(
        name="dpo",
        steps=min(settings.dpo_max_steps, settings.dpo_epochs * epoch_steps),
        lr=settings.dpo_lr,
        batches=lambda: preference_pairs.endless_batches(train_pairs, settings.dpo_batch_size, seed),
        gradients=lambda batch: preference_pairs.add_gradients(model, batch, tokens, beta, weight),
        evaluate=evaluate if dev_pairs else None,
        warmup=settings.warmup,
        max_grad_norm=settings.max_grad_norm,
        evaluations=settings.evaluations,
        patience=settings.patience,
    )


def _open(spec: Mapping[str, Any], dtype: str) -> TextGenerator:
    try:
        return TextGenerator(resolve(spec["base"], Path(spec["cache_dir"])), None, dtype)
    except NoGenerator as error:
        raise TrainingError(str(error)) from error


def _add_lora(model: Any, settings: GeneratorSettings, seed: int) -> Any:
    """Return the model with a new LoRA adapter, the only weights that learn; the seed decides its first values."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
    )
    adapted = get_peft_model(model, config)
    adapted.train()
    return adapted


def _save(model: Any, target: Path, spec: Mapping[str, Any], settings: GeneratorSettings) -> str:
    """Write the adapter's folder and return its hash. Nothing in it depends on the time or the place."""

    def fill(folder: Path) -> None:
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        path = folder / "adapter_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = spec["base"]
        config["target_modules"] = sorted(config["target_modules"])
        path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    # Without a result beside it, a checkpoint is what a killed process left: nothing refers to it.
    shutil.rmtree(target, ignore_errors=True)
    meta = {"kind": "adapter", "base": spec["base"], "seed": spec["seed"], "settings": asdict(settings)}
    return artifacts.write_folder(target, fill, meta)


if __name__ == "__main__":
    sys.exit(training_process.run_training(train, sys.argv[1:]))
