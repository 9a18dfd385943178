"""Sample project: its passages come from this Python, its passage names resolve, and a second load changes nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from curation.annotation import claims, judgements
from curation.core import labels
from curation.models import Assignment, Judgement, Project, Query, Review
from curation.sample import corpus, load, questions, remove
from curation.sample.corpus import SamplePassage
from curation.sample.passage_names import PassageNames
from curation.sample.people import LOGINS
from retrieval.models import Encoder

FOLDER = Path(questions.__file__).parent
# Settled by one person; by two who agree; in review; unanswerable; open.
FEW_QUESTIONS = ["ask-002", "ask-007", "ask-008", "ask-062", "ask-067", "ask-104"]


@pytest.fixture(scope="module")
def python_corpus() -> corpus.SampleCorpus:
    return corpus.read_corpus()


@pytest.fixture(scope="module")
def sample(python_corpus: corpus.SampleCorpus) -> questions.Sample:
    return questions.read_sample(PassageNames(python_corpus.passages))


@pytest.fixture(scope="session")
def words_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder whose vector of a text counts a few common words."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    folder = tmp_path_factory.mktemp("words")
    vocabulary = ["class", "function", "list", "dict", "file", "string", "exception", "loop", "return", "module"]
    SentenceTransformer(modules=[modules.BoW(vocabulary), modules.Normalize()], device="cpu").save(str(folder))
    return folder


@pytest.fixture
def words_encoder(db: None, words_folder: Path) -> Encoder:
    from retrieval.index import encoders

    return encoders.get_or_create(str(words_folder))


@pytest.fixture(scope="module")
def few(python_corpus: corpus.SampleCorpus, sample: questions.Sample) -> corpus.SampleCorpus:
    """The passages that the few questions need, so that embedding them is fast."""
    assignments = [work for one in sample.questions if one.external_id in FEW_QUESTIONS for work in one.assignments]
    needed = {name for work in assignments for name in work.grades}
    return corpus.SampleCorpus([one for one in python_corpus.passages if one.external_id in needed])


def rows(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def test_this_python_has_about_fifteen_hundred_passages(python_corpus: corpus.SampleCorpus) -> None:
    assert 1300 <= len(python_corpus.passages) <= 1900
    assert sum(one.key.startswith(corpus.REFERENCE) for one in python_corpus.passages) >= 400
    assert python_corpus.missing_modules == []


def test_every_passage_has_an_id_of_its_own_and_a_length_that_an_encoder_reads(
    python_corpus: corpus.SampleCorpus,
) -> None:
    assert len({one.external_id for one in python_corpus.passages}) == len(python_corpus.passages)
    assert max(len(one.text) for one in python_corpus.passages) <= 1.2 * corpus.MAX_CHARS
    assert not any(" at 0x" in one.title for one in python_corpus.passages)


def test_the_same_python_gives_the_same_passages(python_corpus: corpus.SampleCorpus) -> None:
    assert corpus.read_corpus().passages == python_corpus.passages


def test_a_section_that_repeats_a_smaller_topic_is_skipped() -> None:
    shared = "The same words stand in both topics, and they are long enough to be recognised."
    topics = {"small": f"Small\n*****\n\n{shared}\n", "large": f"Large\n*****\n\nIts own.\n\nPart\n====\n\n{shared}\n"}

    chunked = corpus.chunk_reference(topics)

    assert [(one.key, one.title) for one in chunked] == [("reference/small", "Small"), ("reference/large", "Large")]


def test_an_entry_begins_a_passage_and_a_short_rest_joins_the_last_one() -> None:
    first, second, stub = "f(a)", "   " + "Words. " * 30, "The end."

    assert corpus.pack_blocks([first, second, first, second, stub]) == [
        f"{first}\n\n{second}",
        f"{first}\n\n{second}\n\n{stub}",
    ]


def test_the_sample_has_the_promised_questions(sample: questions.Sample) -> None:
    unanswerable = [one for one in sample.questions if one.is_unanswerable]
    judged = [one for one in sample.questions if one.assignments]

    assert len(sample.questions) >= 110
    assert len(unanswerable) >= 14
    assert {bool(one.assignments) for one in unanswerable} == {True, False}
    assert len(judged) >= 64
    assert all(len(one.assignments[0].grades) >= 9 for one in judged)
    assert sum(len(one.cited) >= 2 for one in sample.questions) >= 30
    assert 0.4 <= len(judged) / len(sample.questions) <= 0.6


def test_passage_names_resolve_on_this_python(sample: questions.Sample) -> None:
    assert len(sample.unmatched) <= 0.05 * sample.keys, sample.unmatched
    without = [one.external_id for one in sample.questions if not one.is_unanswerable and not one.cited]
    assert len(without) <= 0.05 * len(sample.questions), without


def test_cited_passages_have_a_grade_of_two_or_three(sample: questions.Sample) -> None:
    for one in sample.questions:
        if one.assignments and not one.is_unanswerable:
            first = one.assignments[0].grades
            assert max(first.get(name, 0) for name in one.cited) >= 2, one.external_id
        if one.assignments and one.is_unanswerable:
            assert max(grade for work in one.assignments for grade in work.grades.values()) <= 1, one.external_id


def test_no_text_of_the_documentation_is_shipped_but_a_few_words_each() -> None:
    keys = [str(row["words"]) for row in rows("judgements.jsonl")]
    keys += [str(words) for row in rows("questions.jsonl") for _key, words in row["citations"]]  # type: ignore[attr-defined]

    assert max(len(words.split()) for words in keys) <= 8


def test_the_files_are_in_order() -> None:
    asked = rows("questions.jsonl")
    judged = rows("judgements.jsonl")
    once = Counter((row["question"], row["curator"], row["from"], row["words"]) for row in judged)

    assert len({row["id"] for row in asked}) == len({row["question"] for row in asked}) == len(asked)
    assert {row["question"] for row in judged} <= {row["id"] for row in asked}
    assert {row["grade"] for row in judged} == {0, 1, 2, 3}
    assert max(once.values()) == 1


def test_a_passage_name_resolves_with_other_quotes_other_chunks_and_other_topics() -> None:
    passage_names = PassageNames(
        [
            SamplePassage("reference/with", 0, "", "The **with** statement “wraps” a block."),
            SamplePassage("reference/with", 1, "", "It was cut elsewhere. The exit method is called last."),
            SamplePassage("reference/compound", 0, "", "A stretch that has moved to another topic."),
            SamplePassage("os.walk", 0, "", "Worded anew in this version."),
            SamplePassage("re", 0, "", "One of two."),
            SamplePassage("re", 1, "", "Two of two."),
        ]
    )

    assert passage_names.find("reference/with", 'the "with" statement wraps') == "reference/with#0"
    assert passage_names.find("reference/with", "the exit method is called") == "reference/with#1"
    assert passage_names.find("reference/with", "stretch that has moved") == "reference/compound#0"
    assert passage_names.find("os.walk", "words that stood there before") == "os.walk#0"
    assert passage_names.find("re", "words that stood there before") is None
    assert passage_names.find("re", "of two") is None
    assert passage_names.find("reference/gone", "no such words") is None


def test_a_load_settles_the_judged_questions_and_leaves_the_others_open(
    words_encoder: Encoder, few: corpus.SampleCorpus
) -> None:
    loaded = load.load(encoder=words_encoder, corpus=few, only=FEW_QUESTIONS)

    project = Project.objects.get(slug="python")
    states = {query.external_id: query.state for query in project.queries.all()}
    assert states == {
        "ask-002": "settled",
        "ask-007": "settled",
        "ask-008": "in_review",
        "ask-062": "settled",
        "ask-067": "open",
        "ask-104": "open",
    }
    assert (loaded.settled, loaded.in_review, loaded.open, loaded.unanswerable) == (3, 1, 2, 2)
    assert Review.objects.get(query__external_id="ask-062").is_unanswerable
    assert "Annotators differ by" in labels.describe_reason(Review.objects.waiting().get())
    assert Judgement.objects.submitted().count() == loaded.judgements
    settled = Review.objects.current().get(query__external_id="ask-002")
    assert settled.answer.startswith("A default value is evaluated once")
    best = settled.grades.order_by("-grade").first()
    assert best is not None and best.passage.external_id.startswith("reference/function#") and best.grade == 3
    assert project.releases.live().get().number == 1
    assert project.guidelines.get().text.startswith("# How to judge")


def test_an_open_question_has_the_ranking_of_the_base_release(words_encoder: Encoder, few: corpus.SampleCorpus) -> None:
    load.load(encoder=words_encoder, corpus=few, only=FEW_QUESTIONS)

    waiting = Query.objects.get(external_id="ask-067")
    ranking = waiting.rankings.get()
    assert ranking.release is not None and ranking.release.number == 1
    assert [shown.rank for shown in ranking.shown.all()] == list(range(1, 11))
    assert waiting.assignments.get().state == Assignment.State.OPEN


def test_passages_that_the_search_missed_are_added_by_the_annotator(
    words_encoder: Encoder, python_corpus: corpus.SampleCorpus, sample: questions.Sample
) -> None:
    grades = next(one for one in sample.questions if one.external_id == "ask-002").assignments[0].grades
    judged = corpus.SampleCorpus([one for one in python_corpus.passages if one.external_id in grades])

    load.load(encoder=words_encoder, corpus=judged, only=["ask-002"])

    ranking = Query.objects.get(external_id="ask-002").rankings.get()
    assert ranking.release is not None
    added = ranking.shown.filter(added_by__username="ana", score=None)
    assert ranking.shown.exclude(pk__in=added).count() == 10
    assert added.count() == len(grades) - 10


def test_passage_names_resolve_with_other_chunks_and_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "MAX_CHARS", 850)
    monkeypatch.setattr(corpus, "TARGET_CHARS", 600)
    marked = [
        replace(one, text=one.text.replace('"', "``").replace("Return", "*Return*").replace(" ::= ", ": "))
        for one in corpus.read_corpus().passages
    ]

    drifted = questions.read_sample(PassageNames(marked))

    assert len(drifted.unmatched) <= 0.05 * drifted.keys, drifted.unmatched


def test_all_sample_users_can_sign_in(words_encoder: Encoder, few: corpus.SampleCorpus) -> None:
    load.load(encoder=words_encoder, corpus=few, only=[])

    for title, name, password in LOGINS:
        user = authenticate(username=name, password=password)
        assert user is not None, title
        assert Project.objects.visible_to(user).exists()
    assert {title for title, _name, _password in LOGINS} == {"annotator", "reviewer", "admin"}


def test_a_second_load_leaves_the_work_of_people_unchanged(words_encoder: Encoder, few: corpus.SampleCorpus) -> None:
    load.load(encoder=words_encoder, corpus=few, only=FEW_QUESTIONS)
    project = Project.objects.get(slug="python")
    ana = authenticate(username="ana", password="tandem")
    assert ana is not None
    assignment = claims.claim(Query.objects.get(external_id="ask-067"), ana)
    judgements.record(assignment, assignment.order[0], 3)

    again = load.load(encoder=words_encoder, corpus=few, only=FEW_QUESTIONS)

    assert again.added == 0
    assert project.queries.count() == len(FEW_QUESTIONS)
    assert project.corpus.builds.count() == project.releases.count() == 1
    assert Judgement.objects.not_withdrawn().filter(assignment=assignment).count() == 1


def test_an_interrupted_load_is_completed_by_the_next_one(
    words_encoder: Encoder, few: corpus.SampleCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(judgements, "submit", cut)
        with pytest.raises(KeyboardInterrupt):
            load.load(encoder=words_encoder, corpus=few, only=FEW_QUESTIONS)

    loaded = load.load(encoder=words_encoder, corpus=few, only=FEW_QUESTIONS)

    assert (loaded.added, loaded.settled, loaded.in_review) == (len(FEW_QUESTIONS), 3, 1)


def test_fresh_removes_the_project_and_keeps_the_index(words_encoder: Encoder, few: corpus.SampleCorpus) -> None:
    load.load(encoder=words_encoder, corpus=few, only=FEW_QUESTIONS)
    before = Project.objects.get(slug="python")

    assert remove.remove("python")
    assert not Project.objects.filter(slug="python").exists()
    assert not Judgement.objects.exists()
    load.load(encoder=words_encoder, corpus=few, only=FEW_QUESTIONS)

    after = Project.objects.get(slug="python")
    assert after.pk != before.pk
    assert after.corpus.builds.get() == after.releases.live().get().build
    assert not remove.remove("no-such-project")


def test_known_passwords_are_not_loaded_where_other_machines_reach_the_pages(db: None, settings: object) -> None:
    settings.ALLOWED_HOSTS = ["tandem.example.org"]  # type: ignore[attr-defined]

    with pytest.raises(CommandError, match="--known-passwords") as stopped:
        call_command("demo")

    assert stopped.value.returncode == 2
    assert not Project.objects.exists()


@pytest.mark.slow
def test_the_whole_sample_loads(words_encoder: Encoder) -> None:
    loaded = load.load(encoder=words_encoder)

    assert loaded.questions == len(rows("questions.jsonl"))
    assert loaded.settled >= 58
    assert 2 <= loaded.in_review <= 8
    assert loaded.open >= 50
    assert Project.objects.get(slug="python").queries.filter(is_evaluation=True).exists()


def test_prose_is_unwrapped_and_code_keeps_its_lines() -> None:
    lines = [
        "The statement is used to wrap the execution of a block",
        "with methods that a context manager defines, which then",
        "ends.",
    ]
    prose = "\n".join(lines)
    code = "    with open(path) as file:\n        read_everything_there_is_to_read_in(file)"
    table = "| Operator            | Description of what the operator does |\n| x[index]  | Subscription |"
    text = corpus.unwrap_prose(f"{prose}\n\n{code}\n\n{table}")
    assert text.split("\n\n") == [" ".join(lines), code, table]
