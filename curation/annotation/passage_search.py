"""What a search of the corpus brings up for somebody who misses a passage; no scores, as everywhere before a submit."""

from __future__ import annotations

from typing import Any

from curation.engine.text.excerpts import excerpt
from curation.models import Assignment
from curation.releases import lifecycle, retrieve
from retrieval.models import Passage

MOST = 10


def hits_of(assignment: Assignment, text: str) -> dict[str, Any]:
    """Passages for the text in the order of the serving build, each with what matches; a reason when nothing serves."""
    if not text:
        return {"hits": []}
    try:
        release = lifecycle.serving(assignment.project)
    except lifecycle.NothingServes as error:
        return {"hits": [], "reason": str(error)}
    found = retrieve.search(release, text, MOST)
    passages = Passage.objects.select_related("document").in_bulk([hit.passage_id for hit in found])
    shown = set(assignment.order)
    hits = [
        {
            "passage": passages[hit.passage_id],
            "excerpt": excerpt(passages[hit.passage_id].text, text),
            "is_shown": hit.passage_id in shown,
        }
        for hit in found
        if hit.passage_id in passages
    ]
    return {"hits": hits}
