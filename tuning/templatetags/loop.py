"""What pages of releases and cycles say of the loop."""

from __future__ import annotations

from django import template

from common.messages import StrOrMessage
from tuning.evaluation import reranker_tradeoff
from tuning.models import Cycle

register = template.Library()


@register.filter
def without_reranker(cycle: Cycle) -> StrOrMessage:
    """Why the cycle's challenger has no reranker; empty where it has one, or none was asked for."""
    return reranker_tradeoff.without_reranker(cycle)
