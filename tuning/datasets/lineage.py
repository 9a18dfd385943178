"""From a judgement to everything it shaped, and from a release back to the judgements behind it.

Every dataset keeps which judgements its rows came from, every run its dataset, every encoder and generator its runs;
so both ways are read from rows, and nothing has to be kept up to date.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from curation.core.permissions import reaches
from curation.models import Draft, Judgement, Membership, Release
from tuning.models import Dataset, DatasetQuery, Run, Split

SHAPED_BY = (Split.TRAIN, Split.DEV)  # what a training sees: dev chooses, test only measures


@dataclass(frozen=True)
class Shaped:
    """What one judgement went into. rows: its dataset rows, newest dataset first.

    runs: those whose weights it took part in; releases: those that these weights serve in. answers: how many
    drafts they wrote. measured: releases that were measured on its query and not trained with it.
    """

    rows: list[DatasetQuery]
    runs: list[Run]
    releases: list[Release]
    measured: list[Release]
    answers: int

    @property
    def datasets(self) -> list[Dataset]:
        return [row.dataset for row in self.rows]


@dataclass(frozen=True)
class Origin:
    """Where a release comes from: the trainings behind its encoder and its generator, and how many judgements."""

    release: Release
    runs: list[Run]
    judgements: int

    @property
    def datasets(self) -> list[Dataset]:
        found = {run.dataset_id: run.dataset for run in self.runs}
        return sorted(found.values(), key=lambda dataset: dataset.number)


def readable_by(membership: Membership) -> QuerySet[Judgement]:
    """The judgements of the project that the member may look at: one's own, and everybody's as a reviewer."""
    found = Judgement.objects.filter(query__project=membership.project_id)
    return found if reaches(membership, Membership.Role.REVIEWER) else found.filter(curator=membership.user_id)


def origin(release: Release) -> Origin:
    """What the release was made of."""
    runs = runs_of(release).select_related("dataset", "encoder", "generator", "reranker")
    return Origin(release, list(runs), behind(release).count())


def shaped(judgement: Judgement) -> Shaped:
    """Everything that the judgement took part in, withdrawn or not."""
    links = DatasetQuery.objects.filter(judgements=judgement).select_related("dataset", "query")
    rows = list(links.order_by("-dataset__number"))
    taught = [row.dataset_id for row in rows if row.split in SHAPED_BY]
    tested = [row.dataset_id for row in rows if row.split == Split.TEST]
    done = Run.objects.done().filter(dataset__in=taught)
    runs = list(done.select_related("dataset", "encoder", "generator", "reranker").order_by("-pk"))
    releases = list(with_weights_of(runs, judgement.query.project_id))
    measured = Release.objects.filter(evaluations__dataset__in=tested).exclude(pk__in=[one.pk for one in releases])
    return Shaped(
        rows=rows,
        runs=runs,
        releases=releases,
        measured=list(measured.distinct().order_by("number")),
        answers=Draft.objects.filter(ranking__release__in=releases).count(),
    )


def behind(release: Release) -> QuerySet[Judgement]:
    """The judgements that the release's weights were trained with, newest first; none of a base."""
    datasets = runs_of(release).values("dataset")
    rows = DatasetQuery.objects.filter(dataset__in=datasets, split__in=SHAPED_BY)
    links = DatasetQuery.judgements.through.objects.filter(datasetquery__in=rows)
    return Judgement.objects.filter(pk__in=links.values("judgement")).order_by("-pk")


def runs_of(release: Release) -> QuerySet[Run]:
    """The trainings that gave the release its encoder, its generator and its reranker. The same work gives the same
    weights, so there may be several of each.
    """
    gave = Q(encoder=release.build.encoder_id) | Q(generator=release.generator_id)
    if release.reranker_id:
        gave |= Q(reranker=release.reranker_id)
    found: QuerySet[Run] = Run.objects.done().filter(gave, cycle__project=release.project_id)
    return found.order_by("pk")


def with_weights_of(runs: list[Run], project_id: int) -> QuerySet[Release]:
    """The project's releases whose encoder, generator or reranker one of the runs gave, by number."""
    encoders = [run.encoder_id for run in runs if run.encoder_id]
    generators = [run.generator_id for run in runs if run.generator_id]
    rerankers = [run.reranker_id for run in runs if run.reranker_id]
    made = Q(build__encoder__in=encoders) | Q(generator__in=generators) | Q(reranker__in=rerankers)
    return Release.objects.filter(made, project=project_id).distinct().order_by("number")
