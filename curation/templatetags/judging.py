"""How passages and people's markdown become HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING

import nh3
from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from curation.engine.text.excerpts import Piece

if TYPE_CHECKING:
    from curation.annotation.judge_page import Choice

register = template.Library()

_TAGS = {
    *("p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "table", "thead", "tbody", "tr", "th", "td"),
}


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])


@register.filter
@lru_cache(maxsize=200)
def markdown(text: str) -> SafeString:
    """People's markdown as HTML that can do no harm: no raw HTML, no style, no script, no images."""
    return mark_safe(nh3.clean(_markdown().render(text or ""), tags=_TAGS, attributes={"a": {"href"}}))


@register.filter
def prose(pieces: Iterable[Piece]) -> SafeString:
    """Pieces of a passage, matched words marked; the text is the passage's own, character by character."""
    return mark_safe("".join(_marked(piece) for piece in pieces))


def _marked(piece: Piece) -> str:
    text = escape(piece.text).replace("\r", "&#13;")  # a parser would turn it into \n and move what follows
    return f"<mark>{text}</mark>" if piece.is_match else text


@register.simple_tag
def grade_buttons(choices: Iterable[Choice], chosen: str) -> SafeString:
    """The buttons of one passage, as most of the page's others have them."""
    return _buttons(tuple(choices), chosen)


@lru_cache(maxsize=500)
def _buttons(choices: tuple[Choice, ...], chosen: str) -> SafeString:
    return render_to_string("curation/annotation/_grades.html", {"choices": choices, "chosen": chosen})


@register.filter
def as_json(value: object) -> str:
    """Compact JSON for a data attribute; the template escapes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
