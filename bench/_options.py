"""Options of a benchmark: `--name=value`."""

from __future__ import annotations

from collections.abc import Sequence


def parse(arguments: Sequence[str]) -> dict[str, str]:
    """Return name → value of the options. Raises SystemExit for an option without a value."""
    options = {}
    for argument in arguments:
        name, separator, value = argument.removeprefix("--").partition("=")
        if not separator:
            raise SystemExit(f"{argument}: an option is given as --name=value")
        options[name] = value
    return options
