"""Error responses of the API, in the format of drf-standardized-errors.

{"type": "client_error", "errors": [{"code": "conflict", "detail": "…", "attr": null}]}. Errors of the domain become
status 409 with their own message: the request is well-formed, but not possible in the current state.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.openapi_serializers import ClientErrorEnum
from rest_framework import exceptions, serializers, status

from common.artifacts import Damaged
from curation.core.errors import CurationError
from tuning.cycles.training_cycle import CycleInProgress


class Conflict(exceptions.APIException):
    """The request is not possible in the current state."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class TandemExceptionHandler(ExceptionHandler):
    """Convert errors of the domain, and keep the messages of 403 and 404."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, CurationError | CycleInProgress | Damaged):
            return Conflict(str(exc))
        if isinstance(exc, PermissionDenied) and exc.args:
            return exceptions.PermissionDenied(str(exc))
        if isinstance(exc, Http404) and exc.args:
            return exceptions.NotFound(str(exc))
        return super().convert_known_exceptions(exc)


class ConflictErrorSerializer(serializers.Serializer[Conflict]):
    """One error of a 409 response, for the OpenAPI schema."""

    code = serializers.ChoiceField(choices=[("conflict", "conflict")])
    detail = serializers.CharField()
    attr = serializers.CharField(allow_null=True)


class ConflictResponseSerializer(serializers.Serializer[Conflict]):
    """A 409 response, for the OpenAPI schema."""

    type = serializers.ChoiceField(choices=ClientErrorEnum.choices)
    errors = ConflictErrorSerializer(many=True)  # type: ignore[assignment]  # also the name of a property
