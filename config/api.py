"""What every part of the API shares: how an act's refusal becomes an answer."""

from __future__ import annotations

from typing import Any

from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import exception_handler as default_handler

from common.artifacts import Damaged
from curation.core.errors import CurationError
from tuning.cycles.training_cycle import CycleInProgress


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """409 with the act's own sentence for what cannot be done as things stand; DRF's answer for the rest."""
    if isinstance(error, CurationError | CycleInProgress | Damaged):
        return Response({"detail": str(error)}, status=status.HTTP_409_CONFLICT)
    return default_handler(error, context)
