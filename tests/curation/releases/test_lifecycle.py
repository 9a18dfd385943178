"""One release serves; it is switched and rolled back as one."""

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
    return lifecycle.make_base(project, whole_build)


def test_nothing_serves_at_first(project: Project) -> None:
    with pytest.raises(lifecycle.NothingServes):
        lifecycle.serving(project)


def test_the_base_is_release_one_and_serves(project: Project, base: Release) -> None:
    assert (base.number, base.state) == (1, State.SERVING)
    assert lifecycle.serving(project) == base and "{question}" in base.prompt
    assert lifecycle.make_base(project, base.build) == base  # once


def test_a_candidate_carries_over_what_is_not_given(project: Project, base: Release) -> None:
    generator = Generator.objects.create(name="tuned", base_path="x", sha256="t")
    candidate = lifecycle.next_release(project, generator=generator, fusion_weight=0.4)
    assert (candidate.number, candidate.state) == (2, State.CANDIDATE)
    assert (candidate.build, candidate.generator, candidate.fusion_weight) == (base.build, generator, 0.4)
    assert candidate.prompt == base.prompt
    with pytest.raises(TypeError):
        lifecycle.next_release(project, weight=1)


def test_a_switch_retires_the_one_that_served_and_is_recorded(project: Project, base: Release, mona: User) -> None:
    candidate = lifecycle.switch(lifecycle.next_release(project), mona)
    base.refresh_from_db()
    assert (base.state, candidate.state, candidate.previous) == (State.RETIRED, State.SERVING, base)
    assert Event.objects.filter(verb="release.switched", actor=mona).count() == 1
    lifecycle.switch(candidate, mona)  # twice is once
    assert Event.objects.filter(verb="release.switched", actor=mona).count() == 1


def test_rolling_back_goes_one_further_each_time(project: Project, base: Release) -> None:
    second = lifecycle.switch(lifecycle.next_release(project))
    lifecycle.switch(lifecycle.next_release(project))
    assert lifecycle.roll_back(project) == second
    assert lifecycle.roll_back(project) == base
    with pytest.raises(lifecycle.NothingBefore):
        lifecycle.roll_back(project)
    assert lifecycle.serving(project) == base


def test_a_release_without_its_build_does_not_serve(project: Project, base: Release) -> None:
    second = lifecycle.switch(lifecycle.next_release(project))
    IndexBuild.objects.update(state=JobState.FAILED)
    with pytest.raises(lifecycle.NotServable):
        lifecycle.roll_back(project)
    assert lifecycle.serving(project) == second


def test_a_build_of_another_corpus_does_not_serve(project: Project, base: Release) -> None:
    other = IndexBuild.objects.create(
        corpus=Corpus.objects.create(slug="other"), number=1, encoder=base.build.encoder, state=JobState.DONE
    )
    with pytest.raises(lifecycle.NotServable):
        lifecycle.switch(lifecycle.next_release(project, build=other))


def test_only_a_candidate_is_declined_and_a_person_may_overrule(project: Project, base: Release) -> None:
    candidate = lifecycle.next_release(project)
    assert lifecycle.decline(candidate, reason="worse").state == State.DECLINED
    assert lifecycle.decline(base).state == State.SERVING
    assert lifecycle.switch(candidate).state == State.SERVING


def test_the_generator_of_the_settings_has_one_row(db: None) -> None:
    assert lifecycle.generator_from_settings() == lifecycle.generator_from_settings()
