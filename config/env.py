"""Reading settings from the environment, failing loudly in one clear line."""

import os
import sys
from typing import NoReturn

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def stop(message: str) -> NoReturn:
    """End the process with one line on standard error: a wrong setting never starts half an app."""
    sys.stderr.write(f"tandem: {message}\n")
    raise SystemExit(2)


def env_str(name: str, default: str | None = None) -> str:
    """The variable's value; `default` when unset or empty; stops when there is neither."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        stop(f"{name} is not set")
    return default


def env_bool(name: str, default: bool) -> bool:
    """1/true/yes/on or 0/false/no/off in any case; anything else stops."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    value = raw.strip().lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    stop(f"{name} must be one of 1, true, yes, on, 0, false, no, off; it is {raw!r}")


def env_int(name: str, default: int, least: int = 0) -> int:
    """A whole number of at least `least`; anything else stops."""
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError:
        stop(f"{name} must be a whole number; it is {raw!r}")
    if value < least:
        stop(f"{name} must be at least {least}; it is {value}")
    return value


def env_list(name: str, default: list[str]) -> list[str]:
    """Comma-separated values, stripped, empties dropped."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    return [part.strip() for part in raw.split(",") if part.strip()]
