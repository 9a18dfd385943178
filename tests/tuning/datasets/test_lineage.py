"""From a judgement to what it shaped, and back."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from curation.models import Judgement, Project, Query, Release
from curation.releases import lifecycle
from tuning.datasets import lineage
from tuning.models import Component, Dataset, DatasetQuery


def of_split(dataset: Dataset, split: str) -> Judgement:
    found = DatasetQuery.objects.filter(dataset=dataset, split=split).order_by("pk")[0].judgements.first()
    assert found is not None
    return found


def test_a_judgement_knows_what_it_taught(dataset: Dataset, tuned: Release) -> None:
    shaped = lineage.shaped(of_split(dataset, "train"))
    assert [(row.dataset, row.split) for row in shaped.rows] == [(dataset, "train")]
    assert [run.component for run in shaped.runs] == [Component.GENERATOR]
    assert (shaped.releases, shaped.measured, shaped.answers) == ([tuned], [], 1)


def test_a_judgement_of_the_test_split_measured_and_taught_nothing(dataset: Dataset, tuned: Release) -> None:
    shaped = lineage.shaped(of_split(dataset, "test"))
    assert (shaped.runs, shaped.releases, shaped.measured, shaped.answers) == ([], [], [tuned], 0)


def test_behind_a_release_are_the_judgements_of_train_and_dev(
    dataset: Dataset, tuned: Release, release: Release
) -> None:
    rows = DatasetQuery.objects.filter(dataset=dataset).exclude(split="test")
    expected = {judgement.pk for row in rows for judgement in row.judgements.all()}
    assert set(lineage.behind(tuned).values_list("pk", flat=True)) == expected
    assert not lineage.behind(release).exists()  # the untuned base


def test_whoever_has_seen_the_other_half_only_is_not_of_it(project: Project, dataset: Dataset, tuned: Release) -> None:
    later = lifecycle.next_release(project, fusion_weight=0.1)  # carries the base's generator on
    assert not lineage.behind(later).exists()


def test_the_pages_lead_from_one_to_the_other(
    client: Client, erin: User, alice: User, dataset: Dataset, tuned: Release
) -> None:
    judgement = of_split(dataset, "train")
    client.force_login(erin)
    behind = client.get("/p/zoo/releases/2/judgements/").text
    assert (
        "taught its encoder or its generator" in behind
        and f"/p/zoo/judgements/{lineage.behind(tuned)[0].pk}/" in behind
    )
    page = client.get(f"/p/zoo/judgements/{judgement.pk}/").text
    assert f'<a href="/p/zoo/datasets/{dataset.number}/">' in page and '<a href="/p/zoo/releases/2/">' in page
    assert "Withdraw it" not in page  # it is Alice's
    client.force_login(alice)
    page = client.get(f"/p/zoo/judgements/{judgement.pk}/").text
    assert "Withdraw it" in page and "/p/zoo/releases/2/" not in page  # no link to where she may not go


def test_another_curators_judgement_is_not_there(client: Client, bob: User, alice: User, dataset: Dataset) -> None:
    judgement = of_split(dataset, "train")
    Judgement.objects.filter(pk=judgement.pk).update(curator=bob)
    client.force_login(alice)
    assert client.get(f"/p/zoo/judgements/{judgement.pk}/").status_code == 404
    assert client.post(f"/p/zoo/judgements/{judgement.pk}/withdraw/").status_code == 404


def test_withdrawing_names_what_has_learned_from_it(
    client: Client, erin: User, alice: User, dataset: Dataset, tuned: Release
) -> None:
    judgement = of_split(dataset, "train")
    address = f"/p/zoo/judgements/{judgement.pk}/withdraw/"
    client.force_login(erin)
    assert "Only the person who gave a grade" in client.post(address, follow=True).text
    client.force_login(alice)
    assert "A reviewer can open it again." in client.post(address, follow=True).text
    Query.objects.filter(pk=judgement.query_id).update(state=Query.State.IN_REVIEW)
    told = client.post(address, follow=True).text
    assert "Withdrawn. It stays in datasets: 1. Releases that learned from it: 2. Later ones do without it." in told
    assert "withdrew a judgement" in told
    judgement.refresh_from_db()
    assert judgement.withdrawn_at is not None
    assert lineage.shaped(judgement).releases == [tuned]  # the history stays
