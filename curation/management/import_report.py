"""Report of the import commands."""

from __future__ import annotations

from typing import Any

from common.base_command import TandemCommand
from curation.exchange.import_result import COUNTS, ImportResult


def report_import(command: TandemCommand, result: ImportResult) -> dict[str, Any]:
    """Report the counts and notes to the person, and return the counts for --json."""
    counts = {name: getattr(result, name) for name in COUNTS}
    command.report(", ".join(f"{number:,} {name}" for name, number in counts.items()))
    for note in result.notes:
        command.report(note)
    return counts
