"""A curator's browser without the screen: cookies, CSRF, kept connections, and retries after they are cut."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from typing import Any, NamedTuple

from bench._stage import Person

TRIES = 5
_PASSAGE = re.compile(rb'data-passage="(\d+)"')


class Answer(NamedTuple):
    """What came back. address: where it came from, or where it sends. seconds: from the first try to the last byte."""

    status: int
    body: bytes
    address: str
    seconds: float

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def passages(self) -> list[int]:
        """The passages of a judge page, as they stand there."""
        return list(dict.fromkeys(int(pk) for pk in _PASSAGE.findall(self.body)))


class Browser:
    """One signed-in person's; not for two threads at a time."""

    def __init__(self, port: int, person: Person) -> None:
        self.port, self.person = port, person
        self._token = ""
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, *, is_region: bool = False) -> Answer:
        """A page; the way to another is followed once. is_region: as the page's own script asks for it."""
        began = time.perf_counter()
        answer = self._ask("GET", path, None, {"HX-Request": "true"} if is_region else {})
        if answer.status == 302:
            answer = self._ask("GET", answer.address, None, {})
        return answer._replace(seconds=time.perf_counter() - began)

    def post(self, path: str, body: dict[str, Any], key: str = "") -> Answer:
        if not self._token:
            self.get("/")
        return self._ask("POST", path, body, {"Idempotency-Key": key} if key else {})

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def post_unheard(self, path: str, body: dict[str, Any], key: str) -> None:
        """Send, and cut the connection before the answer can be read."""
        if not self._token:
            self.get("/")
        self._send("POST", path, body, {"Idempotency-Key": key})
        self.hang_up()

    def post_twice(self, path: str, body: dict[str, Any], keys: tuple[str, str]) -> tuple[Answer, Answer]:
        """The same from two tabs at one time."""
        other = Browser(self.port, self.person)
        found: list[Answer] = []
        tab = threading.Thread(target=lambda: found.append(other.post(path, body, keys[1])))
        if not self._token:
            self.get("/")
        other._token = self._token
        tab.start()
        first = self.post(path, body, keys[0])
        tab.join()
        other.hang_up()
        return first, found[0]

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Answer:
        began = time.perf_counter()
        for left in reversed(range(TRIES)):
            try:
                response = self._send(method, path, body, headers).getresponse()
                content = response.read()
                break
            except (http.client.HTTPException, OSError):  # a kept connection was closed meanwhile, or cut
                self.hang_up()
                if not left:
                    raise
        self._keep_token(response)
        return Answer(response.status, content, response.getheader("Location") or path, time.perf_counter() - began)

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        cookies = f"sessionid={self.person.session}" + (f"; csrftoken={self._token}" if self._token else "")
        headers = {"Cookie": cookies, "Accept-Encoding": "identity", **headers}
        if body is not None:
            headers |= {"Content-Type": "application/json", "X-CSRFToken": self._token}
            headers["X-Owner"] = str(self.person.pk)
        self._connection.request(method, path, json.dumps(body).encode() if body is not None else None, headers)
        return self._connection

    def _keep_token(self, response: http.client.HTTPResponse) -> None:
        for line in response.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            if name == "csrftoken":
                self._token = value
