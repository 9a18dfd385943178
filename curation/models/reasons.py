"""Column of stored reasons, shared by assignments and reviews."""

from __future__ import annotations

from typing import Any

from django.db import models


def reasons_field(help_text: Any) -> models.JSONField[Any, Any]:
    """Return a column of [{"code", "args"}]. Pages render the codes in the reader's language (core.labels)."""
    empty = models.Value([], models.JSONField())
    return models.JSONField(default=list, db_default=empty, blank=True, help_text=help_text)
