"""The deployed prompt, made in one place: serving, scoring and tuning all see the same words.

Passages come before the question, so that every question about a passage shares the beginning of its
prompt, and scoring computes that beginning once. Only passages are ever cut: a prompt that lost its
question, or an example that lost its answer, teaches the wrong thing in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

PASSAGES, QUESTION = "{passages}", "{question}"

DEFAULT_PROMPT = "{passages}\n\nAnswer this question from the text above, as briefly as you can: {question}"
DEFAULT_REFUSAL = "The text does not say."

# Tokens of a whole prompt, question and template included. What does not fit is cut from the passages.
DEFAULT_BUDGET = 768

# Passages in the prompt of a new project. The small generator that installs as a package answers better from the
# best passage alone (XQuAD English, 48 held-out questions, untuned: F1 0.12 against 0.11 with three) and in a
# quarter of the time; a large one elsewhere makes use of more.
DEFAULT_PASSAGES = 1
DEFAULT_API_PASSAGES = 5

NO_PASSAGE = "(no text)"

_SLOT = re.compile(r"\{(?:passages|question)\}")
# Where a text may end: after a word, or after any character of a script that is written without spaces.
_STOP = re.compile(r"[^\s\u2e80-\u9fff\uf900-\ufaff]+|[\u2e80-\u9fff\uf900-\ufaff]")

CountTokens = Callable[[str], int]


class BadTemplate(Exception):
    """A prompt template without exactly one place for the passages and one for the question."""


def check_template(template: str) -> None:
    """Raises BadTemplate unless {passages} and {question} each stand in the template exactly once."""
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
    """The deployed prompt: the template with these passages, best first, and this question.

    Cut to `budget` tokens by shortening passages, the longest first; what is left of each ends after a
    whole word. Question and template are never cut, so a very long question leaves the passages empty and
    may pass the budget. No passage at all gives the prompt of an answer from memory.
    Raises BadTemplate.
    """
    check_template(template)
    bare = _filled(template, question, "")
    kept = [passage.strip() for passage in passages if passage.strip()]
    room = budget - count_tokens(bare) - 3 * len(kept)  # a joint costs up to three tokens
    texts = cut_passages(kept, room, count_tokens)
    return _filled(template, question, "\n\n".join(texts) or NO_PASSAGE)


def cut_passages(passages: Sequence[str], room: int, count_tokens: CountTokens) -> list[str]:
    """The passages within `room` tokens together: short ones whole, long ones to an equal share; empty ones dropped."""
    counts = [count_tokens(passage) for passage in passages]
    if sum(counts) <= room:
        return list(passages)
    share = _share(counts, room)
    cut = [
        passage if count <= share else cut_text(passage, share, count_tokens)
        for passage, count in zip(passages, counts, strict=True)
    ]
    return [text for text in cut if text]


def cut_text(text: str, limit: int, count_tokens: CountTokens) -> str:
    """The longest beginning of `text` that ends after a word and has at most `limit` tokens; may be empty."""
    ends = [match.end() for match in _STOP.finditer(text)]
    low, high = 0, len(ends)  # the first `low` words fit
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(text[: ends[middle - 1]]) <= limit:
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]] if low else ""


def _share(counts: Sequence[int], room: int) -> int:
    """The tokens each passage may have so that together they fill the room: what short ones leave goes to long ones."""
    left, share = max(room, 0), 0
    for place, count in enumerate(sorted(counts)):
        share = left // (len(counts) - place)
        if count > share:
            break
        left -= count
    return share


def _filled(template: str, question: str, passages: str) -> str:
    """One pass over the template, so that braces inside a passage or a question stay what they are."""
    values = {PASSAGES: passages, QUESTION: question.strip()}
    return _SLOT.sub(lambda slot: values[slot.group()], template)
