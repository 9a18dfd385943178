"""CPU time of the web server for each request of the judge page: the WSGI application, called without a socket.

One thread's CPU time, so that the database and the clients are not in it. It grows when other work runs on the machine:
compare only figures that were measured in alternation.
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

from bench._environment import Person
from curation.models import Assignment

PEOPLE = 10
CSRF_TOKEN = "t" * 32


class RequestMeter:
    """Sends requests of one person after the other, and keeps the milliseconds of each action."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, list[float]] = defaultdict(list)
        self._application: Any = get_wsgi_application()
        self._factory = RequestFactory(SERVER_NAME="localhost")

    def request(self, action: str, person: Person, url: str, body: dict[str, Any] | None = None) -> bytes:
        """Return the body of the response. body: JSON to post; None: get the page's region."""
        cookies = f"{settings.SESSION_COOKIE_NAME}={person.session}; {settings.CSRF_COOKIE_NAME}={CSRF_TOKEN}"
        headers = {"Cookie": cookies, "Accept-Encoding": "gzip"}
        if body is None:
            request = self._factory.get(url, headers=headers | {"HX-Request": "true"})
        else:
            headers |= {"X-CSRFToken": CSRF_TOKEN, "X-Owner": str(person.pk), "Idempotency-Key": uuid.uuid4().hex}
            request = self._factory.post(url, json.dumps(body), content_type="application/json", headers=headers)
        statuses: list[str] = []
        started = time.thread_time()
        response = self._application(request.environ, lambda status, _headers, _info=None: statuses.append(status))
        content = b"".join(response)
        response.close()
        self.milliseconds[action].append(1000 * (time.thread_time() - started))
        if statuses != ["200 OK"]:
            raise RuntimeError(f"{action}: {statuses} {content[:200]!r}")
        return content


def measure(slug: str, people: Sequence[Person]) -> dict[str, float]:
    """Return the median milliseconds of each action; every person judges one query."""
    meter = RequestMeter()
    for number, person in enumerate([people[-1], *people]):
        if number == 1:
            meter.milliseconds.clear()  # the first person was the warm-up: every page and statement is prepared now
        claim = json.loads(meter.request("claim-next", person, f"/p/{slug}/judge/next/", {}))
        url = claim["url"]
        meter.request("the page's region", person, url)
        for position, passage in enumerate(Assignment.objects.get(pk=claim["assignment"]).order, start=1):
            body = {"passage": passage, "grade": str(passage % 4), "position": position, "seconds": 2}
            meter.request("save-grade", person, f"{url}grades/", body)
        meter.request("claim-next", person, f"/p/{slug}/judge/next/", {"beside": claim["assignment"]})
        meter.request("submit", person, f"{url}submit/", {})
    return {action: statistics.median(times) for action, times in meter.milliseconds.items()}
