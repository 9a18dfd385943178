"""How times, numbers and intervals look, everywhere alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from curation.core import labels as core_labels
from curation.engine.statistics.relevance import nearest_grade

register = template.Library()
register.filter("nearest_grade", nearest_grade)

MINUS = "\N{MINUS SIGN}"
PLOT_WIDTH, PLOT_HEIGHT, PLOT_MARGIN = 176, 20, 6


@register.simple_tag
def ago(value: datetime | None) -> SafeString | str:
    """How long ago, with the exact time in the title; boot.js keeps the words up to date."""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        local.isoformat(timespec="seconds"),
        formats.date_format(local, "DATETIME_FORMAT"),
        _("%(time)s ago") % {"time": timesince(value, depth=1)},
    )


@register.filter
def places(value: float | None, count: int = 3) -> str:
    """A number with so many decimals; a dash for nothing."""
    if not isinstance(value, (int, float)):
        return "–"
    return f"{value:.{count}f}".replace("-", MINUS)


@register.filter
def signed(value: float | None, count: int = 3) -> str:
    """A difference with its sign, as +0.034 or −0.012."""
    if not isinstance(value, (int, float)):
        return "–"
    return f"{value:+.{count}f}".replace("-", MINUS)


@register.filter
def chance(p: float | None) -> str:
    """A p value: three decimals, never 0."""
    return "< 0.001" if isinstance(p, (int, float)) and p < 0.001 else places(p)


@register.filter
def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


@register.filter
def thousands(count: int) -> str:
    """12,345: the same in both languages."""
    return f"{count:,}"


@register.filter
def share(done: int, total: int) -> float:
    """done / total in [0, 1]; 0 for nothing."""
    return min(1.0, done / total) if total else 0.0


@register.filter
def duration(seconds: float | None) -> str:
    """12 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return _("%(n)s s") % {"n": f"{seconds:.1f}"}
    whole = round(seconds)
    if whole < 60:
        return _("%(n)s s") % {"n": whole}
    if whole < 3600:
        return _("%(m)d min %(s)d s") % {"m": whole // 60, "s": whole % 60}
    return _("%(h)d h %(m)d min") % {"h": whole // 3600, "m": whole % 3600 // 60}


@register.filter
def verb(event: Any) -> str:
    """What an event says happened, in words."""
    return core_labels.of_event(event)


@register.filter
def why(row: Any) -> str:
    """Why an assignment or a review is where it is, in the reader's language."""
    return core_labels.why(row)


@register.filter
def measure_name(name: str) -> str:
    return core_labels.of_measure(name)


@register.filter
def grade_label(project: Any, grade: float | None) -> str:
    """The project's own words for a grade; a consensus between two grades takes the nearer one's."""
    if grade is None:
        return _("can't tell")
    labels = {row["grade"]: row["label"] for row in project.grades}
    label = labels.get(nearest_grade(grade))
    return str(grade) if label is None else _(str(label))  # the labels a project starts with are translated


@register.filter
def item(mapping: dict[Any, Any] | None, key: Any) -> Any:
    return (mapping or {}).get(key)


@register.filter
def waiting_count(count: int, most: int = 999) -> str:
    """A count that was cut at most + 1."""
    return f"{most}+" if count > most else str(count)


@register.inclusion_tag("_interval.html")
def interval(measure: dict[str, Any], span: float) -> dict[str, Any]:
    """An interval as a line with a dot, on an axis from −span to +span with 0 in the middle.

    measure: {difference, low, high}, as an evaluation keeps it.
    """
    low, middle, high = (measure.get(key) for key in ("low", "difference", "high"))
    if low is None or middle is None or high is None:
        return {"is_known": False}
    half = PLOT_WIDTH / 2

    def x(value: float) -> str:
        inside = max(-span, min(span, value))
        return f"{half + inside / span * (half - PLOT_MARGIN):.1f}"

    return {
        "is_known": True,
        "kind": "is-gain" if low > 0 else "is-loss" if high < 0 else "",
        "x_low": x(low),
        "x_middle": x(middle),
        "x_high": x(high),
        "width": PLOT_WIDTH,
        "height": PLOT_HEIGHT,
        "half": half,
        "label": _("%(middle)s, between %(low)s and %(high)s")
        % {"middle": signed(middle), "low": signed(low), "high": signed(high)},
    }
