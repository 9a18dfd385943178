"""One release is live; it is promoted and rolled back as a whole."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from common.jobs import JobState
from curation.models import Event, Generator, Project, Release
from curation.releases import lifecycle
from retrieval.models import Corpus, Encoder, IndexBuild

State = Release.State


@pytest.fixture
def whole_build(project: Project) -> IndexBuild:
    encoder = Encoder.objects.create(name="e", query_hash="q", passage_hash="p", dim=3)
    return IndexBuild.objects.create(corpus=project.corpus, number=1, encoder=encoder, state=JobState.DONE)


@pytest.fixture
def base(project: Project, whole_build: IndexBuild) -> Release:
    return lifecycle.create_base_release(project, whole_build)


def test_no_release_is_live_at_first(project: Project) -> None:
    with pytest.raises(lifecycle.NoLiveRelease):
        lifecycle.live_release(project)


def test_the_base_is_release_one_and_live(project: Project, base: Release) -> None:
    assert (base.number, base.state) == (1, State.LIVE)
    assert lifecycle.live_release(project) == base and "{question}" in base.prompt
    assert lifecycle.create_base_release(project, base.build) == base  # once


def test_a_candidate_carries_over_what_is_not_given(project: Project, base: Release) -> None:
    generator = Generator.objects.create(name="tuned", base_path="x", sha256="t")
    candidate = lifecycle.create_candidate(project, generator=generator, fusion_weight=0.4)
    assert (candidate.number, candidate.state) == (2, State.CANDIDATE)
    assert (candidate.build, candidate.generator, candidate.fusion_weight) == (base.build, generator, 0.4)
    assert candidate.prompt == base.prompt
    with pytest.raises(TypeError):
        lifecycle.create_candidate(project, weight=1)


def test_a_promotion_retires_the_live_release_and_is_logged(project: Project, base: Release, mona: User) -> None:
    candidate = lifecycle.promote(lifecycle.create_candidate(project), mona)
    base.refresh_from_db()
    assert (base.state, candidate.state, candidate.previous) == (State.RETIRED, State.LIVE, base)
    assert Event.objects.filter(verb="release.switched", actor=mona).count() == 1
    lifecycle.promote(candidate, mona)  # twice is once
    assert Event.objects.filter(verb="release.switched", actor=mona).count() == 1


def test_rolling_back_goes_one_further_each_time(project: Project, base: Release) -> None:
    second = lifecycle.promote(lifecycle.create_candidate(project))
    lifecycle.promote(lifecycle.create_candidate(project))
    assert lifecycle.roll_back(project) == second
    assert lifecycle.roll_back(project) == base
    with pytest.raises(lifecycle.NoPreviousRelease):
        lifecycle.roll_back(project)
    assert lifecycle.live_release(project) == base


def test_a_release_without_its_build_cannot_go_live(project: Project, base: Release) -> None:
    second = lifecycle.promote(lifecycle.create_candidate(project))
    IndexBuild.objects.update(state=JobState.FAILED)
    with pytest.raises(lifecycle.CannotGoLive):
        lifecycle.roll_back(project)
    assert lifecycle.live_release(project) == second


def test_a_build_of_another_corpus_cannot_go_live(project: Project, base: Release) -> None:
    other = IndexBuild.objects.create(
        corpus=Corpus.objects.create(slug="other"), number=1, encoder=base.build.encoder, state=JobState.DONE
    )
    with pytest.raises(lifecycle.CannotGoLive):
        lifecycle.promote(lifecycle.create_candidate(project, build=other))


def test_only_a_candidate_is_declined_and_a_person_may_overrule(project: Project, base: Release) -> None:
    candidate = lifecycle.create_candidate(project)
    assert lifecycle.decline(candidate, reason="worse").state == State.DECLINED
    assert lifecycle.decline(base).state == State.LIVE
    assert lifecycle.promote(candidate).state == State.LIVE


def test_the_generator_of_the_settings_has_one_row(db: None) -> None:
    assert lifecycle.generator_from_settings() == lifecycle.generator_from_settings()
