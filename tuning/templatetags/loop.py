"""What pages of releases and turns say of the loop."""

from __future__ import annotations

from django import template

from common.messages import Said
from tuning.evaluation import reranker_tradeoff
from tuning.models import Turn

register = template.Library()


@register.filter
def without_reranker(turn: Turn) -> Said:
    """Why the turn's challenger has no reranker; empty where it has one, or none was asked for."""
    return reranker_tradeoff.without_reranker(turn)
