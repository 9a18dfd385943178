"""What happened in the recorded data folder before its cycles were killed, by the acts of commit 2b4bedf.

`record_2b4bedf.py` runs this file inside a checkout of that commit: `models FOLDER` writes the two packages of random
weights, `fill FOLDER` everything that people and one cycle did.
"""

# ruff: noqa: I001 (modules of that commit are sorted as the project's own only where they still exist)

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from texts_2b4bedf import MORE_ASKED, MORE_PASSAGES, PARK, PARK_ASKED

PASSWORD = "correct horse battery"
# The settings of the finished cycle: few steps, and strong enough ones that new weights win on the dev split.
SETTINGS = {
    "retriever": {"roads": ["both"], "both_batch": 8, "both_lr": 1e-5, "both_beginnings": [8]},
    "generator": {"most_steps": 6, "looks": 2, "dev_instances": 4, "batch": 4, "rank": 4, "alpha": 8},
    "reranker": {"enabled": True},
    "score_seconds": 30,
}


# The two packages


def write_models(packages: Path) -> None:
    """An encoder that knows the words of the two collections, and a generator that reads bytes."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    from tests import tiny

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        tiny._tiny_bert(work, _words(), hears_places=False)
        layers = Transformer(str(work / "bert"), max_seq_length=60)
        whole = SentenceTransformer(modules=[layers, Pooling(32), Normalize()], device="cpu")
        whole.save(str(packages / "upgrade_encoder" / "weights"), create_model_card=False)
    generator = packages / "upgrade_generator" / "weights"
    tiny.tiny_generator(generator)
    _round_weights(generator / "model.safetensors", torch)
    for package in ("upgrade_encoder", "upgrade_generator"):
        (packages / package / "__init__.py").touch()


def _round_weights(path: Path, torch: Any) -> None:
    """Weights of two bytes' precision: their second halves are zeros, which compress well."""
    from safetensors.torch import load_file, save_file

    rounded = {name: weight.to(torch.bfloat16).to(weight.dtype) for name, weight in load_file(path).items()}
    save_file(rounded, path, metadata={"format": "pt"})


def _words() -> list[str]:
    from tests.conftest import ZOO
    from tests.tuning.conftest import ASKED

    texts = [*ZOO.values(), *ASKED, *MORE_PASSAGES.values(), *MORE_ASKED, *PARK.values(), *PARK_ASKED]
    words = {word.strip(".,?!").lower() for text in texts for word in text.split()}
    return sorted(words | {".", ",", "?"})


# The zoo


@dataclass
class Zoo:
    """The first project, its people by name, and what was asked so far."""

    project: Any
    people: dict[str, Any]
    asked: int = 0

    @property
    def passages(self) -> dict[str, Any]:
        return {passage.external_id: passage for passage in self.project.corpus.passages.active()}

    def ask(self, text: str, **fields: Any) -> Any:
        from curation import asking

        self.asked += 1
        return asking.ask(self.project, text, external_id=f"z{self.asked}", **fields)


def fill() -> None:
    """Everything that happens inside one process; the folder of the settings is empty but for its tables."""
    random.seed(1)
    zoo = _found_zoo()
    _settle_most(zoo)
    _disagree(zoo)
    _leave_unfinished(zoo)
    _propagate(zoo)
    _edit_passages(zoo)
    _make_rules(zoo)
    _found_park()
    _go_round(zoo)
    _add_reranker(zoo)
    _vote_and_ask_again(zoo)
    _draw_curve(zoo)


def _found_zoo() -> Zoo:
    from django.core.management import call_command

    from curation import arranging, serving
    from curation.models import Project
    from retrieval import ingesting
    from retrieval.models import Corpus
    from tests.conftest import ZOO

    corpus = Corpus.objects.create(slug="zoo", name="Zoo")
    sources = [
        ingesting.Source(name, name.title(), text, {"of": "zoo"}) for name, text in (ZOO | MORE_PASSAGES).items()
    ]
    ingesting.ingest(corpus, sources, whole=True)
    project = Project.objects.create(slug="zoo", name="Zoo guide", corpus=corpus, pool_depth=6)
    zoo = Zoo(project, _admit(project))
    manager = zoo.people["mona"]
    for text in ("Grade what you read.", "Grade what you read.\n\n*Not* what you know."):
        arranging.write_guidelines(project, text, actor=manager)
    rules = {"review_gap": 2, "lease_seconds": 1234, "random_share": 0.75, "judges_edits": True, "description": "Zoo."}
    arranging.change(project, rules, actor=manager)
    project.refresh_from_db()
    call_command("build_index", project="zoo")
    assert serving.serving(project).number == 1
    return zoo


def _admit(project: Any) -> dict[str, Any]:
    """People of every role, one who is paused and one who left."""
    from django.contrib.auth.models import User
    from rest_framework.authtoken.models import Token

    from curation import staffing
    from curation.models import Membership, Preferences

    roles = {"mona": "manager", "alice": "annotator", "ben": "annotator", "bob": "reviewer", "erin": "engineer"}
    people = {name: User.objects.create_user(name, password=PASSWORD) for name in (*roles, "dan", "pia")}
    people["root"] = User.objects.create_superuser("root", password=PASSWORD)
    Membership.objects.create(project=project, user=people["mona"], role="manager")
    for name, role in (*roles.items(), ("dan", "annotator"), ("pia", "annotator")):
        if name != "mona":
            staffing.admit(project, people[name], role, daily_quota=40, actor=people["mona"])
    staffing.dismiss(project.memberships.get(user=people["dan"]), actor=people["mona"])
    staffing.change(project.memberships.get(user=people["pia"]), "annotator", 5, True, actor=people["mona"])
    Token.objects.create(user=people["erin"], key="0" * 40)
    Preferences.objects.create(user=people["alice"], keys={"grade_0": "q"}, mark_words=False)
    return people


def _judge(query: Any, person: Any, grades: Mapping[str, int | None], answer: str, *, is_in_hand: bool = False) -> Any:
    """One person's work on one query through the acts of the page; passages that `grades` lacks get 0."""
    from curation import assigning, judging

    assignment = assigning.claim(query, person)
    for position, shown in enumerate(assignment.ranking.shown.select_related("passage"), start=1):
        grade = grades.get(shown.passage.external_id, 0)
        spans = [[0, 9]] if grade == 3 else None
        judging.record(assignment, shown.passage_id, grade, position=position, seconds=2.5, evidence=spans)
    if answer:
        cited = [shown.passage_id for shown in assignment.ranking.shown.all()][:1]
        judging.write_answer(assignment, answer, citations=[{"sentence": answer, "passage": pk} for pk in cited])
    else:
        judging.mark_unanswerable(assignment)
    if not is_in_hand:
        judging.submit(assignment)
    return assignment


def _settle_most(zoo: Zoo) -> None:
    """One person's grades and answer settle each; the first few answers are edits of a draft."""
    from curation import asking
    from curation.models import Ranking
    from tests.tuning.conftest import ASKED

    for number, (text, (grades, answer)) in enumerate((ASKED | MORE_ASKED).items()):
        query = zoo.ask(text, user=zoo.people["bob"], source="api" if number % 5 == 0 else "page")
        if number < 6:
            asking.draft(Ranking.objects.get(query=query))
        _judge(query, zoo.people["alice" if number % 3 else "ben"], grades, answer)


def _disagree(zoo: Zoo) -> None:
    """Queries of two judges, by every way in which a review can go, and one that is made a gold question."""
    from curation import arranging, assigning, judging, reviewing

    alice, ben, bob = (zoo.people[name] for name in ("alice", "ben", "bob"))

    def judged_twice(text: str, first: int, second: int) -> Any:
        """The grades are those of the passage that the search put first."""
        query = zoo.ask(text)
        arranging.set_overlap(query, 2, actor=bob)
        arranging.follow_overlap(zoo.project)
        query.refresh_from_db()
        name = query.rankings.get().shown.first().passage.external_id
        _judge(query, alice, {name: first}, "The whale.")
        _judge(query, ben, {name: second}, "A whale, I think.")
        query.refresh_from_db()
        return query

    reviewing.make_gold(judged_twice("Whose songs travel for miles?", 3, 2), bob)
    gold = assigning._claim_gold(zoo.project, zoo.people["erin"])
    for passage_id in gold.order:
        judging.record(gold, passage_id, 3)
    judging.submit(gold)
    settled, returned, withdrawn = (
        judged_twice(text, 3, 0)
        for text in ("Which animal is the largest?", "Who sings under water?", "Who is never alone?")
    )
    grades = {pk: 2.0 for pk in settled.assignments.first().order}
    reviewing.settle(settled.reviews.get(), bob, grades, "The whale.")
    turn = returned.assignments.get(curator=ben)
    reviewing.return_to_curator(returned.reviews.get(), bob, turn, "Look at the whale again.")
    judging.withdraw(withdrawn.judgements.standing().filter(curator=ben).order_by("pk").first())
    again = zoo.ask("Which animal has no stripes?")
    _judge(again, alice, {"lion": 2, "zebra": 1}, "The lion.")
    reviewing.reopen(again, bob, "Many animals have none.")


def _leave_unfinished(zoo: Zoo) -> None:
    """Open, claimed, flagged, skipped and expired work, a grade that was cleared, and queries from a file."""
    from django.core.management import call_command
    from django.utils import timezone

    from curation import assigning, judging
    from curation.models import Assignment

    alice, ben = zoo.people["alice"], zoo.people["ben"]
    for text in ("What does the keeper carry?", "Is there a train?", "May dogs come in?"):
        zoo.ask(text)
    flagged = _judge(zoo.ask("Are bats blind?"), alice, {"bat": 2}, "No.", is_in_hand=True)
    judging.flag(flagged, "The corpus is not sure.")
    judging.submit(flagged)
    assigning.skip(assigning.claim(zoo.ask("Why is the panda black?"), alice), "I do not know.")
    late = assigning.claim(zoo.ask("Why is the zebra white?"), ben)
    Assignment.objects.filter(pk=late.pk).update(lease_until=timezone.now() - timedelta(hours=1))
    assigning.expire()
    held = _judge(zoo.ask("Does the frog sing?"), alice, {"frog": 1}, "", is_in_hand=True)
    judging.clear(held, held.order[0])
    passages = zoo.passages
    rows = [
        {"_id": f"given-{name}", "text": f"What is a {name}?", "passages": [passages[name].external_id], "answer": "?"}
        for name in ("bear", "camel")
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queries.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        call_command("import_queries", path, project="zoo")


def _propagate(zoo: Zoo) -> None:
    """Grades offered to paraphrases: one confirmed, one refused, one overtaken, the others waiting."""
    from curation import confirming, passing, valuing

    bob = zoo.people["bob"]
    for text in ("Which animals sleep and hunt at night?", "Who can sleep three years?", "Which bird uses a tool?"):
        zoo.ask(text)
    assert passing.offer_all(zoo.project) > 4
    offers = list(zoo.project.provisional_grades.order_by("query", "pk"))
    confirming.confirm(zoo.project, [offers[0].pk], bob)
    confirming.refuse(zoo.project, [offers[1].pk], bob)
    _judge(offers[-1].query, zoo.people["ben"], {"crow": 3}, "The crow.")
    passing.offer_all(zoo.project)
    valuing.revalue(zoo.project)


def _edit_passages(zoo: Zoo) -> None:
    """Two passages say something new: their judgements expire, and top-ups ask for the new text."""
    from django.utils import timezone

    from curation import assigning, expiring, judging
    from curation.models import Assignment
    from retrieval import ingesting
    from tests.conftest import ZOO

    began = timezone.now()
    texts = ZOO | MORE_PASSAGES
    texts |= {"lion": texts["lion"].replace("most of the day", "all day"), "camel": "A camel drinks once a week."}
    sources = [ingesting.Source(name, name.title(), text, {"of": "zoo"}) for name, text in texts.items()]
    ingesting.ingest(zoo.project.corpus, sources, whole=True)
    assert expiring.note(zoo.project.corpus, began).judgements
    for row in Assignment.objects.open().filter(is_top_up=True).order_by("pk")[:2]:
        turn = assigning._take(row, zoo.project, zoo.people["erin"], Assignment.Drawn.VALUE, row.reasons)
        for passage_id in turn.order:
            judging.record(turn, passage_id, 1)
        judging.submit(turn)


def _make_rules(zoo: Zoo) -> None:
    """Guard sets of every origin, a policy with no value of its defaults, a licence."""
    from tuning import guarding, ruling

    erin = zoo.people["erin"]
    for guard in guarding.sets_of(zoo.project):
        if guard.name == "closed-book":
            ruling.change_guard(guard, {"is_active": False, "margin": 0.07}, actor=erin)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = ["oak", "pond", "rose", "lamp", "path", "swing"]
        _write_lines(folder / "queries.jsonl", [{"_id": f"q-{one}", "text": f"Where is the {one}?"} for one in names])
        _write_lines(folder / "corpus.jsonl", [{"_id": one, "text": PARK[one]} for one in names])
        _write_lines(folder / "answers.jsonl", [{"_id": f"q-{one}", "answers": ["There."]} for one in names])
        (folder / "qrels.tsv").write_text(
            "query-id\tcorpus-id\tscore\n" + "".join(f"q-{one}\t{one}\t3\n" for one in names)
        )
        guarding.from_folder(zoo.project, folder, "trees", 0.06, actor=erin)
    policy = {
        "is_active": False,
        "least_new_queries": 17,
        "most_every_hours": 36.5,
        "only": "retriever",
        "gate": "never",
        "guard_margin": 0.023,
        "asks": "not_worse",
        "guard_rule": "difference",
        "log_margin": 0.75,
        "least_judged": 0.125,
        "most_rerank_ms": 450.0,
        "reranker": True,
    }
    ruling.change_policy(zoo.project, policy, actor=erin)
    ruling.change_licence(zoo.project.corpus, "CC-BY-4.0", actor=erin)


def _write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _go_round(zoo: Zoo) -> None:
    """One whole cycle of both halves and a reranker, which is promoted; back to the base, and forward again."""
    from curation import serving
    from tuning import turning
    from tuning.models import Run

    turn = turning.start(zoo.project, gate="always", seed=3, settings=dict(SETTINGS))
    while turn.state == "queued":
        assert turning.advance(turn, "recorder:1:0")
    assert turn.state == "done", turn.reason
    print({run.part: run.record.get("choice") for run in Run.objects.all()}, turn.evaluation.decision.reason)
    assert serving.roll_back(zoo.project, zoo.people["erin"]).number == 1
    serving.switch(turn.challenger, zoo.people["erin"])


def _add_reranker(zoo: Zoo) -> None:
    """The release of the cycle with a reranker of random weights behind it, put in service by a person."""
    from curation import serving
    from retrieval.engine import artifacts
    from retrieval.models import Reranker
    from sentence_transformers import CrossEncoder
    from tests import tiny
    from tuning.engine.checkpoints import save_reranker

    target = Path("rerankers/zoo")
    data = Path(os.environ["DATA_DIR"])
    with tempfile.TemporaryDirectory() as name:
        tiny._tiny_bert(Path(name), _words(), hears_places=True)
        model = CrossEncoder(str(Path(name) / "bert"), num_labels=1, max_length=60, device="cpu")
    tiny._draw(model.model.bert, std=0.5, seed=1)  # far apart, so that number formats of two bytes change no order
    tiny._draw(model.model.classifier, std=1, seed=5)
    save_reranker(model, data / target, {})
    row = Reranker.objects.create(name="loud", path=str(target), sha256=artifacts.folder_hash(data / target))
    release = serving.next_release(zoo.project, reranker=row, rerank_depth=5, rerank_share=0.6)
    serving.switch(release, zoo.people["erin"])


def _vote_and_ask_again(zoo: Zoo) -> None:
    """Blind votes of three people; a query that the new release ranked and drafted; a second cycle, declined."""
    from curation import asking
    from curation.models import Ranking
    from tuning import turning, voting
    from tuning.models import Pair

    for pair in Pair.objects.order_by("pk"):
        for name, choice in (("bob", "a"), ("erin", "tie"), ("mona", "neither")):
            voting.vote(pair, zoo.people[name], choice)
    assert Pair.objects.exists()
    query = zoo.ask("Which animal eats bamboo all day?")
    asking.draft(Ranking.objects.get(query=query))
    _judge(query, zoo.people["alice"], {"panda": 3}, "The panda does.")
    declined = turning.start(zoo.project, only="retriever", gate="never", settings=dict(SETTINGS))
    turning.advance(declined, "recorder:1:0")
    turning.cancel(declined, "No longer wanted.")


def _draw_curve(zoo: Zoo) -> None:
    from tuning import learning

    small = {"retriever": {"roads": ["adapter"], "adapter_epochs": 1}}
    curve = learning.start(zoo.project, sizes=[5, 9], settings=small)
    assert learning.draw(curve, "recorder:1:0") and curve.state == "done", curve.reason


# The park


def _found_park() -> None:
    """A collection in the format of BEIR, whose grades come settled."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from curation.models import Membership, Project

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "qrels").mkdir()
        others = [*PARK]
        _write_lines(folder / "corpus.jsonl", [{"_id": one, "title": "", "text": text} for one, text in PARK.items()])
        rows = [(f"p{number}", text, right) for number, (text, right) in enumerate(PARK_ASKED.items())]
        _write_lines(folder / "queries.jsonl", [{"_id": pk, "text": text} for pk, text, _right in rows])
        _write_lines(folder / "answers.jsonl", [{"_id": pk, "answers": [PARK[right]]} for pk, _text, right in rows])
        lines = [f"{pk}\t{right}\t3\n" for pk, _text, right in rows]
        lines += [f"{pk}\t{others[(number + 5) % 10]}\t0\n" for number, (pk, _text, _right) in enumerate(rows)]
        (folder / "qrels" / "all.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
        call_command("import_beir", folder, project="park", judge_split="all", curator="alice")
    call_command("build_index", project="park")
    project, users = Project.objects.get(slug="park"), User.objects.in_bulk(field_name="username")
    Membership.objects.create(project=project, user=users["mona"], role="manager")


if __name__ == "__main__":
    import django

    django.setup()
    if sys.argv[1] == "models":
        write_models(Path(sys.argv[2]) / "packages")
    else:
        fill()
