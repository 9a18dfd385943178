"""`python -m bench [NAME…]` runs the benchmarks one after the other; without names, all of them.

Each is a module of this folder with `main(arguments) -> dict`: it prints its table with the peer or the limit in the
same run, and what it returns is kept as JSON under bench/results/. Most measure on collections that are not part of the
project: one whose collection is missing is left out, said so, and the status is 1.
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
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        print(f"There are {', '.join(names())}; bench/README.md says what options each takes.")
        return 0
    wanted = [name for name in arguments if not name.startswith("-")] or names()
    options = [option for option in arguments if option.startswith("-")]
    unknown = set(wanted) - set(names())
    if unknown:
        print(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    return max([_run(name, options) for name in wanted], default=0)


def _run(name: str, options: list[str]) -> int:
    print(f"\n== {name}", flush=True)
    try:
        result = importlib.import_module(f"bench.{name}").main(options)
    except NoCollection as error:
        print(f"{name} was left out: {error}", file=sys.stderr)
        return 1
    target = FOLDER / "results" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    result = {"benchmark": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), **result}
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
