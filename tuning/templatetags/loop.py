"""Template filters about training cycles."""

from __future__ import annotations

from django import template

from common.messages import StrOrMessage
from tuning.evaluation import reranker_tradeoff
from tuning.models import Cycle

register = template.Library()


@register.filter
def without_reranker(cycle: Cycle) -> StrOrMessage:
    """Return why the cycle's challenger has no reranker; empty where it has one, or where none is trained."""
    return reranker_tradeoff.reason_without_reranker(cycle)
