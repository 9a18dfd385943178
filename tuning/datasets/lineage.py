"""Lineage: from a judgement to the runs and releases that used it, and from a release back to its judgements.

Each dataset row keeps its judgements, each run its dataset, each encoder and generator its runs. So both directions
are queries over existing rows, and nothing has to be kept up to date.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from curation.core.permissions import is_at_least
from curation.models import Draft, Judgement, Membership, Release
from tuning.models import Dataset, DatasetQuery, Run, Split

TRAINING_SPLITS = (Split.TRAIN, Split.DEV)  # a training learns from train and chooses by dev; test only evaluates


@dataclass(frozen=True)
class JudgementUsage:
    """Everything that used one judgement.

    rows: its dataset rows, newest dataset first. runs: those that were trained with it. releases: those that have
    the weights of these runs. answers: drafts that these releases generated. measured: releases that were evaluated
    on its query and not trained with it.
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
class ReleaseOrigin:
    """Origin of a release: the runs that trained its weights, and the number of judgements they were trained with."""

    release: Release
    runs: list[Run]
    judgements: int

    @property
    def datasets(self) -> list[Dataset]:
        datasets = {run.dataset_id: run.dataset for run in self.runs}
        return sorted(datasets.values(), key=lambda dataset: dataset.number)


def readable_judgements(membership: Membership) -> QuerySet[Judgement]:
    """Return the judgements that the member may read: all of the project for a reviewer, otherwise their own."""
    judgements = Judgement.objects.filter(query__project=membership.project_id)
    if is_at_least(membership, Membership.Role.REVIEWER):
        return judgements
    return judgements.filter(curator=membership.user_id)


def origin_of(release: Release) -> ReleaseOrigin:
    """Return the runs and the number of judgements that the release was made from."""
    runs = training_runs_of(release).select_related("dataset", "encoder", "generator", "reranker")
    return ReleaseOrigin(release, list(runs), training_judgements(release).count())


def usage_of(judgement: Judgement) -> JudgementUsage:
    """Return everything that used the judgement, also when it was withdrawn since."""
    links = DatasetQuery.objects.filter(judgements=judgement).select_related("dataset", "query")
    rows = list(links.order_by("-dataset__number"))
    trained_datasets = [row.dataset_id for row in rows if row.split in TRAINING_SPLITS]
    test_datasets = [row.dataset_id for row in rows if row.split == Split.TEST]
    done = Run.objects.done().filter(dataset__in=trained_datasets)
    runs = list(done.select_related("dataset", "encoder", "generator", "reranker").order_by("-pk"))
    releases = list(releases_with_weights_of(runs, judgement.query.project_id))
    evaluated = Release.objects.filter(evaluations__dataset__in=test_datasets)
    measured = evaluated.exclude(pk__in=[release.pk for release in releases])
    return JudgementUsage(
        rows=rows,
        runs=runs,
        releases=releases,
        measured=list(measured.distinct().order_by("number")),
        answers=Draft.objects.filter(ranking__release__in=releases).count(),
    )


def training_judgements(release: Release) -> QuerySet[Judgement]:
    """Return the judgements that the release's weights were trained with, newest first; none for a base release."""
    datasets = training_runs_of(release).values("dataset")
    rows = DatasetQuery.objects.filter(dataset__in=datasets, split__in=TRAINING_SPLITS)
    links = DatasetQuery.judgements.through.objects.filter(datasetquery__in=rows)
    return Judgement.objects.filter(pk__in=links.values("judgement")).order_by("-pk")


def training_runs_of(release: Release) -> QuerySet[Run]:
    """Return the runs that trained the release's encoder, generator and reranker, oldest first.

    The same work gives the same weights, so there may be several runs of each component.
    """
    of_weights = Q(encoder=release.build.encoder_id) | Q(generator=release.generator_id)
    if release.reranker_id:
        of_weights |= Q(reranker=release.reranker_id)
    runs: QuerySet[Run] = Run.objects.done().filter(of_weights, cycle__project=release.project_id)
    return runs.order_by("pk")


def releases_with_weights_of(runs: list[Run], project_id: int) -> QuerySet[Release]:
    """Return the project's releases that have an encoder, a generator or a reranker of these runs, by number."""
    encoders = [run.encoder_id for run in runs if run.encoder_id]
    generators = [run.generator_id for run in runs if run.generator_id]
    rerankers = [run.reranker_id for run in runs if run.reranker_id]
    has_weights = Q(build__encoder__in=encoders) | Q(generator__in=generators) | Q(reranker__in=rerankers)
    return Release.objects.filter(has_weights, project=project_id).distinct().order_by("number")
