"""Passage search on the judge page: for a person who misses a passage. No scores are shown before a submit."""

from __future__ import annotations

from typing import Any

from curation.engine.text.excerpts import excerpt
from curation.models import Assignment
from curation.releases import lifecycle, retrieve
from retrieval.models import Passage

MAX_HITS = 10


def search_context(assignment: Assignment, text: str) -> dict[str, Any]:
    """Return the hits of the live release for the text, best first, each with an excerpt.

    No text gives no hits. Where no release is live, `reason` says so.
    """
    if not text:
        return {"hits": []}
    try:
        release = lifecycle.live_release(assignment.project)
    except lifecycle.NoLiveRelease as error:
        return {"hits": [], "reason": str(error)}
    passage_ids = [hit.passage_id for hit in retrieve.search(release, text, MAX_HITS)]
    passages = Passage.objects.select_related("document").in_bulk(passage_ids)
    return {"hits": [_hit(passages[pk], text, assignment) for pk in passage_ids if pk in passages]}


def _hit(passage: Passage, text: str, assignment: Assignment) -> dict[str, Any]:
    return {"passage": passage, "excerpt": excerpt(passage.text, text), "is_shown": passage.pk in assignment.order}
