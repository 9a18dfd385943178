"""The page for an unhandled exception, with an id that leads to the exception in the log."""

from __future__ import annotations

import secrets
import sys

from django.http import HttpRequest, HttpResponseServerError
from django.template import loader

ERROR_ID_BYTES = 4


def server_error(request: HttpRequest) -> HttpResponseServerError:
    """Render 500.html with the id of the error, and add the id to the exception as a note.

    Django logs the exception at level ERROR after this handler, with the note below the traceback. The page is
    rendered without the request: no context processor reads the database, which may be the cause.
    """
    error_id = secrets.token_hex(ERROR_ID_BYTES)
    exception = sys.exception()
    if exception is not None:
        exception.add_note(f"Error ID {error_id}")
    return HttpResponseServerError(loader.render_to_string("500.html", {"error_id": error_id}))
