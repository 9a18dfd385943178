"""Guardrail sets: what they are made of, what they measure, and their page."""

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
from retrieval.index import index_builds
from retrieval.models import Corpus, Encoder
from tests.tiny import tiny_generator
from tuning.evaluation import guardrails
from tuning.models import Component, Cycle, Dataset, Evaluation, GuardrailSet, Run


def write_set(place: Path, *, answers: bool = False, bad: str = "") -> Path:
    place.mkdir(exist_ok=True)
    names = ["lion", "tiger", "zebra", "panda", "otter", "eagle"]
    lines = [json.dumps({"_id": f"q{name}", "text": f"Where is the {name}?"}) for name in names]
    (place / "queries.jsonl").write_text("\n".join(lines))
    passages = [json.dumps({"_id": name, "title": name, "text": f"The {name} is at home."}) for name in names]
    (place / "corpus.jsonl").write_text("\n".join(passages))
    (place / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\t{n}\t3\n" for n in names) + bad)
    if answers:
        said = [json.dumps({"_id": f"q{name}", "answers": ["At home."]}) for name in names]
        (place / "answers.jsonl").write_text("\n".join(said))
    return place


def evaluation(project: Project, champion: Release, challenger: Release, *parts: str) -> Evaluation:
    dataset = Dataset.objects.create(project=project, number=1, path="none", sha256="0")
    cycle = Cycle.objects.create(project=project, state=JobState.DONE, dataset=dataset)
    for component in parts:
        Run.objects.create(cycle=cycle, dataset=dataset, component=component, state=JobState.DONE)
    return Evaluation.objects.create(cycle=cycle, dataset=dataset, champion=champion, challenger=challenger)


def quiet(done: int, total: int, note: str) -> None:
    """Nobody watches."""


def test_every_project_has_the_two_that_come_with_tandem(project: Project) -> None:
    general, closed_book = guardrails.sets_of(project)
    assert (general.name, closed_book.name) == ("general", "closed-book")
    assert general.counts == {"passages": 60, "queries": 60, "grades": 60, "answers": 0}
    assert closed_book.counts == {"passages": 0, "queries": 40, "grades": 0, "answers": 40}
    assert len(guardrails.sets_of(project)) == 2  # asked again, none is added


def test_a_folder_is_frozen_with_its_margin(project: Project, tmp_path: Path) -> None:
    made = guardrails.from_folder(project, write_set(tmp_path, answers=True), "zoo-at-home", 0.05)
    assert (made.margin, made.counts["answers"]) == (0.05, 6)
    contents = guardrails.read(guardrails.folder(made))
    assert contents.passages["lion"] == "lion\nThe lion is at home."
    assert contents.grades["qlion"] == {"lion": 3.0}
    with pytest.raises(guardrails.CannotGuard, match="already"):
        guardrails.from_folder(project, tmp_path, "zoo-at-home")


def test_an_unknown_id_is_named_with_file_and_line_and_nothing_is_made(project: Project, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"qrels.tsv:8: “dodo” is in none of the other files"):
        guardrails.from_folder(project, write_set(tmp_path, bad="qlion\tdodo\t1\n"), "extinct")
    assert not GuardrailSet.objects.filter(name="extinct").exists()


def test_another_project_s_settled_work_is_frozen_as_it_stands(
    corpus: Corpus, project: Project, settled: list[Query]
) -> None:
    other = Project.objects.create(slug="park", name="Park", corpus=corpus)
    made = guardrails.from_project(other, project, "zoo")
    assert made.counts["answers"] == 13  # one of the fourteen holds no answer and no relevant passage
    assert made.counts["passages"] == 12
    Query.objects.update(state=Query.State.OPEN)
    assert len(guardrails.read(guardrails.folder(made)).questions) == 13
    with pytest.raises(guardrails.CannotGuard, match="cannot be its own guardrail set"):
        guardrails.from_project(project, project, "me")


def test_an_encoder_that_forgot_is_seen_on_a_set_it_was_not_tuned_for(
    project: Project, release: Release, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    guardrails.from_folder(project, write_set(tmp_path), "home")
    folder = tmp_path_factory.mktemp("forgetful")
    few = SentenceTransformer(modules=[modules.BoW(["lion", "other"]), modules.Normalize()], device="cpu")
    few.save(str(folder))
    forgetful = index_builds.encoder_from(str(folder))
    challenger = lifecycle.next_release(project)
    challenger.build.encoder = forgetful
    figures = guardrails.measure(evaluation(project, release, challenger, Component.RETRIEVER), quiet)
    assert figures.keys() == {"guard:general ndcg@10", "guard:home ndcg@10"}
    home = figures["guard:home ndcg@10"]
    assert (home["champion"], home["queries"], home["margin"]) == (1.0, 6, 0.03)
    assert home["challenger"] < 0.7 and home["high"] < 0


def test_a_half_that_did_not_learn_is_not_asked(project: Project, release: Release) -> None:
    assert guardrails.measure(evaluation(project, release, lifecycle.next_release(project)), quiet) == {}


def test_a_set_that_is_switched_off_is_not_asked(project: Project, release: Release) -> None:
    guardrails.sets_of(project)
    GuardrailSet.objects.update(is_active=False)
    assert (
        guardrails.measure(evaluation(project, release, lifecycle.next_release(project), Component.RETRIEVER), quiet)
        == {}
    )


def test_a_generator_is_asked_without_a_passage(project: Project, release: Release, tmp_path: Path) -> None:
    pair = []
    for seed in (1, 2):
        base = tiny_generator(tmp_path / str(seed), seed=seed)
        row = Generator.objects.create(name=f"tiny {seed}", base_path=str(base), sha256=str(seed) * 64)
        pair.append(lifecycle.next_release(project, generator=row))
    figures = guardrails.measure(evaluation(project, pair[0], pair[1], Component.GENERATOR), quiet)
    assert figures.keys() == {"guard:closed-book logprob", "guard:closed-book f1"}
    likely = figures["guard:closed-book logprob"]
    assert likely["queries"] == 40 and likely["champion"] < 0 and likely["difference"] != 0
    assert figures["guard:closed-book f1"]["is_reading"] and not likely["is_reading"]


def test_the_page_lists_switches_and_adds(client: Client, mona: User, project: Project, tmp_path: Path) -> None:
    client.force_login(mona)
    page = client.get("/p/zoo/guardrails/").text
    assert "closed-book" in page and "60 questions" in page
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
    assert "The guardrail set home is asked from now on." in answer.text
    assert GuardrailSet.objects.get(name="home").counts["queries"] == 6


def test_a_bad_file_comes_back_with_its_line(client: Client, mona: User, project: Project) -> None:
    client.force_login(mona)
    files = {
        "queries": SimpleUploadedFile("anything.jsonl", b'{"_id": "1", "text": "Who?"}\nnonsense\n'),
        "answers": SimpleUploadedFile("a.jsonl", b'{"_id": "1", "answers": ["I"]}\n'),
    }
    answer = client.post("/p/zoo/guardrails/", {"name": "bad", "margin": "0.02"} | files)
    assert answer.status_code == 422
    assert "queries.jsonl:2: not valid JSON" in answer.text


@pytest.mark.parametrize(("role", "made"), [(Membership.Role.ENGINEER, True), (Membership.Role.REVIEWER, False)])
def test_only_a_project_one_may_look_into_can_be_chosen(
    client: Client, mona: User, project: Project, corpus: Corpus, settle: Callable[..., Query], role: str, made: bool
) -> None:
    for number in range(6):
        settle(f"Who is number {number}?", {"lion": 3})
    park = Project.objects.create(slug="park", name="Park", corpus=corpus)
    Membership.objects.create(project=park, user=mona, role=Membership.Role.MANAGER)
    Membership.objects.filter(project=project, user=mona).update(role=role)
    client.force_login(mona)
    client.post("/p/park/guardrails/", {"name": "zoo", "margin": "0.02", "source": project.pk})
    assert GuardrailSet.objects.filter(name="zoo").exists() is made


def test_the_command_adds_one(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("guard_set", "home", project="zoo", folder=write_set(tmp_path), json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["guard_set"], told["queries"], told["origin"]) == ("home", 6, "folder")


def test_the_encoder_row_is_untouched(keyword_encoder: Encoder, project: Project, release: Release) -> None:
    before = Encoder.objects.values().get(pk=keyword_encoder.pk)
    guardrails.measure(evaluation(project, release, lifecycle.next_release(project), Component.RETRIEVER), quiet)
    assert Encoder.objects.values().get(pk=keyword_encoder.pk) == before
