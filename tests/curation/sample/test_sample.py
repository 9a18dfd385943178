"""The sample project: its text comes from this Python, its keys hold, and loading it twice is loading it once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from curation.annotation import assignments, judgements
from curation.core import labels
from curation.models import Assignment, Judgement, Project, Query, Review
from curation.sample import corpus, load, questions, remove
from curation.sample.corpus import SamplePassage
from curation.sample.passage_names import Resolver
from curation.sample.people import LOGINS
from retrieval.models import Encoder

FOLDER = Path(questions.__file__).parent
# Settled by one; by two who agree; before a reviewer; unanswerable; waiting.
A_FEW = ["ask-002", "ask-007", "ask-008", "ask-062", "ask-067", "ask-104"]


@pytest.fixture(scope="module")
def found() -> corpus.SampleCorpus:
    return corpus.read()


@pytest.fixture(scope="module")
def sample(found: corpus.SampleCorpus) -> questions.Sample:
    return questions.read(Resolver(found.passages))


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
    from retrieval.index import index_builds

    return index_builds.encoder_from(str(words_folder))


@pytest.fixture(scope="module")
def few(found: corpus.SampleCorpus, sample: questions.Sample) -> corpus.SampleCorpus:
    """As much of the text as the few questions need, so that it is embedded in no time."""
    turns = [turn for one in sample.questions if one.external_id in A_FEW for turn in one.turns]
    needed = {name for turn in turns for name in turn.grades}
    return corpus.SampleCorpus([one for one in found.passages if one.external_id in needed])


def rows(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def test_this_python_has_about_fifteen_hundred_passages(found: corpus.SampleCorpus) -> None:
    assert 1300 <= len(found.passages) <= 1900
    assert sum(one.key.startswith(corpus.REFERENCE) for one in found.passages) >= 400
    assert found.missing_modules == []


def test_every_passage_has_an_id_of_its_own_and_a_length_that_an_encoder_reads(found: corpus.SampleCorpus) -> None:
    assert len({one.external_id for one in found.passages}) == len(found.passages)
    assert max(len(one.text) for one in found.passages) <= 1.2 * corpus.MOST_CHARS
    assert not any(" at 0x" in one.title for one in found.passages)


def test_the_same_python_gives_the_same_passages(found: corpus.SampleCorpus) -> None:
    assert corpus.read().passages == found.passages


def test_what_a_large_topic_repeats_stays_with_the_small_one() -> None:
    shared = "The same words stand in both topics, and they are long enough to be recognised."
    topics = {"small": f"Small\n*****\n\n{shared}\n", "large": f"Large\n*****\n\nIts own.\n\nPart\n====\n\n{shared}\n"}

    found = corpus.reference_passages(topics)

    assert [(one.key, one.title) for one in found] == [("reference/small", "Small"), ("reference/large", "Large")]


def test_an_entry_begins_a_passage_and_a_stub_joins_the_one_before() -> None:
    first, second, stub = "f(a)", "   " + "Words. " * 30, "The end."

    assert corpus.pack([first, second, first, second, stub]) == [
        f"{first}\n\n{second}",
        f"{first}\n\n{second}\n\n{stub}",
    ]


def test_the_sample_holds_what_it_promises(sample: questions.Sample) -> None:
    unanswerable = [one for one in sample.questions if one.is_unanswerable]
    judged = [one for one in sample.questions if one.turns]

    assert len(sample.questions) >= 110
    assert len(unanswerable) >= 14
    assert {bool(one.turns) for one in unanswerable} == {True, False}
    assert len(judged) >= 64
    assert all(len(one.turns[0].grades) >= 9 for one in judged)
    assert sum(len(one.cited) >= 2 for one in sample.questions) >= 30
    assert 0.4 <= len(judged) / len(sample.questions) <= 0.6


def test_the_keys_hold_on_this_python(sample: questions.Sample) -> None:
    assert len(sample.unmatched) <= 0.05 * sample.keys, sample.unmatched
    without = [one.external_id for one in sample.questions if not one.is_unanswerable and not one.cited]
    assert len(without) <= 0.05 * len(sample.questions), without


def test_what_an_answer_cites_was_graded_as_helping(sample: questions.Sample) -> None:
    for one in sample.questions:
        if one.turns and not one.is_unanswerable:
            first = one.turns[0].grades
            assert max(first.get(name, 0) for name in one.cited) >= 2, one.external_id
        if one.turns and one.is_unanswerable:
            assert max(grade for turn in one.turns for grade in turn.grades.values()) <= 1, one.external_id


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


def test_a_key_is_found_through_other_quotes_other_cuts_and_other_places() -> None:
    resolver = Resolver(
        [
            SamplePassage("reference/with", 0, "", "The **with** statement “wraps” a block."),
            SamplePassage("reference/with", 1, "", "It was cut elsewhere. The exit method is called last."),
            SamplePassage("reference/compound", 0, "", "A stretch that has moved to another topic."),
            SamplePassage("os.walk", 0, "", "Worded anew in this version."),
            SamplePassage("re", 0, "", "One of two."),
            SamplePassage("re", 1, "", "Two of two."),
        ]
    )

    assert resolver.find("reference/with", 'the "with" statement wraps') == "reference/with#0"
    assert resolver.find("reference/with", "the exit method is called") == "reference/with#1"
    assert resolver.find("reference/with", "stretch that has moved") == "reference/compound#0"
    assert resolver.find("os.walk", "words that stood there before") == "os.walk#0"
    assert resolver.find("re", "words that stood there before") is None
    assert resolver.find("re", "of two") is None
    assert resolver.find("reference/gone", "no such words") is None


def test_loading_settles_what_was_judged_and_leaves_the_rest_to_do(
    words_encoder: Encoder, few: corpus.SampleCorpus
) -> None:
    loaded = load.load(encoder=words_encoder, corpus=few, only=A_FEW)

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
    assert "apart" in labels.why(Review.objects.waiting().get())
    assert Judgement.objects.submitted().count() == loaded.judgements
    settled = Review.objects.current().get(query__external_id="ask-002")
    assert settled.answer.startswith("A default value is evaluated once")
    best = settled.grades.order_by("-grade").first()
    assert best is not None and best.passage.external_id.startswith("reference/function#") and best.grade == 3
    assert project.releases.serving().get().number == 1
    assert project.guidelines.get().text.startswith("# How to judge")


def test_a_waiting_question_is_frozen_as_the_base_ranked_it(words_encoder: Encoder, few: corpus.SampleCorpus) -> None:
    load.load(encoder=words_encoder, corpus=few, only=A_FEW)

    waiting = Query.objects.get(external_id="ask-067")
    ranking = waiting.rankings.get()
    assert ranking.release is not None and ranking.release.number == 1
    assert [shown.rank for shown in ranking.shown.all()] == list(range(1, 11))
    assert waiting.assignments.get().state == Assignment.State.OPEN


def test_what_the_search_missed_was_added_by_its_judge(
    words_encoder: Encoder, found: corpus.SampleCorpus, sample: questions.Sample
) -> None:
    grades = next(one for one in sample.questions if one.external_id == "ask-002").turns[0].grades
    judged = corpus.SampleCorpus([one for one in found.passages if one.external_id in grades])

    load.load(encoder=words_encoder, corpus=judged, only=["ask-002"])

    ranking = Query.objects.get(external_id="ask-002").rankings.get()
    assert ranking.release is not None
    added = ranking.shown.filter(added_by__username="ana", score=None)
    assert ranking.shown.exclude(pk__in=added).count() == 10
    assert added.count() == len(grades) - 10


def test_the_keys_hold_when_the_text_is_cut_elsewhere_and_marked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "MOST_CHARS", 850)
    monkeypatch.setattr(corpus, "GOOD_CHARS", 600)
    marked = [
        replace(one, text=one.text.replace('"', "``").replace("Return", "*Return*").replace(" ::= ", ": "))
        for one in corpus.read().passages
    ]

    drifted = questions.read(Resolver(marked))

    assert len(drifted.unmatched) <= 0.05 * drifted.keys, drifted.unmatched


def test_everybody_can_sign_in(words_encoder: Encoder, few: corpus.SampleCorpus) -> None:
    load.load(encoder=words_encoder, corpus=few, only=[])

    for title, name, password in LOGINS:
        user = authenticate(username=name, password=password)
        assert user is not None, title
        assert Project.objects.visible_to(user).exists()
    assert {title for title, _name, _password in LOGINS} == {"curator", "reviewer", "admin"}


def test_a_second_load_leaves_peoples_work_alone(words_encoder: Encoder, few: corpus.SampleCorpus) -> None:
    load.load(encoder=words_encoder, corpus=few, only=A_FEW)
    project = Project.objects.get(slug="python")
    ana = authenticate(username="ana", password="tandem")
    assert ana is not None
    mine = assignments.claim(Query.objects.get(external_id="ask-067"), ana)
    judgements.record(mine, mine.order[0], 3)

    again = load.load(encoder=words_encoder, corpus=few, only=A_FEW)

    assert again.added == 0
    assert project.queries.count() == len(A_FEW)
    assert project.corpus.builds.count() == project.releases.count() == 1
    assert Judgement.objects.standing().filter(assignment=mine).count() == 1


def test_a_load_that_was_cut_off_is_carried_to_its_end(
    words_encoder: Encoder, few: corpus.SampleCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(judgements, "submit", cut)
        with pytest.raises(KeyboardInterrupt):
            load.load(encoder=words_encoder, corpus=few, only=A_FEW)

    loaded = load.load(encoder=words_encoder, corpus=few, only=A_FEW)

    assert (loaded.added, loaded.settled, loaded.in_review) == (len(A_FEW), 3, 1)


def test_fresh_throws_the_project_away_and_keeps_the_index(words_encoder: Encoder, few: corpus.SampleCorpus) -> None:
    load.load(encoder=words_encoder, corpus=few, only=A_FEW)
    before = Project.objects.get(slug="python")

    assert remove.remove("python")
    assert not Project.objects.filter(slug="python").exists()
    assert not Judgement.objects.exists()
    load.load(encoder=words_encoder, corpus=few, only=A_FEW)

    after = Project.objects.get(slug="python")
    assert after.pk != before.pk
    assert after.corpus.builds.get() == after.releases.serving().get().build
    assert not remove.remove("no-such-project")


def test_known_passwords_are_not_put_where_strangers_reach_the_pages(db: None, settings: object) -> None:
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
    text = corpus.unwrapped(f"{prose}\n\n{code}\n\n{table}")
    assert text.split("\n\n") == [" ".join(lines), code, table]
