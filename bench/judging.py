"""The workbench under many hands: the race for slots, the speed before a long queue, and the page in Chromium.

`--parts=race,sqlite,speed` says which; `--curators=50 --queries=2000` are the race's, `--assignments=1000000
--seconds=60` the speed's, `--seed=0` is everyone's. PostgreSQL is DATABASE_URL's server, by default the one on this
host; each part has a database of its own there, dropped at the end. The targets stand beside the figures.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

from bench import _stage
from bench._tables import show

PARTS = ("race", "sqlite", "speed")
DEFAULT_SERVER = "postgres://postgres@127.0.0.1:5432/postgres"
SQLITE_CURATORS = 8
TARGET_MS = {"claim-next": 100, "save-grade": 50, "submit": 150}
NEXT_MS, WIRE_KB, SHIFT = 50, 150, 0.001
NOTHING = (
    *("slots_filled_twice", "grades_lost", "submits_lost", "acts_done_twice", "had_twice"),
    *("queries_starved", "queries_with_too_many", "queries_without_an_opinion"),
)

Row = dict[str, Any]


def main(arguments: Sequence[str]) -> dict[str, Any]:
    signal.signal(signal.SIGTERM, _stage.interrupt)
    given = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    parts = given.get("parts", ",".join(PARTS)).split(",")
    curators, seed = int(given.get("curators", 50)), int(given.get("seed", 0))
    queries = int(given.get("queries", 2000))
    server = os.environ.get("DATABASE_URL", DEFAULT_SERVER)
    result: dict[str, Any] = {"cores": os.cpu_count(), "web_workers": _stage.WEB_WORKERS, "load": os.getloadavg()}
    if "race" in parts:
        with _stage.postgresql(server) as url:
            result["race"] = _stage.play("bench._race", url, curators, queries, seed)
        show(list(_race_rows(result["race"], "PostgreSQL")))
    if "sqlite" in parts:
        result["sqlite"] = _stage.play("bench._race", "", min(curators, SQLITE_CURATORS), queries, seed)
        show(list(_race_rows(result["sqlite"], "SQLite")))
    if "speed" in parts:
        assignments, seconds = int(given.get("assignments", 1_000_000)), int(given.get("seconds", 60))
        with _stage.postgresql(server) as url:
            result["speed"] = _stage.play("bench._speed", url, assignments, curators, seconds, seed, _chromium())
        show(list(_speed_rows(result["speed"])))
    return result


def _chromium() -> str:
    from tests.browser.chromium import NoChromium, find

    try:
        return find()
    except NoChromium as error:
        print(f"without the browser's part: {error}", flush=True)
        return ""


def _race_rows(found: Row, database: str) -> Iterator[Row]:
    size = f"{found['curators']} curators, {found['queries']} queries, overlap {found['overlap']}, {database}"
    print(f"\n{size}: {found['seconds']:.0f} s, {found['requests_per_second']:.0f} requests/s; {found['did']}")
    yield _row("queries at exactly the overlap", found["queries_at_overlap"], found["queries"], exactly=True)
    for name in NOTHING:
        yield _row(name.replace("_", " "), found[name], 0)
    yield _row("clients that were told something wrong", len(found["wrong"]), 0)
    for name in ("acknowledged_grades", "acknowledged_submits", "lapsed", "extras"):
        yield _row(name.replace("_", " "), found[name], None)


def _speed_rows(found: Row) -> Iterator[Row]:
    print(
        f"\n{found['assignments']} assignments, {found['curators']} curators acting every two seconds, ms at the client"
    )
    for act, times in found["acts"].items():
        target = TARGET_MS.get(act)
        yield _row(f"{act}, p95 of {times['times']} (p50 {times['p50']:.0f})", times["p95"], target)
    for group, cost in found["cpu_ms_per_request"].items():
        yield _row(f"CPU of the {group}, ms a request", cost, None)
    for act, cost in found["cpu_ms_per_act"].items():
        yield _row(f"CPU of the web server alone: {act}, ms", cost, None)
    few, many = found["statements_among"].values()
    for act in few:
        yield _row(f"statements: {act}", many[act], few[act], exactly=True)
    yield _row("clients that were told something wrong", len(found["wrong"]), 0)
    page = found["chromium"]
    if page:
        yield _row(f"Enter to the next painted, p95 (p50 {page['next_ms_p50']:.0f}), ms", page["next_ms_p95"], NEXT_MS)
        yield _row("the page over the wire, kB", page["wire_kb_first"], WIRE_KB)
        yield _row("one more question over the wire, kB", page["wire_kb_per_question"], None)
        yield _row("layout shift", page["layout_shift"] + page["layout_shift_after_keys"], SHIFT)


def _row(what: str, measured: float, target: float | None, *, exactly: bool = False) -> Row:
    met = "" if target is None else "yes" if (measured == target if exactly else measured <= target) else "NO"
    sign = "" if target is None else "= " if exactly or target == 0 else "≤ "
    return {"what": what, "measured": measured, "target": "" if target is None else f"{sign}{target}", "met": met}
