"""Drafts: the answers that a release's generator writes for people to edit."""

from __future__ import annotations

import time

from common.jobs import enqueue
from curation.models import Assignment, Draft, Project, Query, Ranking
from curation.releases import generate, lifecycle


def enqueue_draft(query: Query) -> None:
    """Have a worker draft the answer of the query's newest ranking, after the transaction. A person waits for it."""
    ranking = query.rankings.order_by("-pk").first()
    if ranking is not None:
        enqueue("curation.tasks.draft", ranking.pk)


def write_draft(ranking: Ranking) -> Draft:
    """Return the draft of the ranking; the ranking's release, else the live one, writes it where there is none."""
    draft = Draft.objects.filter(ranking=ranking).first()
    if draft is not None:
        return draft
    release = ranking.release or lifecycle.live_release(ranking.query.project)
    shown = list(ranking.shown.select_related("passage").order_by("rank")[: release.answer_passages])
    question = generate.QuestionWithPassages(
        ranking.query.text, [row.passage.full_text for row in shown], [row.score or 0.0 for row in shown]
    )
    started = time.monotonic()
    text = generate.write_answers(release, [question])[0]
    draft, _is_new = Draft.objects.get_or_create(
        ranking=ranking,
        defaults={"text": text, "generator": release.generator, "seconds": time.monotonic() - started},
    )
    return draft


def rankings_to_draft(project: Project, limit: int) -> list[int]:
    """Return the rankings without a draft that people see next: claimed ones first, then the head of the queue."""
    undrafted = Assignment.objects.filter(project=project, ranking__isnull=False, ranking__draft=None)
    claimed = undrafted.filter(state=Assignment.State.CLAIMED).order_by("claimed_at")[:limit]
    head = Assignment.objects.open().filter(project=project).order_by("random_key", "pk").values("pk")[: 10 * limit]
    queued = undrafted.filter(pk__in=head).order_by("random_key", "pk")
    ids = [*claimed.values_list("ranking_id", flat=True), *queued.values_list("ranking_id", flat=True)]
    return [ranking_id for ranking_id in dict.fromkeys(ids) if ranking_id is not None][:limit]
