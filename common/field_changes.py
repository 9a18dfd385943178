"""Changes of a row's fields: what was and what is now, for the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models


def set_changed_fields(row: models.Model, values: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Set the fields of the row that differ from `values`, without saving it.

    Return {"was": {field: value before}, "now": {field: value after}} of the fields that differ.
    """
    was = {name: getattr(row, name) for name in values if getattr(row, name) != values[name]}
    now = {name: values[name] for name in was}
    for name, value in now.items():
        setattr(row, name, value)
    return {"was": was, "now": now}
