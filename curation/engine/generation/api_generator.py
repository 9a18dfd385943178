"""A generator behind an OpenAI-compatible server (vLLM, llama.cpp, Ollama, a hosted service).

Generation uses /chat/completions. Scoring needs the log-probabilities of text that is sent, which only /completions
with `echo` returns, and only on some servers: `can_score` tests it once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curation.engine.generation import log_likelihood

if TYPE_CHECKING:
    import httpx2

Progress = Callable[[int, int], None]

TIMEOUT_SECONDS = 120  # of one request from its start to its last byte
MAX_ANSWER_BYTES = 16 * 1024 * 1024
PARALLEL_REQUESTS = 4
SCORE_BATCH_SIZE = 32
# The server's tokenizer is not known; a token of English text is about four characters, of Chinese about one.
_CHARS_PER_TOKEN = 4
PROBE_TEXT = "One two"
_UNSUPPORTED_STATUS = {400, 404, 405, 422, 501}  # not the codes of a server that is busy, broken or refuses access


class ApiError(Exception):
    """The server did not answer, refused, or sent an unexpected answer; the message says which."""


class NotSupported(ApiError):
    """The server does not support this request: a second try would fail too."""


class ApiGenerator:
    """A generator behind a server. Safe to share between threads; it sends a few requests at a time.

    url: the address up to and with `/v1`. model: its name on the server; empty for the first one the server lists.
    """

    def __init__(self, url: str, key: str = "", model: str = "") -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._model = model
        self._can_score: bool | None = None
        self._lock = threading.Lock()
        self._client = self._open_client()

    @property
    def model(self) -> str:
        """The name of the model on the server."""
        with self._lock:
            if not self._model:
                listed = self._call("/models", None).get("data") or []
                if not listed:
                    raise ApiError(f"{self.url} lists no model: name one")
                self._model = str(listed[0]["id"])
            return self._model

    @property
    def can_score(self) -> bool:
        """Whether the server returns the log-probabilities of text that is sent. Raises ApiError."""
        model = self.model
        with self._lock:
            if self._can_score is None:
                try:
                    answer = self._call("/completions", _echo_request(model, PROBE_TEXT))
                    self._can_score = len(_log_probs(answer, PROBE_TEXT, 3)) > 0
                except NotSupported:
                    self._can_score = False
            return self._can_score

    def generate(self, prompts: Sequence[str], max_tokens: int = 48, on_progress: Progress | None = None) -> list[str]:
        """Return the server's answers at temperature 0, in the order of the prompts. Raises ApiError."""
        return self._each(partial(self._answer, self.model, max_tokens), prompts, on_progress)

    def score(self, pairs: Sequence[tuple[str, str]], on_progress: Progress | None = None) -> NDArray[np.float64]:
        """Return the (n,) mean log-likelihood per token of each answer after its prompt. Raises ApiError.

        The prompt is sent as plain text, without the server's chat template: compare such scores only with each other.
        """
        return log_likelihood.collect_scores(self.score_batches(pairs), len(pairs), on_progress)

    def score_batches(self, pairs: Sequence[tuple[str, str]]) -> Iterator[log_likelihood.ScoredBatch]:
        """Yield the same scores batch by batch, as they come. Raises ApiError."""
        if not self.can_score:
            raise ApiError(f"{self.url} does not return the log-probabilities of given text")
        for start in range(0, len(pairs), SCORE_BATCH_SIZE):
            batch = pairs[start : start + SCORE_BATCH_SIZE]
            values = self._each(partial(self._score, self.model), batch, None)
            yield log_likelihood.ScoredBatch(list(range(start, start + len(batch))), values)

    def count_tokens(self, text: str) -> int:
        """Return an estimate of a text's tokens, rather too many than too few."""
        ascii_chars = sum(character.isascii() for character in text)
        return len(text) - ascii_chars + -(-ascii_chars // _CHARS_PER_TOKEN)

    def _answer(self, model: str, max_tokens: int, prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0}
        answer = self._call("/chat/completions", body)
        try:
            return str(answer["choices"][0]["message"]["content"] or "").strip()
        except (KeyError, IndexError, TypeError) as error:
            raise ApiError(f"{self.url} sent an answer without a message") from error

    def _score(self, model: str, pair: tuple[str, str]) -> float:
        prompt = pair[0] + "\nAnswer:"
        text = f"{prompt} {pair[1].strip()}"
        values = _log_probs(self._call("/completions", _echo_request(model, text)), text, len(prompt))
        if not values:
            raise ApiError(f"{self.url} returned no log-probability for an answer")
        return sum(values) / len(values)

    def _each(self, request: Callable[[Any], Any], items: Sequence[Any], on_progress: Progress | None) -> list[Any]:
        answers = []
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            for answer in pool.map(request, items):
                answers.append(answer)
                if on_progress:
                    on_progress(len(answers), len(items))
        return answers

    def _open_client(self) -> httpx2.Client:
        """Return the client for all requests. It follows no redirect: the key is for this server alone."""
        import httpx2

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return httpx2.Client(headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=False)

    def _call(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        import httpx2

        url, method = self.url + path, "GET" if body is None else "POST"
        try:
            with self._client.stream(method, url, json=body) as response:
                raw = _read(response, time.monotonic() + TIMEOUT_SECONDS)
            answer = json.loads(raw) if response.is_success else None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
            raise ApiError(f"{url} did not answer: {error}") from error
        if not response.is_success:
            kind = NotSupported if response.status_code in _UNSUPPORTED_STATUS else ApiError
            detail = raw[:300].decode(errors="replace").strip()
            raise kind(f"{url} answered {response.status_code}: {detail}")
        if not isinstance(answer, dict):
            raise ApiError(f"{url} answered no object")
        return answer


def _read(response: httpx2.Response, deadline: float) -> bytes:
    """Return the body. Raises ValueError for one that is too large, or that is still coming at the deadline."""
    raw = bytearray()
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > MAX_ANSWER_BYTES:
            raise ValueError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        if time.monotonic() > deadline:
            raise ValueError(f"the answer took more than {TIMEOUT_SECONDS} s")
    return bytes(raw)


def _echo_request(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}


def _log_probs(answer: dict[str, Any], text: str, start: int) -> list[float]:
    """Return the log-probabilities of the tokens of `text`, which was sent, from character `start` on.

    Empty where the offsets are not those of the text: a server that counts a token of its own before the text would
    make every answer begin at the wrong place.
    """
    try:
        log_probs = answer["choices"][0]["logprobs"] or {}
        offsets, values = log_probs["text_offset"], log_probs["token_logprobs"]
        tokens = log_probs.get("tokens") or [""] * len(offsets)
        rows = [row for row in zip(offsets, tokens, values, strict=True) if row[0] < len(text)]
    except (KeyError, IndexError, TypeError, ValueError):
        return []
    if not all(_is_at(text, offset, token) for offset, token, _value in rows):
        return []
    return [float(value) for offset, _token, value in rows if value is not None and offset >= start]


def _is_at(text: str, offset: int, token: str) -> bool:
    """Return whether the token stands in the text at its offset; True for a part of a character."""
    is_part = not token or "\ufffd" in token or token.startswith("bytes:")
    return is_part or (offset >= 0 and text.startswith(token, offset))
