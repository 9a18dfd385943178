"""Django's users and passwords; the second thing a request asks is whose session it has."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User

from config.compiled import Compiled

_by_id = Compiled(lambda pk: User.objects.filter(pk=pk))


class Backend(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        found = _by_id.first(user_id)
        return found if found is not None and self.user_can_authenticate(found) else None
