"""Template tags that turn passages, Markdown and grade buttons into HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from html import escape

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from curation.core.grades import GradeChoice
from curation.core.markdown import render_markdown
from curation.engine.text.excerpts import Piece

register = template.Library()
register.filter("markdown", render_markdown)


@register.filter
def prose(pieces: Iterable[Piece]) -> SafeString:
    """Return the pieces of a passage as HTML, with matched words marked. The text itself stays unchanged."""
    return mark_safe("".join(_marked(piece) for piece in pieces))


def _marked(piece: Piece) -> str:
    # An HTML parser turns \r into \n. Evidence spans count characters, so the \r has to survive.
    text = escape(piece.text).replace("\r", "&#13;")
    return f"<mark>{text}</mark>" if piece.is_match else text


@register.simple_tag
def grade_buttons(choices: Iterable[GradeChoice], chosen: str) -> SafeString:
    """Return the grade buttons of one passage. Equal buttons are rendered once and cached."""
    return _grade_buttons(tuple(choices), chosen)


@lru_cache(maxsize=500)
def _grade_buttons(choices: tuple[GradeChoice, ...], chosen: str) -> SafeString:
    return render_to_string("curation/annotation/_grades.html", {"choices": choices, "chosen": chosen})


@register.filter
def as_json(value: object) -> str:
    """Return compact JSON for a data attribute; the template escapes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
