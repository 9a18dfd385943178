"""What every part of the API shares."""

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler as default_handler


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's own handler, for now; an act's state errors become 409 here and nowhere else."""
    return default_handler(error, context)
