"""Result of a training as a row: the encoder, the reranker or the generator that its files hold."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from common import artifacts
from common.data_dir import stored_path
from curation.models import Generator
from retrieval.models import Encoder, Reranker
from tuning.models import Component, Run


def store_result(run: Run, result: dict[str, Any]) -> None:
    """Store the result of the run as a row, and its record with the run.

    result: the content of result.json. Raises Damaged when a file is not what the training process wrote.
    """
    if run.component == Component.RETRIEVER:
        run.encoder = _store_encoder(run, result)
    elif run.component == Component.RERANKER:
        run.reranker = _store_reranker(run, result)
        run.record |= {"rerank_depth": result["depth"], "rerank_share": result["share"]}
    else:
        run.generator = _store_generator(run, result)
    run.record |= result["record"] | {"choice": result.get("choice", ""), "curves": result.get("curves", {})}
    run.save(update_fields=["encoder", "generator", "reranker", "record"])


def _store_encoder(run: Run, result: dict[str, Any]) -> Encoder:
    """Return the row of the encoder. A side that was not trained is the parent's, and so are its vectors."""
    parent = run.parent_encoder
    assert parent is not None  # every retriever run has one
    sides: dict[str, Any] = {}
    for side in ("query", "passage"):
        digest = result[f"{side}_hash"]
        if digest == getattr(parent, f"{side}_hash"):
            path = getattr(parent, f"{side}_path")
        else:
            artifacts.verify(Path(result[f"{side}_path"]), digest)
            path = stored_path(Path(result[f"{side}_path"]))
        sides |= {f"{side}_hash": digest, f"{side}_path": path}
    hashes = {name: sides[name] for name in ("query_hash", "passage_hash")}
    prefixes = {"query_prefix": parent.query_prefix, "passage_prefix": parent.passage_prefix}
    fields = {
        "name": _row_name(parent.name, run),
        "dim": parent.dim,
        "temperature": result.get("temperature", parent.temperature),
        "parent": parent,
    }
    encoder, _is_new = Encoder.objects.get_or_create(**hashes, **prefixes, defaults=sides | fields)
    return encoder


def _store_reranker(run: Run, result: dict[str, Any]) -> Reranker | None:
    """Return the row of the reranker; None where dev is better without one."""
    if "reranker_path" not in result:
        return None
    folder = Path(result["reranker_path"])
    artifacts.verify(folder, result["reranker_hash"])
    fields = {"name": _row_name(Path(run.settings["base"]).name, run), "path": stored_path(folder)}
    reranker, _is_new = Reranker.objects.get_or_create(sha256=result["reranker_hash"], defaults=fields)
    return reranker


def _store_generator(run: Run, result: dict[str, Any]) -> Generator:
    """Return the row of the generator: the weights of the parent with the trained adapter."""
    parent = run.parent_generator
    assert parent is not None  # every generator run has one
    adapter = Path(result["adapter_path"])
    artifacts.verify(adapter, result["adapter_hash"])
    digest = hashlib.sha256(f"{parent.sha256}\n{result['adapter_hash']}".encode()).hexdigest()
    fields = {
        "name": _row_name(parent.name, run),
        "base_path": parent.base_path,
        "adapter_path": stored_path(adapter),
        "parent": parent,
    }
    generator, _is_new = Generator.objects.get_or_create(sha256=digest, defaults=fields)
    return generator


def _row_name(parent_name: str, run: Run) -> str:
    return f"{parent_name} · {run.cycle.project.slug} {run.cycle_id}"
