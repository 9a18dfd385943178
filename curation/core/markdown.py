"""Markdown that people write, as safe HTML."""

from __future__ import annotations

from functools import lru_cache

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

_TAGS = {
    *("p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "table", "thead", "tbody", "tr", "th", "td"),
}


@lru_cache(maxsize=200)
def render_markdown(text: str) -> SafeString:
    """Return the HTML of a Markdown text without raw HTML, styles, scripts and images."""
    return mark_safe(nh3.clean(_parser().render(text or ""), tags=_TAGS, attributes={"a": {"href"}}))


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
