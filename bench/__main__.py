"""`python -m bench [NAME…]` runs the benchmarks one after the other; without names, all of them.

Each benchmark is a module of this folder with `main(arguments) -> dict`. It prints a table, with its peer or its limit
measured in the same run, and its result is written as JSON to bench/results/. Most use collections that are not part of
the project: a benchmark without its collection is skipped with a message, and the exit status is 1.
"""

from __future__ import annotations

import importlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench._collection import NoCollection

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Return the names of all benchmarks."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        print(f"Benchmarks: {', '.join(names())}. bench/README.md has the options of each.")
        return 0
    selected = [name for name in arguments if not name.startswith("-")] or names()
    options = [option for option in arguments if option.startswith("-")]
    unknown = set(selected) - set(names())
    if unknown:
        print(f"unknown benchmark {', '.join(sorted(unknown))}; benchmarks: {', '.join(names())}", file=sys.stderr)
        return 2
    return max([_run(name, options) for name in selected], default=0)


def _run(name: str, options: list[str]) -> int:
    """Run one benchmark, write its result, and return the exit status."""
    print(f"\n== {name}", flush=True)
    try:
        result = importlib.import_module(f"bench.{name}").main(options)
    except NoCollection as error:
        print(f"{name} was skipped: {error}", file=sys.stderr)
        return 1
    path = FOLDER / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    result = {"benchmark": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), **result}
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
