"""The deployed prompt, built in one place: serving, scoring and training use the same text.

Passages come before the question, so that all questions about a passage share the beginning of their prompts, and
scoring computes that beginning once. Only passages are truncated: a prompt without its question, or an example
without its answer, would teach the wrong thing without any error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

PASSAGES, QUESTION = "{passages}", "{question}"

DEFAULT_PROMPT = "{passages}\n\nAnswer this question from the text above, as briefly as you can: {question}"
DEFAULT_REFUSAL = "The text does not say."

# Tokens of a whole prompt, question and template included. Passages are truncated to fit.
DEFAULT_BUDGET = 768

# Passages in the prompt of a new project. The small generator that installs as a package answers better from the
# best passage alone (XQuAD English, 48 held-out questions, untuned: F1 0.12 against 0.11 with three) and in a
# quarter of the time; a large generator behind an API makes use of more.
DEFAULT_PASSAGES = 1
DEFAULT_API_PASSAGES = 5

NO_PASSAGE = "(no text)"

_SLOT = re.compile(r"\{(?:passages|question)\}")
# Where a text may end: after a word, or after any character of a script that is written without spaces.
_STOP = re.compile(r"[^\s\u2e80-\u9fff\uf900-\ufaff]+|[\u2e80-\u9fff\uf900-\ufaff]")

CountTokens = Callable[[str], int]


class BadTemplate(Exception):
    """A prompt template that does not hold {passages} and {question} exactly once each."""


def check_template(template: str) -> None:
    """Check that {passages} and {question} each stand in the template exactly once. Raises BadTemplate."""
    for slot in (PASSAGES, QUESTION):
        if (count := template.count(slot)) != 1:
            raise BadTemplate(f"the prompt needs {slot} exactly once; it has it {count} times")


def build_prompt(
    template: str,
    question: str,
    passages: Sequence[str],
    *,
    count_tokens: CountTokens,
    budget: int = DEFAULT_BUDGET,
) -> str:
    """Return the deployed prompt: the template with these passages, best first, and this question.

    Truncated to `budget` tokens by shortening passages, the longest first, each after a whole word. A very long
    question is not truncated: it leaves no passage and may pass the budget. Raises BadTemplate.
    """
    check_template(template)
    without_passages = _filled(template, question, "")
    texts = [passage.strip() for passage in passages if passage.strip()]
    max_tokens = budget - count_tokens(without_passages) - 3 * len(texts)  # a joint costs up to three tokens
    truncated = truncate_passages(texts, max_tokens, count_tokens)
    return _filled(template, question, "\n\n".join(truncated) or NO_PASSAGE)


def truncate_passages(passages: Sequence[str], max_tokens: int, count_tokens: CountTokens) -> list[str]:
    """Return the passages within `max_tokens` together: short ones whole, long ones to an equal share.

    A passage of which nothing is left is dropped.
    """
    counts = [count_tokens(passage) for passage in passages]
    if sum(counts) <= max_tokens:
        return list(passages)
    share = _tokens_each(counts, max_tokens)
    truncated = [
        passage if count <= share else truncate_text(passage, share, count_tokens)
        for passage, count in zip(passages, counts, strict=True)
    ]
    return [text for text in truncated if text]


def truncate_text(text: str, max_tokens: int, count_tokens: CountTokens) -> str:
    """Return the longest beginning of `text` that ends after a word and has at most `max_tokens`; may be empty."""
    ends = [match.end() for match in _STOP.finditer(text)]
    low, high = 0, len(ends)  # the first `low` words fit
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(text[: ends[middle - 1]]) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]] if low else ""


def _tokens_each(counts: Sequence[int], max_tokens: int) -> int:
    """Return the largest share of tokens a passage: tokens that short passages leave go to long ones."""
    left, share = max(max_tokens, 0), 0
    for index, count in enumerate(sorted(counts)):
        share = left // (len(counts) - index)
        if count > share:
            break
        left -= count
    return share


def _filled(template: str, question: str, passages: str) -> str:
    """Fill the template in one pass, so that braces inside a passage or a question stay as they are."""
    values = {PASSAGES: passages, QUESTION: question.strip()}
    return _SLOT.sub(lambda slot: values[slot.group()], template)
