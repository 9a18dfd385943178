"""Lineage: from a judgement to the runs and releases that used it, and back."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from curation.models import Judgement, Project, Query, Release
from curation.releases import lifecycle
from tuning.datasets import lineage
from tuning.models import Component, Dataset, DatasetQuery


def of_split(dataset: Dataset, split: str) -> Judgement:
    judgement = DatasetQuery.objects.filter(dataset=dataset, split=split).order_by("pk")[0].judgements.first()
    assert judgement is not None
    return judgement


def test_a_judgement_leads_to_the_runs_and_releases_that_used_it(dataset: Dataset, tuned: Release) -> None:
    usage = lineage.usage_of(of_split(dataset, "train"))
    assert [(row.dataset, row.split) for row in usage.rows] == [(dataset, "train")]
    assert [run.component for run in usage.runs] == [Component.GENERATOR]
    assert (usage.releases, usage.measured, usage.answers) == ([tuned], [], 1)


def test_a_judgement_of_the_test_split_evaluates_and_trains_nothing(dataset: Dataset, tuned: Release) -> None:
    usage = lineage.usage_of(of_split(dataset, "test"))
    assert (usage.runs, usage.releases, usage.measured, usage.answers) == ([], [], [tuned], 0)


def test_a_release_leads_to_the_judgements_of_train_and_dev(dataset: Dataset, tuned: Release, release: Release) -> None:
    rows = DatasetQuery.objects.filter(dataset=dataset).exclude(split="test")
    expected = {judgement.pk for row in rows for judgement in row.judgements.all()}
    assert set(lineage.training_judgements(tuned).values_list("pk", flat=True)) == expected
    assert not lineage.training_judgements(release).exists()  # the untuned base


def test_a_release_with_untrained_weights_has_no_training_judgements(
    project: Project, dataset: Dataset, tuned: Release
) -> None:
    later = lifecycle.create_candidate(project, fusion_weight=0.1)  # keeps the base's generator
    assert not lineage.training_judgements(later).exists()


def test_the_pages_lead_from_one_to_the_other(
    client: Client, erin: User, alice: User, dataset: Dataset, tuned: Release
) -> None:
    judgement = of_split(dataset, "train")
    client.force_login(erin)
    listed = client.get("/p/zoo/releases/2/judgements/").text
    assert (
        "Its encoder or its generator was trained with" in listed
        and f"/p/zoo/judgements/{lineage.training_judgements(tuned)[0].pk}/" in listed
    )
    page = client.get(f"/p/zoo/judgements/{judgement.pk}/").text
    assert f'<a href="/p/zoo/datasets/{dataset.number}/">' in page and '<a href="/p/zoo/releases/2/">' in page
    assert ">Withdraw</button>" not in page  # it is Alice's
    client.force_login(alice)
    page = client.get(f"/p/zoo/judgements/{judgement.pk}/").text
    assert ">Withdraw</button>" in page and "/p/zoo/releases/2/" not in page  # no link to where she may not go


def test_another_curators_judgement_is_not_there(client: Client, bob: User, alice: User, dataset: Dataset) -> None:
    judgement = of_split(dataset, "train")
    Judgement.objects.filter(pk=judgement.pk).update(curator=bob)
    client.force_login(alice)
    assert client.get(f"/p/zoo/judgements/{judgement.pk}/").status_code == 404
    assert client.post(f"/p/zoo/judgements/{judgement.pk}/withdraw/").status_code == 404


def test_a_withdrawal_names_the_datasets_and_releases_that_used_the_judgement(
    client: Client, erin: User, alice: User, dataset: Dataset, tuned: Release
) -> None:
    judgement = of_split(dataset, "train")
    address = f"/p/zoo/judgements/{judgement.pk}/withdraw/"
    client.force_login(erin)
    assert "Only the person who gave a grade" in client.post(address, follow=True).text
    client.force_login(alice)
    assert "A reviewer can reopen it." in client.post(address, follow=True).text
    Query.objects.filter(pk=judgement.query_id).update(state=Query.State.IN_REVIEW)
    page = client.post(address, follow=True).text
    assert "Withdrawn. It stays in datasets: 1. Releases trained with it: 2. Later datasets leave it out." in page
    assert "withdrew a judgement" in page
    judgement.refresh_from_db()
    assert judgement.withdrawn_at is not None
    assert lineage.usage_of(judgement).releases == [tuned]  # the history stays
