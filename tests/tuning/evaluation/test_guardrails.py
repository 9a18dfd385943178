"""Guardrail sets: their files, their metrics, and their page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from common.jobs import JobState
from common.text_files import BadInput
from curation.models import Generator, Membership, Project, Query, Release
from curation.releases import lifecycle
from retrieval.index import encoders
from retrieval.models import Corpus, Encoder
from tests.tiny_models import tiny_generator
from tuning.evaluation import guardrail_files, guardrail_metrics, guardrails
from tuning.models import Component, Cycle, Dataset, Evaluation, GuardrailSet, Run


def write_set(folder: Path, *, answers: bool = False, bad: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    names = ["lion", "tiger", "zebra", "panda", "otter", "eagle"]
    lines = [json.dumps({"_id": f"q{name}", "text": f"Where is the {name}?"}) for name in names]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    passages = [json.dumps({"_id": name, "title": name, "text": f"The {name} is at home."}) for name in names]
    (folder / "corpus.jsonl").write_text("\n".join(passages))
    qrels = "".join(f"q{name}\t{name}\t3\n" for name in names)
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels + bad)
    if answers:
        rows = [json.dumps({"_id": f"q{name}", "answers": ["At home."]}) for name in names]
        (folder / "answers.jsonl").write_text("\n".join(rows))
    return folder


def evaluation(project: Project, champion: Release, challenger: Release, *components: str) -> Evaluation:
    dataset = Dataset.objects.create(project=project, number=1, path="none", sha256="0")
    cycle = Cycle.objects.create(project=project, state=JobState.DONE, dataset=dataset)
    for component in components:
        Run.objects.create(cycle=cycle, dataset=dataset, component=component, state=JobState.DONE)
    return Evaluation.objects.create(cycle=cycle, dataset=dataset, champion=champion, challenger=challenger)


def ignore_progress(done: int, total: int, note: str) -> None:
    pass


def test_every_project_has_the_two_built_in_sets(project: Project) -> None:
    general, closed_book = guardrails.list_sets(project)
    assert (general.name, closed_book.name) == ("general", "closed-book")
    assert general.counts == {"passages": 60, "queries": 60, "grades": 60, "answers": 0}
    assert closed_book.counts == {"passages": 0, "queries": 40, "grades": 0, "answers": 40}
    assert len(guardrails.list_sets(project)) == 2  # a second call adds none


def test_a_folder_is_frozen_with_its_margin(project: Project, tmp_path: Path) -> None:
    added = guardrails.create_from_folder(project, write_set(tmp_path, answers=True), "zoo-at-home", 0.05)
    assert (added.margin, added.counts["answers"]) == (0.05, 6)
    contents = guardrail_files.read_contents(guardrails.set_folder(added))
    assert contents.passages["lion"] == "lion\nThe lion is at home."
    assert contents.grades["qlion"] == {"lion": 3.0}
    with pytest.raises(guardrails.GuardrailError, match="already"):
        guardrails.create_from_folder(project, tmp_path, "zoo-at-home")


def test_an_unknown_id_is_named_with_file_and_line_and_no_set_is_created(project: Project, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"qrels.tsv:8: “dodo” is in none of the other files"):
        guardrails.create_from_folder(project, write_set(tmp_path, bad="qlion\tdodo\t1\n"), "extinct")
    assert not GuardrailSet.objects.filter(name="extinct").exists()


def test_the_settled_work_of_another_project_is_frozen(corpus: Corpus, project: Project, settled: list[Query]) -> None:
    other = Project.objects.create(slug="park", name="Park", corpus=corpus)
    added = guardrails.create_from_project(other, project, "zoo")
    assert added.counts["answers"] == 13  # one of the fourteen has no answer and no relevant passage
    assert added.counts["passages"] == 12
    Query.objects.update(state=Query.State.OPEN)
    assert len(guardrail_files.read_contents(guardrails.set_folder(added)).questions) == 13
    with pytest.raises(guardrails.GuardrailError, match="cannot be its own guardrail set"):
        guardrails.create_from_project(project, project, "me")


def test_an_encoder_that_forgot_is_worse_on_a_guardrail_set(
    project: Project, release: Release, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    guardrails.create_from_folder(project, write_set(tmp_path), "home")
    folder = tmp_path_factory.mktemp("forgetful")
    few = SentenceTransformer(modules=[modules.BoW(["lion", "other"]), modules.Normalize()], device="cpu")
    few.save(str(folder))
    forgetful = encoders.get_or_create(str(folder))
    challenger = lifecycle.create_candidate(project)
    challenger.build.encoder = forgetful
    figures = guardrail_metrics.measure_sets(
        evaluation(project, release, challenger, Component.RETRIEVER), ignore_progress
    )
    assert figures.keys() == {"guard:general ndcg@10", "guard:home ndcg@10"}
    home = figures["guard:home ndcg@10"]
    assert (home["champion"], home["queries"], home["margin"]) == (1.0, 6, 0.03)
    assert home["challenger"] < 0.7 and home["high"] < 0


def test_a_component_that_was_not_trained_is_not_measured(project: Project, release: Release) -> None:
    row = evaluation(project, release, lifecycle.create_candidate(project))
    assert guardrail_metrics.measure_sets(row, ignore_progress) == {}


def test_an_inactive_set_is_not_measured(project: Project, release: Release) -> None:
    guardrails.list_sets(project)
    GuardrailSet.objects.update(is_active=False)
    row = evaluation(project, release, lifecycle.create_candidate(project), Component.RETRIEVER)
    assert guardrail_metrics.measure_sets(row, ignore_progress) == {}


def test_a_generator_answers_a_set_without_passages(project: Project, release: Release, tmp_path: Path) -> None:
    releases = []
    for seed in (1, 2):
        base = tiny_generator(tmp_path / str(seed), seed=seed)
        row = Generator.objects.create(name=f"tiny {seed}", base_path=str(base), sha256=str(seed) * 64)
        releases.append(lifecycle.create_candidate(project, generator=row))
    figures = guardrail_metrics.measure_sets(evaluation(project, *releases, Component.GENERATOR), ignore_progress)
    assert figures.keys() == {"guard:closed-book logprob", "guard:closed-book f1"}
    log_probability = figures["guard:closed-book logprob"]
    assert log_probability["queries"] == 40
    assert log_probability["champion"] < 0 and log_probability["difference"] != 0
    assert figures["guard:closed-book f1"]["is_informational"] and not log_probability["is_informational"]


def test_the_page_lists_changes_and_adds_sets(client: Client, mona: User, project: Project, tmp_path: Path) -> None:
    client.force_login(mona)
    page = client.get("/p/zoo/guardrails/").text
    assert "closed-book" in page and "60 queries" in page
    closed_book = GuardrailSet.objects.get(name="closed-book")
    client.post(f"/p/zoo/guardrails/{closed_book.pk}/", {"margin": "0.2"})
    closed_book.refresh_from_db()
    assert (closed_book.is_active, closed_book.margin) == (False, 0.2)
    write_set(tmp_path)
    files = {
        name.partition(".")[0]: SimpleUploadedFile(name, (tmp_path / name).read_bytes())
        for name in ("queries.jsonl", "corpus.jsonl", "qrels.tsv")
    }
    answer = client.post("/p/zoo/guardrails/", {"name": "home", "margin": "0.02"} | files, follow=True)
    assert "Guardrail set home added." in answer.text
    assert GuardrailSet.objects.get(name="home").counts["queries"] == 6


def test_an_error_in_a_file_is_shown_with_its_line(client: Client, mona: User, project: Project) -> None:
    client.force_login(mona)
    files = {
        "queries": SimpleUploadedFile("anything.jsonl", b'{"_id": "1", "text": "Who?"}\nnonsense\n'),
        "answers": SimpleUploadedFile("a.jsonl", b'{"_id": "1", "answers": ["I"]}\n'),
    }
    answer = client.post("/p/zoo/guardrails/", {"name": "bad", "margin": "0.02"} | files)
    assert answer.status_code == 422
    assert "queries.jsonl:2: not valid JSON" in answer.text


@pytest.mark.parametrize(("role", "is_allowed"), [(Membership.Role.ENGINEER, True), (Membership.Role.REVIEWER, False)])
def test_the_source_must_be_a_project_in_which_the_person_is_an_engineer(
    client: Client,
    mona: User,
    project: Project,
    corpus: Corpus,
    settle: Callable[..., Query],
    role: str,
    is_allowed: bool,
) -> None:
    for number in range(6):
        settle(f"Who is number {number}?", {"lion": 3})
    park = Project.objects.create(slug="park", name="Park", corpus=corpus)
    Membership.objects.create(project=park, user=mona, role=Membership.Role.MANAGER)
    Membership.objects.filter(project=project, user=mona).update(role=role)
    client.force_login(mona)
    client.post("/p/park/guardrails/", {"name": "zoo", "margin": "0.02", "source": project.pk})
    assert GuardrailSet.objects.filter(name="zoo").exists() is is_allowed


def test_the_command_adds_a_set(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("guard_set", "home", project="zoo", folder=write_set(tmp_path), json=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["guard_set"], result["queries"], result["origin"]) == ("home", 6, "folder")


def test_a_measurement_leaves_the_encoder_row_unchanged(
    keyword_encoder: Encoder, project: Project, release: Release
) -> None:
    before = Encoder.objects.values().get(pk=keyword_encoder.pk)
    row = evaluation(project, release, lifecycle.create_candidate(project), Component.RETRIEVER)
    guardrail_metrics.measure_sets(row, ignore_progress)
    assert Encoder.objects.values().get(pk=keyword_encoder.pk) == before
