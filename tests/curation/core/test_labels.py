"""Labels: reasons and events are stored as codes, and everybody reads them in their own language."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from curation.annotation import claims, judgements
from curation.core import labels
from curation.models import Assignment, Event, Project, Query, Review
from curation.templatetags.tandem import grade_label

Wait = Callable[..., Query]


def test_the_reader_decides_the_language_of_a_reason(project: Project, alice: User, wait: Wait) -> None:
    wait()
    with translation.override("zh-hans"):
        claimed = claims.claim_next(project, alice)
        assert claimed is not None
        in_chinese = labels.describe_reason(claimed)
    assert (labels.describe_reason(claimed), in_chinese) == ("Picked at random.", "随机抽取。")


def test_a_review_of_a_chinese_submit_reads_in_english(project: Project, alice: User, bob: User, wait: Wait) -> None:
    query = wait(overlap=2, shown="lion")
    with translation.override("zh-hans"):
        for person, grade in ((alice, 0), (bob, 3)):
            claimed = claims.claim(query, person)
            judgements.record(claimed, claimed.order[0], grade)
            judgements.submit(claimed)
    review = Review.objects.get(query=query)
    assert labels.describe_reason(review) == "Annotators differ by 3 grades."
    assert review.reason_text == ""
    event = Event.objects.get(verb="sent_to_review")
    assert event.data["reasons"] == [{"code": "apart", "args": {"n": 3}}]


def test_a_reason_that_is_stored_as_text_is_still_shown(
    client: Client, project: Project, alice: User, wait: Wait
) -> None:
    wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    Assignment.objects.filter(pk=claimed.pk).update(
        reasons=[], reason_text="nobody has judged what build 7 ranks second"
    )
    client.force_login(alice)
    page = client.get(f"/p/zoo/assignments/{claimed.pk}/").content.decode()
    assert "nobody has judged what build 7 ranks second" in page


def test_a_reason_with_an_unknown_code_or_a_missing_argument_is_not_stored() -> None:
    with pytest.raises(KeyError):
        labels.make_reason("for_no_reason")
    with pytest.raises(KeyError):
        labels.make_reason("hole", build=7)
    assert labels.make_reason("hole", build=7, rank=2) == {"code": "hole", "args": {"build": 7, "rank": 2}}
    assert labels.describe_reasons([{"code": "gone", "args": {}}]) == ""


def test_every_verb_of_the_audit_log_has_a_label() -> None:
    """A verb without a label would be shown in English to everybody."""
    import re
    from pathlib import Path

    from django.conf import settings

    recorded = re.compile(r'\b(?:record|record_many|_record\w*|_note)\(\s*"([a-z_.]+)"|Event\([^)]*verb="([a-z_.]+)"')
    verbs = {
        one or other
        for path in Path(settings.BASE_DIR, "curation").rglob("*.py")
        for one, other in recorded.findall(path.read_text(encoding="utf-8"))
    }
    assert len(verbs) > 20 and verbs <= set(labels.EVENT_LABELS)


def test_default_grade_labels_are_translated_and_the_project_s_own_labels_are_not(project: Project) -> None:
    project.grades[1]["label"] = "Half a zebra"
    with translation.override("zh-hans"):
        assert grade_label(project, 0) == "不相关" and grade_label(project, 1) == "Half a zebra"


@pytest.mark.parametrize(("consensus", "grade"), [(0.4, 0), (0.5, 1), (1.5, 2), (2.5, 3)])
def test_a_consensus_has_the_label_of_the_nearest_grade(project: Project, consensus: float, grade: int) -> None:
    assert grade_label(project, consensus) == grade_label(project, grade)
