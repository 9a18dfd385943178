"""Template tags that format times, numbers, intervals and labels."""

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
    """Return how long ago a time is, with the exact time in the title. boot.js keeps the text up to date."""
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
def decimals(value: float | None, count: int = 3) -> str:
    """Return a number with `count` decimals; a dash for no number."""
    if not isinstance(value, (int, float)):
        return "–"
    return f"{value:.{count}f}".replace("-", MINUS)


@register.filter
def signed(value: float | None, count: int = 3) -> str:
    """Return a difference with its sign, as +0.034 or −0.012; a dash for no number."""
    if not isinstance(value, (int, float)):
        return "–"
    return f"{value:+.{count}f}".replace("-", MINUS)


@register.filter
def p_value(p: float | None) -> str:
    """Return a p value with three decimals, or < 0.001."""
    return "< 0.001" if isinstance(p, (int, float)) and p < 0.001 else decimals(p)


@register.filter
def percent(value: float | None) -> str:
    """Return a fraction as a whole percentage; a dash for nothing."""
    return "–" if value is None else f"{value:.0%}"


@register.filter
def thousands(count: int) -> str:
    """Return a count with thousands separators, as 12,345, the same in both languages."""
    return f"{count:,}"


@register.filter
def fraction(done: int, total: int) -> float:
    """Return done / total in [0, 1]; 0 when the total is 0."""
    return min(1.0, done / total) if total else 0.0


@register.filter
def duration(seconds: float | None) -> str:
    """Return seconds as 12 s, 3 min 20 s or 2 h 5 min."""
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
def event_label(event: Any) -> str:
    """Return what happened, without the actor, in the reader's language."""
    return core_labels.describe_event(event)


@register.filter
def reason(row: Any) -> str:
    """Return the reason of an assignment or a review, in the reader's language."""
    return core_labels.describe_reason(row)


@register.filter
def metric_label(name: str) -> str:
    """Return the label of a metric, as nDCG@10."""
    return core_labels.metric_label(name)


@register.filter
def grade_label(project: Any, grade: float | None) -> str:
    """Return the project's label of a grade; a consensus between two grades gets the label of the nearer one."""
    if grade is None:
        return _("can't tell")
    labels = {row["grade"]: row["label"] for row in project.grades}
    label = labels.get(nearest_grade(grade))
    return str(grade) if label is None else _(str(label))  # the default labels are translated


@register.filter
def get_item(mapping: dict[Any, Any] | None, key: Any) -> Any:
    """Return the value of a key that is a template variable; None when it is missing."""
    return (mapping or {}).get(key)


@register.filter
def capped_count(count: int, cap: int = 999) -> str:
    """Return a count that was cut at cap + 1; above the cap as 999+."""
    return f"{cap}+" if count > cap else str(count)


@register.inclusion_tag("_interval.html")
def interval(measure: dict[str, Any], span: float) -> dict[str, Any]:
    """Draw a confidence interval as a line with a dot, on an axis from −span to +span with 0 in the middle.

    measure: {difference, low, high}, as an evaluation stores it.
    """
    low, middle, high = (measure.get(key) for key in ("low", "difference", "high"))
    if low is None or middle is None or high is None:
        return {"is_known": False}
    half = PLOT_WIDTH / 2

    def x(value: float) -> str:
        clipped = max(-span, min(span, value))
        return f"{half + clipped / span * (half - PLOT_MARGIN):.1f}"

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
