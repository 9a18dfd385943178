"""A reason is stored as what it says, and everybody reads it in their own language."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from curation.annotation import assignments, judgements
from curation.core import labels
from curation.models import Assignment, Event, Project, Query, Review
from curation.templatetags.tandem import grade_label

Wait = Callable[..., Query]


def test_who_reads_a_reason_decides_its_language(project: Project, alice: User, wait: Wait) -> None:
    wait()
    with translation.override("zh-hans"):
        claimed = assignments.claim_next(project, alice)
        assert claimed is not None
        in_chinese = labels.why(claimed)
    assert (labels.why(claimed), in_chinese) == ("Picked at random.", "随机抽取。")


def test_a_review_of_a_chinese_submit_reads_in_english(project: Project, alice: User, bob: User, wait: Wait) -> None:
    query = wait(overlap=2, shown="lion")
    with translation.override("zh-hans"):
        for person, grade in ((alice, 0), (bob, 3)):
            claimed = assignments.claim(query, person)
            judgements.record(claimed, claimed.order[0], grade)
            judgements.submit(claimed)
    review = Review.objects.get(query=query)
    assert labels.why(review) == "Grades of one passage lie 3 apart."
    assert review.reason_text == ""
    event = Event.objects.get(verb="sent_to_review")
    assert event.data["reasons"] == [{"code": "apart", "args": {"n": 3}}]


def test_what_was_written_in_words_still_reads(client: Client, project: Project, alice: User, wait: Wait) -> None:
    wait()
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    Assignment.objects.filter(pk=claimed.pk).update(reasons=[], reason_text="nobody has judged what build 7 ranks second")
    client.force_login(alice)
    page = client.get(f"/p/zoo/assignments/{claimed.pk}/").content.decode()
    assert "nobody has judged what build 7 ranks second" in page


def test_a_reason_without_words_or_with_one_missing_is_not_stored() -> None:
    with pytest.raises(KeyError):
        labels.because("for_no_reason")
    with pytest.raises(KeyError):
        labels.because("hole", build=7)
    assert labels.because("hole", build=7, rank=2) == {"code": "hole", "args": {"build": 7, "rank": 2}}
    assert labels.of_reasons([{"code": "gone", "args": {}}]) == ""


def test_every_verb_of_the_record_has_words() -> None:
    """A verb without words would be shown in English to everybody."""
    import re
    from pathlib import Path

    from django.conf import settings

    noted = re.compile(r'(?:note|note_many|_note)\(\s*"([a-z_.]+)"|Event\([^)]*verb="([a-z_.]+)"')
    verbs = {
        one or other
        for path in Path(settings.BASE_DIR, "curation").rglob("*.py")
        for one, other in noted.findall(path.read_text(encoding="utf-8"))
    }
    assert verbs and verbs <= set(labels.EVENTS)


def test_the_labels_a_project_starts_with_are_in_the_reader_s_language_and_its_own_stay(project: Project) -> None:
    project.grades[1]["label"] = "Half a zebra"
    with translation.override("zh-hans"):
        assert grade_label(project, 0) == "不相关" and grade_label(project, 1) == "Half a zebra"
