"""Every address × every role × one's own and another project's objects: nothing leaks, nothing is changed from outside.

The table is held against the URL resolver: an address without a row fails. Every text of the other project holds
a word that must never be read, and its rows are compared before and after each request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection, models, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from common.jobs import JobState
from curation.models import (
    Answer,
    Assignment,
    Draft,
    Generator,
    Guidelines,
    Judgement,
    Membership,
    Project,
    Query,
    QueryVector,
    Ranking,
    Release,
    Review,
    SettledGrade,
    ShownPassage,
    SuggestedGrade,
)
from curation.releases import lifecycle
from retrieval.models import Corpus, Document, Encoder, IndexBuild, Passage
from tests.measured import challenge
from tuning.evaluation import guardrails
from tuning.models import ComparisonPair, Cycle, Dataset, Decision, GuardrailSet, LearningCurve, Policy, Run, Vote

SECRET, OURS = "marzipan", "walnut"

ANYBODY, SIGNED_IN = "anybody", "signed in"
ROLES = ANNOTATOR, REVIEWER, ENGINEER, MANAGER = Membership.Role.values
ANONYMOUS, STRANGER = "anonymous", "stranger"
LADDER = [ANONYMOUS, STRANGER, *ROLES]
METHODS = ("get", "post")
PARTS = ("retrieval", "curation", "tuning")


@dataclass
class Stage:
    """One project with something of everything in it; the work of each person is a query of its own."""

    project: Project
    passage: Passage
    unshown: Passage
    settled: Query
    waiting: Review
    release: Release
    work: dict[str, Assignment]
    member: Membership
    cycle: Cycle
    run: Run
    guardrail_set: GuardrailSet
    pair: ComparisonPair
    curve: LearningCurve
    dataset: Dataset
    judgement: Judgement


Body = Callable[[Stage, str], dict[str, Any]]


def _nothing(stage: Stage, role: str) -> dict[str, Any]:
    return {}


def _passage(stage: Stage, role: str) -> dict[str, Any]:
    return {"passage": stage.passage.pk, "grade": "2"}


def _unshown(stage: Stage, role: str) -> dict[str, Any]:
    return {"passage": stage.unshown.pk}


def _citing(stage: Stage, role: str) -> dict[str, Any]:
    return {"text": "So.", "citations": [{"sentence": "So.", "passage": stage.passage.pk}]}


def _beside(stage: Stage, role: str) -> dict[str, Any]:
    return {"beside": stage.work[role].pk}


def _graded(stage: Stage, role: str) -> dict[str, Any]:
    return {f"grade-{stage.passage.pk}": "2", "answer": "So."}


def _returned(stage: Stage, role: str) -> dict[str, Any]:
    work = Assignment.objects.submitted().get(query=stage.waiting.query_id)
    return {"assignment": work.pk, "comment": "Look again."}


def _offered(stage: Stage, role: str) -> dict[str, Any]:
    return {"offers": [stage.project.suggested_grades.get().pk], "decision": "refuse"}


def _offered_ids(stage: Stage, role: str) -> dict[str, Any]:
    return {"ids": [stage.project.suggested_grades.get().pk], "decision": "confirm"}


def _changed(stage: Stage, role: str) -> dict[str, Any]:
    return {f"m{stage.member.pk}-{name}": value for name, value in (("role", MANAGER), ("daily_quota", 9))}


def _asked(stage: Stage, role: str) -> dict[str, Any]:
    return {"query": stage.settled.pk}


def _is(**fields: Any) -> Body:
    return lambda stage, role: fields


POLICY = {
    "min_new_queries": 5,
    "min_hours_between": 1,
    "gate": "auto",
    "target_rule": "better",
    "guardrail_rule": "auto",
    "guardrail_margin": 0.01,
    "log_prob_margin": 0.1,
    "min_judged": 0,
    "max_rerank_ms": 300,
}


@dataclass(frozen=True)
class Row:
    """What one address answers to those it lets in: `least` and the roles above it.

    get, post: 405 for a method it does not take. thing: whose number the address holds. body: what is posted;
    smuggled: the answer when that names things of the other project instead. to_anonymous: where it is not the
    way to the login page.
    """

    least: str
    get: int = 405
    post: int = 405
    thing: str = ""
    body: Body = _nothing
    smuggled: int | None = None
    is_json: bool = False
    to_anonymous: int = 302
    others: dict[str, Any] = field(default_factory=dict)


def _page(least: str, get: int = 200, post: int = 405, **fields: Any) -> Row:
    return Row(least, get, post, **fields)


def _act(post: int = 200, body: Body = _nothing, smuggled: int | None = None) -> Row:
    """What the judge page's script sends about one's own assignment."""
    return Row(ANNOTATOR, 405, post, "work", body, smuggled, is_json=True)


def _api(least: str, get: int = 200, post: int = 405, **fields: Any) -> Row:
    return Row(least, get, post, is_json=True, to_anonymous=401, **fields)


TABLE = {
    "home": _page(SIGNED_IN),
    "login": _page(ANYBODY, 302, 302, to_anonymous=200),
    "set_language": _page(ANYBODY, 302, 302),
    "preferences": _page(SIGNED_IN, post=422),
    "default_keys": _page(SIGNED_IN, 405, 302),
    "curation:project": _page(ANNOTATOR),
    "curation:settings": _page(MANAGER, post=302, body=_is(guidelines="1", **{"g-text": "Read twice."})),
    "curation:audit_log": _page(MANAGER),
    "curation:ask": _page(ANNOTATOR, post=422),
    "curation:queries": _page(ANNOTATOR),
    "curation:query": _page(ANNOTATOR, thing="settled"),
    "curation:overlap": _page(MANAGER, 405, 302, thing="settled", body=_is(overlap=2)),
    "curation:gold": _page(MANAGER, 405, 302, thing="settled"),
    "curation:judge": _page(ANNOTATOR, 302),
    "curation:claim": Row(ANNOTATOR, 405, 200, body=_beside, smuggled=200, is_json=True),
    "curation:assignment": _page(ANNOTATOR, thing="work"),
    "curation:grades": _act(body=_passage, smuggled=409),
    "curation:write_answer": _act(body=_citing, smuggled=200),
    "curation:preview": _act(body=_is(text="*So*")),
    "curation:unanswerable": _act(body=_is(value=True)),
    "curation:flag": _act(body=_is(comment="Odd.")),
    "curation:skip": _act(body=_is(comment="Not mine.")),
    "curation:find_passages": _page(ANNOTATOR, thing="work"),
    "curation:add_passage": _act(body=_unshown, smuggled=409),
    "curation:submit": _act(),
    "curation:undo_submit": _act(),
    "curation:renew": _act(),
    "curation:reviews": _page(REVIEWER),
    "curation:review": _page(REVIEWER, thing="waiting"),
    "curation:settle": _page(REVIEWER, 405, 302, thing="waiting", body=_graded, smuggled=302),
    "curation:return_review": _page(REVIEWER, 405, 302, thing="waiting", body=_returned, smuggled=404),
    "curation:reopen": _page(REVIEWER, 405, 302, thing="settled"),
    "curation:suggested_grades": _page(REVIEWER),
    "curation:decide": _page(REVIEWER, 405, 302, body=_offered, smuggled=302),
    "curation:members": _page(MANAGER, post=302, body=_is(username=STRANGER, role=MANAGER, daily_quota=0)),
    "curation:member": _page(MANAGER, 405, 302, thing="member", body=_changed),
    "curation:remove_member": _page(MANAGER, post=302, thing="member"),
    "curation:quality": _page(MANAGER),
    "curation:quality_csv": _page(MANAGER, others={"name": "people"}),
    "curation:releases": _page(ENGINEER),
    "curation:release": _page(ENGINEER, thing="release"),
    "curation:requeue_regressions": _page(ENGINEER, 405, 302, thing="release", body=_asked, smuggled=302),
    "curation:promote": _page(MANAGER, post=302, thing="release"),
    "curation:roll_back": _page(MANAGER, post=422),
    "tuning:cycles": _page(ENGINEER),
    "tuning:start": _page(ENGINEER, 405, 302, body=_is(gate="never", seed=0)),
    "tuning:policy": _page(MANAGER, post=302, body=_is(**POLICY)),
    "tuning:guardrails": _page(MANAGER, post=422),
    "tuning:change_guardrail_set": _page(MANAGER, 405, 302, thing="guardrail_set", body=_is(margin=0.05)),
    "tuning:learning_curves": _page(ENGINEER, post=302, body=_is(component="retriever", minutes=1)),
    "tuning:learning_curve": _page(ENGINEER, thing="curve"),
    "tuning:learning_curve_points": _page(ENGINEER, thing="curve"),
    "tuning:cancel_learning_curve": _page(ENGINEER, 405, 302, thing="curve"),
    "tuning:datasets": _page(ENGINEER),
    "tuning:licence": _page(MANAGER, 405, 302, body=_is(licence="CC0-1.0")),
    "tuning:dataset": _page(ENGINEER, thing="dataset"),
    "tuning:dataset_card": _page(ENGINEER, thing="dataset"),
    "tuning:dataset_changes": _page(ENGINEER, thing="dataset"),
    "tuning:judgement": _page(ANNOTATOR, thing="judgement"),
    "tuning:withdraw_judgement": _page(ANNOTATOR, 405, 302, thing="judgement"),
    "tuning:release_judgements": _page(ENGINEER, thing="release"),
    "tuning:weights": _page(ENGINEER, 404, thing="run", others={"kind": "trained"}),
    "tuning:merge": _page(ENGINEER, 405, 302, thing="run"),
    "tuning:side_by_side": _page(REVIEWER),
    "tuning:pair": _page(REVIEWER, thing="pair"),
    "tuning:vote": _page(REVIEWER, 405, 302, thing="pair", body=_is(choice="a")),
    "tuning:run": _page(ENGINEER, thing="run"),
    "tuning:run_curves": _page(ENGINEER, thing="run"),
    "tuning:cycle": _page(ENGINEER, thing="cycle"),
    "tuning:cancel": _page(ENGINEER, post=302, thing="cycle"),
    "api:projects": _api(SIGNED_IN),
    "api:queries": _api(ANNOTATOR, post=400),
    "api:query": _api(ANNOTATOR, thing="settled"),
    "api:suggested_grades": _api(REVIEWER, post=200, body=_offered_ids, smuggled=200),
    "api:releases": _api(ANNOTATOR),
    "api:cycles": _api(ENGINEER, post=201, body=_is(gate="never")),
    "api:cycle": _api(ENGINEER, thing="cycle"),
    "api:run_curves": _api(ENGINEER, thing="run"),
    "api:answer_lineage": _api(ENGINEER, thing="settled"),
    "api:judgement_lineage": _api(ANNOTATOR, thing="judgement"),
    "api:release_lineage": _api(ENGINEER, thing="release"),
    "api:release_judgements": _api(ENGINEER, thing="release"),
    "api:release_votes": _api(ENGINEER, thing="release"),
    "api:side_by_side": _api(REVIEWER),
    "api:pair": _api(REVIEWER, thing="pair"),
    "api:vote": _api(REVIEWER, 405, 201, thing="pair", body=_is(choice="a")),
    "api:datasets": _api(ENGINEER),
    "api:dataset": _api(ENGINEER, thing="dataset"),
    "api:dataset_changes": _api(ENGINEER, 404, thing="dataset"),
    "api:learning_curves": _api(ENGINEER, post=201, body=_is(component="retriever")),
    "api:learning_curve": _api(ENGINEER, thing="curve"),
    "schema": _page(ANYBODY, to_anonymous=200),
    "docs": _page(ANYBODY, to_anonymous=200),
    "favicon": _page(ANYBODY, 302, to_anonymous=302),
    "service_worker": _page(ANYBODY, to_anonymous=200),
    "healthz": _page(ANYBODY, to_anonymous=200),
    "readyz": _page(ANYBODY, to_anonymous=200),
    "metrics": _page(ANYBODY, to_anonymous=200),
    "logout": _page(ANYBODY, 405, 302),  # the last: the session is over
}
IN_A_PROJECT = [name for name, row in TABLE.items() if row.least in ROLES]


def _addresses(resolver: URLResolver, space: str = "", before: str = "") -> Iterator[tuple[str, str]]:
    """Name and pattern of every address below this one."""
    for found in resolver.url_patterns:
        address = before + str(found.pattern)
        if isinstance(found, URLPattern):
            yield f"{space}{found.name}", address
        else:
            yield from _addresses(found, f"{space}{found.namespace}:" if found.namespace else space, address)


def test_every_address_has_a_row() -> None:
    found = {name for name, _address in _addresses(get_resolver()) if not name.startswith("admin:")}
    assert found == set(TABLE)


@pytest.fixture
def theirs(db: None, broker: None) -> Stage:
    """The project of other people, first, so that none of its numbers is one of ours."""
    people = {role: User.objects.create_user(f"{SECRET}-{role}") for role in ROLES}
    return _stage("bank", SECRET, people, number=41)


@pytest.fixture
def ours(theirs: Stage) -> Stage:
    return _stage("zoo", OURS, {role: User.objects.create_user(role) for role in ROLES}, number=1)


@pytest.fixture
def clients(ours: Stage) -> dict[str, Client]:
    """Nobody, somebody of no project, and one of each role in ours."""
    User.objects.create_user(STRANGER)
    found = {role: Client() for role in LADDER}
    for person in User.objects.filter(username__in=LADDER):
        found[person.username].force_login(person)
    return found


@pytest.mark.slow
def test_one_s_own_things_answer_by_role(ours: Stage, theirs: Stage, clients: dict[str, Client]) -> None:
    before = _rows(theirs.project)
    wrong = []
    for name, row in TABLE.items():
        for role in LADDER:
            address = _address(name, row, ours, role)
            for method in METHODS:
                answer = _ask(clients[role], method, address, row, row.body(ours, _held(role)), theirs, before)
                wrong += _unlike(answer, _expected(row, role, method), f"{role}: {method} {address}")
    assert wrong == []


def test_another_project_is_not_there(ours: Stage, theirs: Stage, clients: dict[str, Client]) -> None:
    before = _rows()
    wrong = []
    for name in IN_A_PROJECT:
        row = TABLE[name]
        for role in LADDER:
            address = _address(name, row, theirs, role)
            for method in METHODS:
                answer = _ask(clients[role], method, address, row, row.body(theirs, _held(role)))
                wanted = _expected(row, ANONYMOUS if role == ANONYMOUS else STRANGER, method)
                wrong += _unlike(answer, wanted, f"{role}: {method} {address}")
        assert _rows() == before, name
    assert wrong == []


def test_another_project_s_things_are_not_there_under_one_s_own_name(
    ours: Stage, theirs: Stage, clients: dict[str, Client]
) -> None:
    before = _rows()
    wrong = []
    for name in (name for name in IN_A_PROJECT if TABLE[name].thing):
        row = TABLE[name]
        for role in LADDER:
            address = _address(name, row, theirs, role, slug=ours.project.slug)
            for method in METHODS:
                answer = _ask(clients[role], method, address, row, row.body(theirs, _held(role)))
                wrong += _unlike(answer, _expected(row, role, method, is_there=False), f"{role}: {method} {address}")
        assert _rows() == before, name
    assert wrong == []


def test_a_colleague_s_work_is_not_there(ours: Stage, clients: dict[str, Client]) -> None:
    before = _rows()
    wrong = []
    for name in (name for name in IN_A_PROJECT if TABLE[name].thing == "work"):
        row = TABLE[name]
        for role, other in ((ANNOTATOR, MANAGER), (MANAGER, ANNOTATOR)):
            address = _address(name, row, ours, other)
            for method in METHODS:
                answer = _ask(clients[role], method, address, row, row.body(ours, other))
                wrong += _unlike(answer, _expected(row, role, method, is_there=False), f"{role}: {method} {address}")
        assert _rows() == before, name
    assert wrong == []


def test_another_project_s_things_cannot_be_smuggled_in(ours: Stage, theirs: Stage, clients: dict[str, Client]) -> None:
    before = _rows(theirs.project)
    wrong = []
    for name in (name for name in IN_A_PROJECT if TABLE[name].smuggled):
        row = TABLE[name]
        for role in LADDER[LADDER.index(row.least) :]:
            address = _address(name, row, ours, role)
            answer = _ask(clients[role], "post", address, row, row.body(theirs, role), theirs, before)
            wrong += _unlike(answer, row.smuggled or 0, f"{role}: {address}")
    assert wrong == []


def test_the_admin_is_for_nobody_of_a_project(ours: Stage, theirs: Stage, clients: dict[str, Client]) -> None:
    """Being a manager of a project is not being of the staff."""
    before = _rows()
    wrong = []
    for name, pattern in _addresses(get_resolver()):
        if not name.startswith("admin:") or name == "admin:login":
            continue
        address = "/" + re.sub(r"<[^>]+>", "1", pattern.replace("^(?P<app_label>", "curation(").split("(")[0])
        for role in (ANONYMOUS, ANNOTATOR, MANAGER):
            for method in METHODS:
                wrong += _unlike(getattr(clients[role], method)(address), 302, f"{role}: {method} {address}")
    assert wrong == []
    assert _rows() == before


def _expected(row: Row, role: str, method: str, *, is_there: bool = True) -> int:
    """The status by the row and the ladder of roles; 404 for those let in when the thing is not there for them."""
    taken = row.get if method == "get" else row.post
    if row.to_anonymous == 401 and role == ANONYMOUS:
        return 401
    if taken == 405:
        return 405
    if role == ANONYMOUS:
        return taken if row.least == ANYBODY and row.to_anonymous == 302 else row.to_anonymous
    if row.least in (ANYBODY, SIGNED_IN):
        return taken
    if role == STRANGER:
        return 404
    if LADDER.index(role) < LADDER.index(row.least):
        return 403
    return taken if is_there else 404


def _unlike(answer: HttpResponse, wanted: int, what: str) -> list[str]:
    """What is wrong with the answer: another status, or the secret in it."""
    said = answer.content.decode() + str(dict(answer.headers))
    wrong = [] if answer.status_code == wanted else [f"{what}: {answer.status_code}, not {wanted}"]
    return wrong + ([f"{what}: tells the secret"] if SECRET in said.lower() else [])


def _held(role: str) -> str:
    """Whose work somebody without any tries to get at."""
    return role if role in ROLES else ANNOTATOR


def _address(name: str, row: Row, stage: Stage, role: str, slug: str = "") -> str:
    fields = dict(row.others)
    if row.least in ROLES:
        fields["slug"] = slug or stage.project.slug
    if row.thing in ("release", "dataset"):
        fields["number"] = getattr(stage, row.thing).number
    elif row.thing == "work":
        fields["pk"] = stage.work[_held(role)].pk
    elif row.thing:
        fields["pk"] = getattr(stage, row.thing).pk
    return reverse(name, kwargs=fields)


def _ask(
    client: Client,
    method: str,
    address: str,
    row: Row,
    body: dict[str, Any],
    theirs: Stage | None = None,
    before: dict[str, list[Any]] | None = None,
) -> HttpResponse:
    """One request. With `theirs` it may change our rows, not theirs, and what it did is undone."""
    written = Written()
    with transaction.atomic(), connection.execute_wrapper(written):
        if method == "get":
            answer = client.get(address)
        elif row.is_json:
            answer = client.post(address, json.dumps(body), content_type="application/json")
        else:
            answer = client.post(address, body)
        if theirs is not None:
            assert not written.anything or _rows(theirs.project) == before, address
            transaction.set_rollback(True)
    return answer


class Written:
    """Watches the statements that go by: after mere reading no row has to be compared."""

    anything = False

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        self.anything |= not sql.startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK"))
        return execute(sql, *rest)


def _rows(project: Project | None = None) -> dict[str, list[Any]]:
    """Every row of the three apps, or those that belong to one project."""
    found = {}
    for app in PARTS:
        for model in apps.get_app_config(app).get_models(include_auto_created=True):
            path = _path_to_project(model)
            if project is None:
                rows = model._default_manager.all()
            elif path is None:
                continue
            else:
                rows = model._default_manager.filter(**{path: project.pk})
            found[model._meta.label] = list(rows.order_by("pk").values())
    return found


@cache
def _path_to_project(model: type[models.Model], seen: tuple[type[models.Model], ...] = ()) -> str | None:
    """The lookup from a row to its project, the shortest; None for what belongs to none."""
    if model is Project:
        return "pk"
    if model is Corpus:
        return "projects"
    links = [link for link in model._meta.get_fields() if link.many_to_one or link.one_to_one]
    ahead = [link for link in links if link.concrete and link.related_model not in (*seen, model, User)]
    found = [(link.name, _path_to_project(link.related_model, (*seen, model))) for link in ahead]  # type: ignore[arg-type]
    paths = [f"{name}__{path}" for name, path in found if path is not None]
    return min(paths, key=lambda path: path.count("__"), default=None)


def test_the_rows_of_a_project_are_found_by_its_links(ours: Stage, theirs: Stage) -> None:
    found = _rows(theirs.project)
    free = {"retrieval.Encoder", "retrieval.Reranker", "curation.Generator", "curation.Preferences"}
    assert {model for model, rows in found.items() if not rows} <= {
        "tuning.DatasetQuery",
        "tuning.DatasetQuery_judgements",
    }
    assert set(_rows()) - set(found) == free


def _stage(slug: str, word: str, people: dict[str, User], *, number: int) -> Stage:
    """A project whose every text holds the word; its releases count from `number`."""
    corpus = Corpus.objects.create(slug=slug, name=f"{word} corpus")
    project = Project.objects.create(slug=slug, name=f"{word} guide", corpus=corpus, description=f"All about {word}.")
    for role, user in people.items():
        Membership.objects.create(project=project, user=user, role=role)
    Guidelines.objects.create(project=project, version=1, text=f"Mind the {word}.")
    Policy.objects.create(project=project)
    document = Document.objects.create(corpus=corpus, external_id=f"{word}-doc", title=f"The {word}", content_hash=word)
    passage, unshown = (
        Passage.objects.create(
            corpus=corpus,
            document=document,
            external_id=f"{word}-{place}",
            title=f"The {word}",
            text=f"Part {place} of the {word}.",
            content_hash=f"{word}{place}",
        )
        for place in (1, 2)
    )
    base = _release(project, corpus, word, number)
    release = challenge(base)
    cycle = release.cycles.get()
    Cycle.objects.filter(pk=cycle.pk).update(reason=f"About {word}.")
    Decision.objects.filter(evaluation__cycle=cycle).update(reason=f"The {word} got better.")
    Dataset.objects.filter(project=project).update(path=f"datasets/{word}")
    Run.objects.filter(cycle=cycle).update(reason=f"{word}", progress_note=f"{word}")
    project.queries.update(text=f"Where is the {word}?")
    side = {"passages": [passage.pk], "answer": f"The {word}."}
    pair = ComparisonPair.objects.create(
        evaluation=cycle.evaluation, query=project.queries.all()[0], champion=side, challenger=side
    )
    Vote.objects.create(pair=pair, voter=people[ANNOTATOR], choice=Vote.Choice.TIE, champion_was_a=True)
    settled = _query(project, passage, people[ANNOTATOR], word, Assignment.State.SUBMITTED, base)
    Query.objects.filter(pk=settled.query_id).update(state=Query.State.SETTLED, settled_at=timezone.now())
    QueryVector.objects.create(query=settled.query, encoder=base.build.encoder, text_key=word, values=word.encode())
    review = Review.objects.create(
        query=settled.query, state=Review.State.SETTLED, answer=f"By the {word}.", comment=f"{word}!"
    )
    SettledGrade.objects.create(review=review, passage=passage, grade=2, method=SettledGrade.Method.SOLE)
    unsettled = _query(project, passage, people[ANNOTATOR], word, Assignment.State.SUBMITTED, base)
    Query.objects.filter(pk=unsettled.query_id).update(state=Query.State.IN_REVIEW)
    waiting = Review.objects.create(query=unsettled.query, reason_text=f"The {word} is disputed.")
    SuggestedGrade.objects.create(
        project=project,
        query=unsettled.query,
        passage=unshown,
        grade=2,
        kind=SuggestedGrade.Kind.PASSAGE,
        from_query=settled.query,
        from_passage=passage,
        similarity=0.9,
    )
    work = {role: _query(project, passage, user, word, Assignment.State.CLAIMED, base) for role, user in people.items()}
    return Stage(
        project=project,
        passage=passage,
        unshown=unshown,
        settled=settled.query,
        waiting=waiting,
        release=release,
        work=work,
        member=project.memberships.get(role=ANNOTATOR),
        cycle=cycle,
        run=cycle.runs.get(),
        guardrail_set=guardrails.sets_of(project)[0],
        pair=pair,
        dataset=project.datasets.get(),
        judgement=settled.judgements.get(),
        curve=LearningCurve.objects.create(
            project=project, component="retriever", measure="ndcg@10", state=JobState.DONE
        ),
    )


def _release(project: Project, corpus: Corpus, word: str, number: int) -> Release:
    """A release in service on a build without files: nothing here searches."""
    encoder = Encoder.objects.create(
        name=f"{word} encoder", query_path=word, passage_path=word, query_hash=word, passage_hash=word, dim=3
    )
    build = IndexBuild.objects.create(corpus=corpus, number=number, encoder=encoder, state=JobState.DONE)
    generator = Generator.objects.create(name=f"{word} generator", base_path=word, sha256=word)
    release = Release.objects.create(
        project=project, number=number, build=build, generator=generator, prompt=f"{word} {{passages}}", refusal=word
    )
    return lifecycle.switch(release)


def _query(project: Project, passage: Passage, user: User, word: str, state: str, release: Release) -> Assignment:
    """A query that one person has graded and answered."""
    number = project.queries.count()
    query = Query.objects.create(project=project, external_id=f"{word}-{number}", text=f"Is the {word} {number} good?")
    ranking = Ranking.objects.create(query=query, build=release.build, release=release)
    ShownPassage.objects.create(ranking=ranking, passage=passage, rank=1, score=0.5)
    draft = Draft.objects.create(ranking=ranking, text=f"The {word} is.")
    now = timezone.now()
    assignment = Assignment.objects.create(
        project=project,
        query=query,
        slot=1,
        curator=user,
        ranking=ranking,
        state=state,
        order=[passage.pk],
        reason_text=f"For the {word}.",
        claimed_at=now,
        lease_until=now + timedelta(hours=1) if state == Assignment.State.CLAIMED else None,
        submitted_at=now if state == Assignment.State.SUBMITTED else None,
    )
    common = {"assignment": assignment, "query": query, "curator": user}
    Judgement.objects.create(passage=passage, grade=2, content_hash=passage.content_hash, comment=word, **common)
    Answer.objects.create(text=f"The {word} is good.", draft=draft, **common)
    return assignment
