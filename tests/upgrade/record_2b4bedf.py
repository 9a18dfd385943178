"""Record a data folder of commit 2b4bedf, which `test_upgrade.py` opens with the code of today.

The suite does not run this script. It calls that commit's own modules, hence their names. With the interpreter of an
environment that has that commit's requirements:

    git worktree add FOLDER 2b4bedf
    python tests/upgrade/record_2b4bedf.py FOLDER

It takes about two minutes on two cores and writes beside itself:

    data_2b4bedf.tar.xz     data/           the data folder: builds, vectors, datasets, runs, guard sets
                            packages/       an encoder and a generator of random weights, as importable packages
                            database.sql    the database
    expected_2b4bedf.json   what commands of that commit print for it, and the rows of every model

Two projects: `zoo` has people of every role, every kind of work and one finished cycle whose release serves; a second
cycle was killed while its generator trained, with a bookmark in its folder. `park` is an imported collection whose
first cycle was killed while its encoder trained.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import data_folder

HERE = Path(__file__).resolve().parent
COMMIT = "2b4bedf"
ARCHIVE, EXPECTED = HERE / f"data_{COMMIT}.tar.xz", HERE / f"expected_{COMMIT}.json"
SEARCHES = [
    ("zoo", "Which animal sleeps and hunts at night?", "hybrid"),
    ("zoo", "a bird that cannot fly", "dense"),
    ("zoo", "water for the camel", "lexical"),
    ("zoo", "when may children watch the lion", "hybrid"),
    ("park", "ice at the kiosk", "hybrid"),
]
PROJECTS = ["zoo", "park"]
MEASURES = ["release", "queries", "ndcg@10", "recall@10", "mrr@10", "judged@10"]
RULES = ["curation.project", "tuning.policy", "tuning.guardset"]  # their values are written down one by one
# In the place of a training: the bookmark is written at every step, and after a few of them nothing goes on.
_STOPPING_TRAINER = """
import runpy, sys, time
from pathlib import Path
from tuning.engine.checkpoints import Bookmark

save, saves = Bookmark.save, 0

def save_and_stop(self, state, *, now=False):
    global saves
    save(self, state, now=True)
    saves += 1
    if saves == 3:
        (Path(sys.argv[2]) / "stopped").touch()
        time.sleep(600)
    return True

Bookmark.save = save_and_stop
runpy.run_module("tuning.engine.MODULE", run_name="__main__")
"""
_STOPPING_SETTINGS = """
from config.settings import *
TRAINERS = TRAINERS | {"PART": "stopping_trainer"}
"""


def main(checkout: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve() / "recorded"
        (root / "data").mkdir(parents=True)
        _call_self(checkout, root, "models")
        _check(data_folder.run(checkout, data_folder.environment(root), [["migrate", "--verbosity", "0"]]))
        _call_self(checkout, root, "fill")
        for project, part in (("zoo", "generator"), ("park", "retriever")):
            _kill_cycle(checkout, root, project, part)
        _pack(root, checkout)
        again = Path(name).resolve() / "again"
        again.mkdir()
        EXPECTED.write_text(json.dumps(_expected(checkout, again), indent=1, ensure_ascii=False) + "\n")


def _call_self(checkout: Path, root: Path, step: str) -> None:
    """A step that imports modules of the commit, as a process in its checkout."""
    variables = data_folder.environment(root) | {"PYTHONPATH": _paths(root, checkout)}
    variables["DJANGO_SETTINGS_MODULE"] = "config.settings"
    subprocess.run(
        [sys.executable, str(HERE / f"rows_{COMMIT}.py"), step, str(root)], cwd=checkout, env=variables, check=True
    )


def _paths(root: Path, *more: Path) -> str:
    return os.pathsep.join(map(str, (root / "packages", *more)))


def _check(results: Sequence[data_folder.Result]) -> None:
    for result in results:
        assert result.status == 0, result.error


# The killed cycles


def _kill_cycle(checkout: Path, root: Path, project: str, part: str) -> None:
    """Start `loop`, wait until the training of this half has left a bookmark, and kill both processes."""
    with tempfile.TemporaryDirectory() as name:
        module = {"generator": "fit_generator", "retriever": "fit_encoder"}[part]
        (Path(name) / "stopping_trainer.py").write_text(_STOPPING_TRAINER.replace("MODULE", module))
        (Path(name) / "stopping_settings.py").write_text(_STOPPING_SETTINGS.replace("PART", part))
        variables = data_folder.environment(root) | {"DJANGO_SETTINGS_MODULE": "stopping_settings"}
        variables["PYTHONPATH"] = _paths(root, Path(name), checkout)
        command = [sys.executable, "manage.py", "loop", "--project", project, "--gate", "always"]
        command += ["--only", "retriever"] if part == "retriever" else []
        process = subprocess.Popen(command, cwd=checkout, env=variables, start_new_session=True)
        mark = _wait_for_stop(process, root / "data" / "runs")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(2)  # the training notices that its parent is gone
        mark.unlink()
        assert list(mark.parent.glob("*.bookmark"))


def _wait_for_stop(process: subprocess.Popen[bytes], runs: Path) -> Path:
    for _attempt in range(600):
        assert process.poll() is None, "the cycle ended before it could be killed"
        if found := list(runs.glob("*/stopped")):
            return found[0]
        time.sleep(0.5)
    raise AssertionError("the training did not come to its third step")


# The archive and what is expected of it


def _pack(root: Path, checkout: Path) -> None:
    """The folder as one file in which nothing names this machine."""
    data = root / "data"
    with sqlite3.connect(data / "tandem.sqlite3") as connection:
        dump = "\n".join(connection.iterdump()) + "\n"
    connection.close()
    dump = re.sub(rf"'{re.escape(socket.gethostname()[:60])}:(?=\d+:)", "'recorder:", dump)  # who held a job
    (root / data_folder.DATABASE).write_text(dump, encoding="utf-8")
    for name in ("tandem.sqlite3", "tandem.sqlite3-wal", "tandem.sqlite3-shm", "secret_key"):
        (data / name).unlink(missing_ok=True)
    for warnings in data.rglob("stderr.txt"):  # of libraries, with the paths where they are installed
        warnings.write_text("")
    shutil.rmtree(data / "static", ignore_errors=True)
    _hide_place(root)
    for path in (path for path in root.rglob("*") if path.is_file()):
        assert not any(str(place).encode() in path.read_bytes() for place in (checkout, sys.prefix)), path
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as tar:
        for path in sorted(path for path in root.rglob("*") if "__pycache__" not in path.parts):
            tar.add(path, path.relative_to(root), recursive=False, filter=_without_owner)


def _hide_place(root: Path) -> None:
    """Put the mark in the place of the folder's path; a folder whose hash is kept must not hold it."""
    for path in (path for path in root.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        if str(root).encode() in raw:
            assert path.suffix in data_folder.TEXT_SUFFIXES and not (path.parent / "meta.json").exists(), path
            path.write_text(raw.decode().replace(str(root), data_folder.ROOT_MARK), encoding="utf-8")


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _expected(checkout: Path, root: Path) -> dict[str, Any]:
    """What the commands of the commit print for the folder, once it is unpacked elsewhere."""
    data_folder.unpack(ARCHIVE, root)
    variables = data_folder.environment(root)
    exports = [(slug, *pair) for slug in PROJECTS for pair in data_folder.EXPORTS]
    commands = [
        ["dumpdata"],
        *(data_folder.search_command(*search) for search in SEARCHES),
        *(data_folder.export_command(root, *export) for export in exports),
        *(data_folder.evaluate_command(root, slug) for slug in PROJECTS),
    ]
    commands += [["rollback", "--project", "zoo", "--json"], data_folder.search_command(*SEARCHES[0])]
    dumped, *results, rolled_back, searched_before = data_folder.run(checkout, variables, commands)
    searched, exported = results[: len(SEARCHES)], results[len(SEARCHES) : -len(PROJECTS)]
    _check([dumped, *searched, *results[-len(PROJECTS) :]])
    rows = json.loads(dumped.output)
    return {
        "commit": COMMIT,
        "evaluations": {
            slug: {name: result.value[name] for name in MEASURES}
            for slug, result in zip(PROJECTS, results[-len(PROJECTS) :], strict=True)
        },
        "searches": [[*search, result.value] for search, result in zip(SEARCHES, searched, strict=True)],
        "exports": [
            [*export, data_folder.hashes(data_folder.export_target(root, *export))]
            for export, result in zip(exports, exported, strict=True)
            if result.status == 0  # some collections have nothing for one of the formats
        ],
        "before": [rolled_back.value, searched_before.value],
        "rows": data_folder.count_rows(rows),
        "rules": {model: [row["fields"] for row in rows if row["model"] == model] for model in RULES},
        "trained": _last_trained(rows),
    }


def _last_trained(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The training of the killed cycle that had ended before."""
    done = [row for row in rows if row["model"] == "tuning.run" and row["fields"]["state"] == "done"]
    last = max(done, key=lambda row: row["pk"])
    return {"id": last["pk"], "seconds": last["fields"]["seconds"]}


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
