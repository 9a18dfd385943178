"""Settings from environment variables; a wrong value ends the process with one line on standard error."""

import os
import sys
from typing import NoReturn

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def stop(message: str) -> NoReturn:
    """End the process with status 2 and one line on standard error: nothing starts with a wrong setting."""
    sys.stderr.write(f"tandem: {message}\n")
    raise SystemExit(2)


def env_str(name: str, default: str | None = None) -> str:
    """Return the value, or `default` where the variable is unset or empty; stop where both are missing."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        stop(f"{name} is not set")
    return default


def env_bool(name: str, default: bool) -> bool:
    """Return True for 1, true, yes, on and False for 0, false, no, off or an empty value, in any case; else stop.

    An unset variable gives `default`.
    """
    raw = os.environ.get(name)
    if raw is None:
        return default
    value = raw.strip().lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    stop(f"{name} must be one of 1, true, yes, on, 0, false, no, off; it is {raw!r}")


def env_int(name: str, default: int, minimum: int = 0) -> int:
    """Return a whole number ≥ `minimum`, or `default` where the variable is unset or empty; else stop."""
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError:
        stop(f"{name} must be a whole number; it is {raw!r}")
    if value < minimum:
        stop(f"{name} must be at least {minimum}; it is {value}")
    return value


def env_list(name: str, default: list[str]) -> list[str]:
    """Return the comma-separated values, stripped, without empty ones; `default` where the variable is unset."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    return [part.strip() for part in raw.split(",") if part.strip()]
