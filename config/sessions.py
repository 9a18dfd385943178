"""Django's sessions in the database; who a request is from is the first thing it asks."""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from config.compiled import Compiled

_running = Compiled(lambda key: Session.objects.filter(session_key=key, expire_date__gt=Now()))


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        found = _running.first(self.session_key or "")
        if found is None:
            self._session_key = None
        return found
