"""What each act costs the web server in processor time: its own application, called here without a socket.

Of one thread, so that neither the database nor the clients are in it. Beside other work it is more, as every
processor time is; two figures compare only where they were taken in turns.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory

from bench._stage import Person
from curation.models import Assignment

PEOPLE = 10
TOKEN = "t" * 32


class Meter:
    """Requests of one person after the other, and the milliseconds of each act."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self._application: Any = get_wsgi_application()
        self._factory = RequestFactory(SERVER_NAME="localhost")

    def ask(self, act: str, person: Person, url: str, body: dict[str, Any] | None = None) -> bytes:
        cookies = f"{settings.SESSION_COOKIE_NAME}={person.session}; {settings.CSRF_COOKIE_NAME}={TOKEN}"
        headers = {"Cookie": cookies, "Accept-Encoding": "gzip"}
        if body is None:
            request = self._factory.get(url, headers=headers | {"HX-Request": "true"})
        else:
            headers |= {"X-CSRFToken": TOKEN, "X-Owner": str(person.pk), "Idempotency-Key": uuid.uuid4().hex}
            request = self._factory.post(url, json.dumps(body), content_type="application/json", headers=headers)
        statuses: list[str] = []
        began = time.thread_time()
        answer = self._application(request.environ, lambda status, _headers, _info=None: statuses.append(status))
        content = b"".join(answer)
        answer.close()
        self.took[act].append(1000 * (time.thread_time() - began))
        if statuses != ["200 OK"]:
            raise RuntimeError(f"{act}: {statuses} {content[:200]!r}")
        return content


def per_act(slug: str, people: Sequence[Person]) -> dict[str, float]:
    """Median milliseconds of each act; every person judges one question."""
    meter = Meter()
    for round_, person in enumerate([people[-1], *people]):
        if round_ == 1:
            meter.took.clear()  # the first has met every page and statement
        found = json.loads(meter.ask("claim-next", person, f"/p/{slug}/judge/next/", {}))
        url = found["url"]
        meter.ask("the page's region", person, url)
        for position, passage in enumerate(Assignment.objects.get(pk=found["assignment"]).order, start=1):
            body = {"passage": passage, "grade": str(passage % 4), "position": position, "seconds": 2}
            meter.ask("save-grade", person, f"{url}grades/", body)
        meter.ask("claim-next", person, f"/p/{slug}/judge/next/", {"beside": found["assignment"]})
        meter.ask("submit", person, f"{url}submit/", {})
    return {act: statistics.median(times) for act, times in meter.took.items()}
