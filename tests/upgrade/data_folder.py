"""A recorded data folder: unpack it anywhere, and run commands of `manage.py` on it.

The recording script imports this file too, so it imports nothing of the project.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT_MARK = "@ROOT@"  # stands for the folder that holds data/ and packages/, where a row or a file names it
DATABASE = "database.sql"
TEXT_SUFFIXES = (".json", ".jsonl", ".sql")

# What, format, number of the dataset: all that the commit could export, and two of a frozen dataset.
EXPORTS = [
    ("lm-sft", "openai", ""),
    ("lm-sft", "trl", ""),
    ("lm-sft", "alpaca", ""),
    ("lm-sft", "sharegpt", ""),
    ("lm-dpo", "openai", ""),
    ("lm-dpo", "trl", ""),
    ("lm-dpo", "kto", ""),
    ("retriever", "sentence-transformers", ""),
    ("retriever", "listwise", ""),
    ("retriever", "flagembedding", ""),
    ("retriever", "msmarco", ""),
    ("reranker", "sentence-transformers", ""),
    ("reranker", "flagembedding", ""),
    ("reranker", "msmarco", ""),
    ("qrels", "beir", ""),
    ("qrels", "trec", ""),
    ("judgements", "jsonl", ""),
    ("judgements", "csv", ""),
    ("beir", "beir", ""),
    ("retriever", "listwise", "1"),
    ("beir", "beir", "1"),
]
APPS = ("retrieval", "curation", "tuning", "auth.user", "authtoken")

# One process runs all commands: each process would load torch anew.
_DRIVER = """
import contextlib, io, json, runpy, sys, traceback
for arguments in json.load(sys.stdin):
    sys.argv, status, output, error = ["manage.py", *arguments], 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        try:
            runpy.run_path("manage.py", run_name="__main__")
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            status = 70
            traceback.print_exc()
    print(json.dumps([status, output.getvalue(), error.getvalue()]), flush=True)
"""


@dataclass(frozen=True)
class Result:
    """One finished command: its exit status and what it wrote to the two streams."""

    status: int
    output: str
    error: str

    @property
    def value(self) -> dict[str, Any]:
        """The object that `--json` prints on the last line."""
        assert self.status == 0, self.error
        value: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return value


def unpack(archive: Path, root: Path) -> None:
    """Fill the folder `root` with data/ and packages/, the database included, as if it had always been there."""
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="data")
    for path in root.rglob("*"):
        if path.suffix in TEXT_SUFFIXES and ROOT_MARK in (text := path.read_text(encoding="utf-8")):
            path.write_text(text.replace(ROOT_MARK, str(root)), encoding="utf-8")
    dump = root / DATABASE
    with sqlite3.connect(root / "data" / "tandem.sqlite3") as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    connection.close()
    dump.unlink()


def environment(root: Path) -> dict[str, str]:
    """The variables under which a process works on the data folder, with the two packages of random weights."""
    variables = os.environ | {
        "DATA_DIR": str(root / "data"),
        "DATABASE_URL": f"sqlite:///{root / 'data' / 'tandem.sqlite3'}",
        "PYTHONPATH": str(root / "packages"),
        "ENCODER": "upgrade_encoder",
        "GENERATOR": "upgrade_generator",
        "SECRET_KEY": "of the recorded data folder",
        "ALLOWED_HOSTS": "localhost,testserver",
        "COMPUTE_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "NUMBA_DISABLE_JIT": "1",
        "HF_HUB_OFFLINE": "1",
    }
    return {name: value for name, value in variables.items() if name not in ("DJANGO_SETTINGS_MODULE", "REDIS_URL")}


def run(code: Path, variables: Mapping[str, str], commands: Sequence[Sequence[str]]) -> list[Result]:
    """Run commands of the `manage.py` in the folder `code`, one after the other in one process.

    A command that fails does not stop the next one: look at each result's status.
    """
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        cwd=code,
        env=dict(variables),
        input=json.dumps([list(command) for command in commands]),
        capture_output=True,
        text=True,
        check=False,
    )
    results = [Result(*json.loads(line)) for line in done.stdout.splitlines()]
    assert len(results) == len(commands), done.stderr
    return results


def search_command(slug: str, text: str, mode: str) -> list[str]:
    return ["search", text, "--project", slug, "--mode", mode, "--json"]


def export_target(root: Path, slug: str, what: str, form: str, dataset: str) -> Path:
    """Where the export of these goes: a file, or for `beir` a folder."""
    return root / "exports" / "-".join(filter(None, (slug, what, form, dataset)))


def export_command(root: Path, slug: str, what: str, form: str, dataset: str) -> list[str]:
    target = export_target(root, slug, what, form, dataset)
    target.parent.mkdir(exist_ok=True)
    of_dataset = ["--dataset", dataset] if dataset else []
    return ["export", "--project", slug, "--what", what, "--format", form, *of_dataset, "--out", str(target)]


def evaluate_command(root: Path, slug: str) -> list[str]:
    """Measure what serves on the qrels that were exported before."""
    return ["evaluate", "--project", slug, "--qrels", str(export_target(root, slug, "qrels", "trec", "")), "--json"]


def hashes(target: Path) -> dict[str, str]:
    """The sha256 of a file, or of every file of a folder, by its name inside."""
    files = sorted(path for path in target.rglob("*") if path.is_file()) if target.is_dir() else [target]
    return {str(path.relative_to(target)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def count_rows(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many rows every model of the project has, from the output of `dumpdata`."""
    return dict(sorted(Counter(row["model"] for row in rows if row["model"].startswith(APPS)).items()))
