"""The judge page under load: concurrent claims, latency before a long queue, and the page in Chromium.

`--parts=race,sqlite,speed` selects parts. `--curators=50 --queries=2000` belong to race, `--assignments=1000000
--seconds=60` to speed, `--seed=0` to all. PostgreSQL is the server of DATABASE_URL, by default the one on this host;
each part creates a database on it and drops it at the end. The table shows the target of each figure.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

from bench import _environment
from bench._options import parse
from bench._tables import show

PARTS = "race,sqlite,speed"
DEFAULT_SERVER = "postgres://postgres@127.0.0.1:5432/postgres"
SQLITE_CURATORS = 8
TARGET_MS = {"claim-next": 100, "save-grade": 50, "submit": 150}
PAINT_MS, WIRE_KB, SHIFT = 50, 150, 0.001
MUST_BE_ZERO = (
    *("slots_filled_twice", "grades_lost", "submits_lost", "requests_applied_twice", "assigned_twice_to_one_person"),
    *("queries_below_overlap", "queries_above_overlap", "queries_still_open"),
)
COUNTS = ("acknowledged_grades", "acknowledged_submits", "expired_leases", "extras")

Row = dict[str, Any]


def main(arguments: Sequence[str]) -> dict[str, Any]:
    signal.signal(signal.SIGTERM, _environment.interrupt)
    options = parse(arguments)
    parts = options.get("parts", PARTS).split(",")
    curators, seed = int(options.get("curators", 50)), int(options.get("seed", 0))
    queries = int(options.get("queries", 2000))
    server = os.environ.get("DATABASE_URL", DEFAULT_SERVER)
    result: dict[str, Any] = {"cores": os.cpu_count(), "web_workers": _environment.WEB_WORKERS, "load": os.getloadavg()}
    if "race" in parts:
        with _environment.postgresql_database(server) as url:
            result["race"] = _environment.run_in_process("bench._race", url, curators, queries, seed)
        show(list(_race_rows(result["race"], "PostgreSQL")))
    if "sqlite" in parts:
        few = min(curators, SQLITE_CURATORS)
        result["sqlite"] = _environment.run_in_process("bench._race", "", few, queries, seed)
        show(list(_race_rows(result["sqlite"], "SQLite")))
    if "speed" in parts:
        size = int(options.get("assignments", 1_000_000)), curators, int(options.get("seconds", 60))
        with _environment.postgresql_database(server) as url:
            result["speed"] = _environment.run_in_process("bench._speed", url, *size, seed, _find_chromium())
        show(list(_speed_rows(result["speed"])))
    return result


def _find_chromium() -> str:
    from tests.browser.chromium import NoChromium, find

    try:
        return find()
    except NoChromium as error:
        print(f"the browser's part is left out: {error}", flush=True)
        return ""


def _race_rows(result: Row, database: str) -> Iterator[Row]:
    size = f"{result['curators']} curators, {result['queries']} queries, overlap {result['overlap']}, {database}"
    print(f"\n{size}: {result['seconds']:.0f} s, {result['requests_per_second']:.0f} requests/s; {result['counts']}")
    yield _row("queries at exactly the overlap", result["queries_at_overlap"], result["queries"], is_exact=True)
    for name in MUST_BE_ZERO:
        yield _row(name.replace("_", " "), result[name], 0)
    yield _row("client errors", len(result["errors"]), 0)
    for name in COUNTS:
        yield _row(name.replace("_", " "), result[name], None)


def _speed_rows(result: Row) -> Iterator[Row]:
    curators = f"{result['curators']} curators who act every two seconds"
    print(f"\n{result['assignments']} assignments, {curators}; milliseconds at the client")
    for action, times in result["actions"].items():
        target = TARGET_MS.get(action)
        yield _row(f"{action}, p95 of {times['requests']} (p50 {times['p50']:.0f})", times["p95"], target)
    for group, milliseconds in result["cpu_ms_per_request"].items():
        yield _row(f"CPU of the {group}, ms per request", milliseconds, None)
    for action, milliseconds in result["cpu_ms_per_action"].items():
        yield _row(f"CPU of the web server alone: {action}, ms", milliseconds, None)
    small_queue, large_queue = result["statements_by_queue"].values()
    for action in small_queue:
        yield _row(f"SQL statements: {action}", large_queue[action], small_queue[action], is_exact=True)
    yield _row("client errors", len(result["errors"]), 0)
    page = result["chromium"]
    if page:
        paint = f"Enter to the next query painted, p95 (p50 {page['next_ms_p50']:.0f}), ms"
        yield _row(paint, page["next_ms_p95"], PAINT_MS)
        yield _row("page over the network, kB", page["wire_kb_first"], WIRE_KB)
        yield _row("each further query over the network, kB", page["wire_kb_per_query"], None)
        yield _row("layout shift", page["layout_shift"] + page["layout_shift_after_keys"], SHIFT)


def _row(figure: str, measured: float, target: float | None, *, is_exact: bool = False) -> Row:
    is_met = target is None or (measured == target if is_exact else measured <= target)
    sign = "= " if is_exact or target == 0 else "≤ "
    return {
        "figure": figure,
        "measured": measured,
        "target": "" if target is None else f"{sign}{target}",
        "met": "" if target is None else "yes" if is_met else "NO",
    }
