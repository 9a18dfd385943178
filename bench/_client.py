"""HTTP client that acts as one curator's browser: cookies, CSRF token, keep-alive, and retries after a disconnect."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from typing import Any, NamedTuple

from bench._environment import Person

MAX_ATTEMPTS = 5
_PASSAGE = re.compile(rb'data-passage="(\d+)"')


class Response(NamedTuple):
    """A response. url: its address, or the redirect target. seconds: from the first attempt to the last byte."""

    status: int
    body: bytes
    url: str
    seconds: float

    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    def passage_ids(self) -> list[int]:
        """Return the passages of a judge page in page order."""
        return list(dict.fromkeys(int(pk) for pk in _PASSAGE.findall(self.body)))


class Browser:
    """The browser of one signed-in person. Not safe for two threads at once."""

    def __init__(self, port: int, person: Person) -> None:
        self.port, self.person = port, person
        self._csrf_token = ""
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, *, is_region: bool = False) -> Response:
        """Get a page and follow one redirect. is_region: request only the region that the page's script replaces."""
        started = time.perf_counter()
        response = self._request("GET", path, None, {"HX-Request": "true"} if is_region else {})
        if response.status == 302:
            response = self._request("GET", response.url, None, {})
        return response._replace(seconds=time.perf_counter() - started)

    def post(self, path: str, body: dict[str, Any], key: str = "") -> Response:
        """Post JSON. key: the idempotency key."""
        self._get_csrf_token()
        return self._request("POST", path, body, {"Idempotency-Key": key} if key else {})

    def post_and_disconnect(self, path: str, body: dict[str, Any], key: str) -> None:
        """Post, and close the connection before the response can be read."""
        self._get_csrf_token()
        self._send("POST", path, body, {"Idempotency-Key": key})
        self.close()

    def post_in_two_tabs(self, path: str, body: dict[str, Any], keys: tuple[str, str]) -> tuple[Response, Response]:
        """Post the same body from two tabs at the same time."""
        self._get_csrf_token()
        other = Browser(self.port, self.person)
        other._csrf_token = self._csrf_token
        responses: list[Response] = []
        tab = threading.Thread(target=lambda: responses.append(other.post(path, body, keys[1])))
        tab.start()
        first = self.post(path, body, keys[0])
        tab.join()
        other.close()
        return first, responses[0]

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _get_csrf_token(self) -> None:
        if not self._csrf_token:
            self.get("/")

    def _request(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Response:
        started = time.perf_counter()
        for attempts_left in reversed(range(MAX_ATTEMPTS)):
            try:
                response = self._send(method, path, body, headers).getresponse()
                content = response.read()
                break
            except (http.client.HTTPException, OSError):  # the server closed the idle connection, or it was cut
                self.close()
                if not attempts_left:
                    raise
        self._store_csrf_token(response)
        return Response(response.status, content, response.getheader("Location") or path, time.perf_counter() - started)

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        cookies = f"sessionid={self.person.session}" + (f"; csrftoken={self._csrf_token}" if self._csrf_token else "")
        headers = {"Cookie": cookies, "Accept-Encoding": "identity", **headers}
        if body is not None:
            headers |= {"Content-Type": "application/json", "X-CSRFToken": self._csrf_token}
            headers["X-Owner"] = str(self.person.pk)
        self._connection.request(method, path, json.dumps(body).encode() if body is not None else None, headers)
        return self._connection

    def _store_csrf_token(self, response: http.client.HTTPResponse) -> None:
        for line in response.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            if name == "csrftoken":
                self._csrf_token = value
