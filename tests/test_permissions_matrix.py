"""Every URL × every role × own objects and those of another project: no data leaks and no outsider changes any.

The table is compared with the URL resolver: a URL without a row fails. Every text of the other project contains a
secret word that no response may contain, and the rows of that project are compared before and after each request.
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
from tests.challengers import create_challenger
from tuning.evaluation import guardrails
from tuning.models import ComparisonPair, Cycle, Dataset, Decision, GuardrailSet, LearningCurve, Policy, Run, Vote

SECRET, OURS = "marzipan", "walnut"

ANYBODY, SIGNED_IN = "anybody", "signed in"
ROLES = ANNOTATOR, REVIEWER, ENGINEER, MANAGER = Membership.Role.values
ANONYMOUS, STRANGER = "anonymous", "stranger"
ROLE_LADDER = [ANONYMOUS, STRANGER, *ROLES]
METHODS = ("get", "post")
APPS = ("retrieval", "curation", "tuning")


@dataclass
class Stage:
    """One project with a row of every kind. work: role → an assignment of that person, on a query of its own."""

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


def _no_fields(stage: Stage, role: str) -> dict[str, Any]:
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
    """Status codes of one URL for `min_role` and the roles above it.

    get, post: 405 for a method that is not allowed. target: the object whose number is in the URL. body: what is
    posted. smuggled: status when the body names objects of the other project. to_anonymous: status for anonymous
    visitors, where it is no redirect to the login page.
    """

    min_role: str
    get: int = 405
    post: int = 405
    target: str = ""
    body: Body = _no_fields
    smuggled: int | None = None
    is_json: bool = False
    to_anonymous: int = 302
    others: dict[str, Any] = field(default_factory=dict)


def _page(min_role: str, get: int = 200, post: int = 405, **fields: Any) -> Row:
    return Row(min_role, get, post, **fields)


def _act(post: int = 200, body: Body = _no_fields, smuggled: int | None = None) -> Row:
    """Return the row of an act on one's own assignment."""
    return Row(ANNOTATOR, 405, post, "work", body, smuggled, is_json=True)


def _api(min_role: str, get: int = 200, post: int = 405, **fields: Any) -> Row:
    return Row(min_role, get, post, is_json=True, to_anonymous=401, **fields)


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
    "curation:query": _page(ANNOTATOR, target="settled"),
    "curation:overlap": _page(MANAGER, 405, 302, target="settled", body=_is(overlap=2)),
    "curation:toggle_gold": _page(MANAGER, 405, 302, target="settled"),
    "curation:judge": _page(ANNOTATOR, 302),
    "curation:claim": Row(ANNOTATOR, 405, 200, body=_beside, smuggled=200, is_json=True),
    "curation:assignment": _page(ANNOTATOR, target="work"),
    "curation:grades": _act(body=_passage, smuggled=409),
    "curation:write_answer": _act(body=_citing, smuggled=200),
    "curation:preview": _act(body=_is(text="*So*")),
    "curation:unanswerable": _act(body=_is(value=True)),
    "curation:flag": _act(body=_is(comment="Odd.")),
    "curation:skip": _act(body=_is(comment="Not mine.")),
    "curation:find_passages": _page(ANNOTATOR, target="work"),
    "curation:add_passage": _act(body=_unshown, smuggled=409),
    "curation:submit": _act(),
    "curation:undo_submit": _act(),
    "curation:renew": _act(),
    "curation:reviews": _page(REVIEWER),
    "curation:review": _page(REVIEWER, target="waiting"),
    "curation:resolve": _page(REVIEWER, 405, 302, target="waiting", body=_graded, smuggled=302),
    "curation:send_back": _page(REVIEWER, 405, 302, target="waiting", body=_returned, smuggled=404),
    "curation:reopen": _page(REVIEWER, 405, 302, target="settled"),
    "curation:suggested_grades": _page(REVIEWER),
    "curation:decide": _page(REVIEWER, 405, 302, body=_offered, smuggled=302),
    "curation:members": _page(MANAGER, post=302, body=_is(username=STRANGER, role=MANAGER, daily_quota=0)),
    "curation:member": _page(MANAGER, 405, 302, target="member", body=_changed),
    "curation:remove_member": _page(MANAGER, post=302, target="member"),
    "curation:quality": _page(MANAGER),
    "curation:quality_csv": _page(MANAGER, others={"name": "people"}),
    "curation:releases": _page(ENGINEER),
    "curation:release": _page(ENGINEER, target="release"),
    "curation:requeue_regressions": _page(ENGINEER, 405, 302, target="release", body=_asked, smuggled=302),
    "curation:promote": _page(MANAGER, post=302, target="release"),
    "curation:roll_back": _page(MANAGER, post=422),
    "tuning:cycles": _page(ENGINEER),
    "tuning:start": _page(ENGINEER, 405, 302, body=_is(gate="never", seed=0)),
    "tuning:policy": _page(MANAGER, post=302, body=_is(**POLICY)),
    "tuning:guardrails": _page(MANAGER, post=422),
    "tuning:change_guardrail_set": _page(MANAGER, 405, 302, target="guardrail_set", body=_is(margin=0.05)),
    "tuning:learning_curves": _page(ENGINEER, post=302, body=_is(component="retriever", minutes=1)),
    "tuning:learning_curve": _page(ENGINEER, target="curve"),
    "tuning:learning_curve_points": _page(ENGINEER, target="curve"),
    "tuning:cancel_learning_curve": _page(ENGINEER, 405, 302, target="curve"),
    "tuning:datasets": _page(ENGINEER),
    "tuning:licence": _page(MANAGER, 405, 302, body=_is(licence="CC0-1.0")),
    "tuning:dataset": _page(ENGINEER, target="dataset"),
    "tuning:dataset_card": _page(ENGINEER, target="dataset"),
    "tuning:dataset_changes": _page(ENGINEER, target="dataset"),
    "tuning:judgement": _page(ANNOTATOR, target="judgement"),
    "tuning:withdraw_judgement": _page(ANNOTATOR, 405, 302, target="judgement"),
    "tuning:release_judgements": _page(ENGINEER, target="release"),
    "tuning:weights": _page(ENGINEER, 404, target="run", others={"kind": "trained"}),
    "tuning:merge": _page(ENGINEER, 405, 302, target="run"),
    "tuning:side_by_side": _page(REVIEWER),
    "tuning:pair": _page(REVIEWER, target="pair"),
    "tuning:vote": _page(REVIEWER, 405, 302, target="pair", body=_is(choice="a")),
    "tuning:run": _page(ENGINEER, target="run"),
    "tuning:run_curves": _page(ENGINEER, target="run"),
    "tuning:cycle": _page(ENGINEER, target="cycle"),
    "tuning:cancel": _page(ENGINEER, post=302, target="cycle"),
    "api:projects": _api(SIGNED_IN),
    "api:queries": _api(ANNOTATOR, post=400),
    "api:query": _api(ANNOTATOR, target="settled"),
    "api:suggested_grades": _api(REVIEWER, post=200, body=_offered_ids, smuggled=200),
    "api:releases": _api(ANNOTATOR),
    "api:cycles": _api(ENGINEER, post=201, body=_is(gate="never")),
    "api:cycle": _api(ENGINEER, target="cycle"),
    "api:run_curves": _api(ENGINEER, target="run"),
    "api:answer_lineage": _api(ENGINEER, target="settled"),
    "api:judgement_lineage": _api(ANNOTATOR, target="judgement"),
    "api:release_lineage": _api(ENGINEER, target="release"),
    "api:release_judgements": _api(ENGINEER, target="release"),
    "api:release_votes": _api(ENGINEER, target="release"),
    "api:side_by_side": _api(REVIEWER),
    "api:pair": _api(REVIEWER, target="pair"),
    "api:vote": _api(REVIEWER, 405, 201, target="pair", body=_is(choice="a")),
    "api:datasets": _api(ENGINEER),
    "api:dataset": _api(ENGINEER, target="dataset"),
    "api:dataset_changes": _api(ENGINEER, 404, target="dataset"),
    "api:learning_curves": _api(ENGINEER, post=201, body=_is(component="retriever")),
    "api:learning_curve": _api(ENGINEER, target="curve"),
    "schema": _page(ANYBODY, to_anonymous=200),
    "docs": _page(ANYBODY, to_anonymous=200),
    "favicon": _page(ANYBODY, 302, to_anonymous=302),
    "service_worker": _page(ANYBODY, to_anonymous=200),
    "healthz": _page(ANYBODY, to_anonymous=200),
    "readyz": _page(ANYBODY, to_anonymous=200),
    "metrics": _page(ANYBODY, to_anonymous=200),
    "logout": _page(ANYBODY, 405, 302),  # the last: the session is over
}
PROJECT_PAGES = [name for name, row in TABLE.items() if row.min_role in ROLES]


def _addresses(resolver: URLResolver, space: str = "", before: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and pattern of every URL below this resolver."""
    for entry in resolver.url_patterns:
        address = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield f"{space}{entry.name}", address
        else:
            yield from _addresses(entry, f"{space}{entry.namespace}:" if entry.namespace else space, address)


def test_every_url_has_a_row() -> None:
    names = {name for name, _address in _addresses(get_resolver()) if not name.startswith("admin:")}
    assert names == set(TABLE)


@pytest.fixture
def theirs(db: None, broker: None) -> Stage:
    """The project of other people. It is created first, so that its numbers differ from those of our project."""
    people = {role: User.objects.create_user(f"{SECRET}-{role}") for role in ROLES}
    return _stage("bank", SECRET, people, number=41)


@pytest.fixture
def ours(theirs: Stage) -> Stage:
    return _stage("zoo", OURS, {role: User.objects.create_user(role) for role in ROLES}, number=1)


@pytest.fixture
def clients(ours: Stage) -> dict[str, Client]:
    """Clients: anonymous, a stranger, and one person for each role in our project."""
    User.objects.create_user(STRANGER)
    clients = {role: Client() for role in ROLE_LADDER}
    for person in User.objects.filter(username__in=ROLE_LADDER):
        clients[person.username].force_login(person)
    return clients


@pytest.mark.slow
def test_own_objects_answer_by_role(ours: Stage, theirs: Stage, clients: dict[str, Client]) -> None:
    before = _rows(theirs.project)
    problems = []
    for name, row in TABLE.items():
        for role in ROLE_LADDER:
            address = _address(name, row, ours, role)
            for method in METHODS:
                answer = _request(
                    clients[role], method, address, row, row.body(ours, _owner_of_work(role)), theirs, before
                )
                problems += _problems(answer, _expected(row, role, method), f"{role}: {method} {address}")
    assert problems == []


def test_another_project_does_not_exist_for_outsiders(ours: Stage, theirs: Stage, clients: dict[str, Client]) -> None:
    before = _rows()
    problems = []
    for name in PROJECT_PAGES:
        row = TABLE[name]
        for role in ROLE_LADDER:
            address = _address(name, row, theirs, role)
            for method in METHODS:
                answer = _request(clients[role], method, address, row, row.body(theirs, _owner_of_work(role)))
                expected = _expected(row, ANONYMOUS if role == ANONYMOUS else STRANGER, method)
                problems += _problems(answer, expected, f"{role}: {method} {address}")
        assert _rows() == before, name
    assert problems == []


def test_objects_of_another_project_do_not_exist_under_the_own_slug(
    ours: Stage, theirs: Stage, clients: dict[str, Client]
) -> None:
    before = _rows()
    problems = []
    for name in (name for name in PROJECT_PAGES if TABLE[name].target):
        row = TABLE[name]
        for role in ROLE_LADDER:
            address = _address(name, row, theirs, role, slug=ours.project.slug)
            for method in METHODS:
                answer = _request(clients[role], method, address, row, row.body(theirs, _owner_of_work(role)))
                problems += _problems(answer, _expected(row, role, method, exists=False), f"{role}: {method} {address}")
        assert _rows() == before, name
    assert problems == []


def test_the_work_of_a_colleague_does_not_exist_for_others(ours: Stage, clients: dict[str, Client]) -> None:
    before = _rows()
    problems = []
    for name in (name for name in PROJECT_PAGES if TABLE[name].target == "work"):
        row = TABLE[name]
        for role, other in ((ANNOTATOR, MANAGER), (MANAGER, ANNOTATOR)):
            address = _address(name, row, ours, other)
            for method in METHODS:
                answer = _request(clients[role], method, address, row, row.body(ours, other))
                problems += _problems(answer, _expected(row, role, method, exists=False), f"{role}: {method} {address}")
        assert _rows() == before, name
    assert problems == []


def test_objects_of_another_project_cannot_be_smuggled_in(
    ours: Stage, theirs: Stage, clients: dict[str, Client]
) -> None:
    before = _rows(theirs.project)
    problems = []
    for name in (name for name in PROJECT_PAGES if TABLE[name].smuggled):
        row = TABLE[name]
        for role in ROLE_LADDER[ROLE_LADDER.index(row.min_role) :]:
            address = _address(name, row, ours, role)
            answer = _request(clients[role], "post", address, row, row.body(theirs, role), theirs, before)
            problems += _problems(answer, row.smuggled or 0, f"{role}: {address}")
    assert problems == []


def test_project_members_may_not_open_the_admin(ours: Stage, theirs: Stage, clients: dict[str, Client]) -> None:
    """A manager of a project is no staff user."""
    before = _rows()
    problems = []
    for name, pattern in _addresses(get_resolver()):
        if not name.startswith("admin:") or name == "admin:login":
            continue
        address = "/" + re.sub(r"<[^>]+>", "1", pattern.replace("^(?P<app_label>", "curation(").split("(")[0])
        for role in (ANONYMOUS, ANNOTATOR, MANAGER):
            for method in METHODS:
                problems += _problems(getattr(clients[role], method)(address), 302, f"{role}: {method} {address}")
    assert problems == []
    assert _rows() == before


def _expected(row: Row, role: str, method: str, *, exists: bool = True) -> int:
    """Return the expected status. exists: whether the target exists for members; 404 for them otherwise."""
    status = row.get if method == "get" else row.post
    if row.to_anonymous == 401 and role == ANONYMOUS:
        return 401
    if status == 405:
        return 405
    if role == ANONYMOUS:
        return status if row.min_role == ANYBODY and row.to_anonymous == 302 else row.to_anonymous
    if row.min_role in (ANYBODY, SIGNED_IN):
        return status
    if role == STRANGER:
        return 404
    if ROLE_LADDER.index(role) < ROLE_LADDER.index(row.min_role):
        return 403
    return status if exists else 404


def _problems(answer: HttpResponse, expected: int, request: str) -> list[str]:
    """Return what is wrong with the response: another status, or the secret word in it."""
    text = answer.content.decode() + str(dict(answer.headers))
    problems = [] if answer.status_code == expected else [f"{request}: {answer.status_code}, not {expected}"]
    return problems + ([f"{request}: contains the secret"] if SECRET in text.lower() else [])


def _owner_of_work(role: str) -> str:
    """Return the role whose assignment the request names; visitors and strangers try the annotator's."""
    return role if role in ROLES else ANNOTATOR


def _address(name: str, row: Row, stage: Stage, role: str, slug: str = "") -> str:
    fields = dict(row.others)
    if row.min_role in ROLES:
        fields["slug"] = slug or stage.project.slug
    if row.target in ("release", "dataset"):
        fields["number"] = getattr(stage, row.target).number
    elif row.target == "work":
        fields["pk"] = stage.work[_owner_of_work(role)].pk
    elif row.target:
        fields["pk"] = getattr(stage, row.target).pk
    return reverse(name, kwargs=fields)


def _request(
    client: Client,
    method: str,
    address: str,
    row: Row,
    body: dict[str, Any],
    theirs: Stage | None = None,
    before: dict[str, list[Any]] | None = None,
) -> HttpResponse:
    """Send one request. With `theirs`, it may change our rows but not theirs, and its changes are rolled back."""
    writes = WriteDetector()
    with transaction.atomic(), connection.execute_wrapper(writes):
        if method == "get":
            answer = client.get(address)
        elif row.is_json:
            answer = client.post(address, json.dumps(body), content_type="application/json")
        else:
            answer = client.post(address, body)
        if theirs is not None:
            assert not writes.has_written or _rows(theirs.project) == before, address
            transaction.set_rollback(True)
    return answer


class WriteDetector:
    """Watch the SQL statements: after a request that only reads, no rows need to be compared."""

    has_written = False

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        self.has_written |= not sql.startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK"))
        return execute(sql, *rest)


def _rows(project: Project | None = None) -> dict[str, list[Any]]:
    """Return every row of the three apps by model, or the rows that belong to one project."""
    rows_by_model = {}
    for app in APPS:
        for model in apps.get_app_config(app).get_models(include_auto_created=True):
            path = _path_to_project(model)
            if project is None:
                rows = model._default_manager.all()
            elif path is None:
                continue
            else:
                rows = model._default_manager.filter(**{path: project.pk})
            rows_by_model[model._meta.label] = list(rows.order_by("pk").values())
    return rows_by_model


@cache
def _path_to_project(model: type[models.Model], seen: tuple[type[models.Model], ...] = ()) -> str | None:
    """Return the shortest lookup from a row to its project; None where the model belongs to no project."""
    if model is Project:
        return "pk"
    if model is Corpus:
        return "projects"
    links = [link for link in model._meta.get_fields() if link.many_to_one or link.one_to_one]
    ahead = [link for link in links if link.concrete and link.related_model not in (*seen, model, User)]
    lookups = [(link.name, _path_to_project(link.related_model, (*seen, model))) for link in ahead]  # type: ignore[arg-type]
    paths = [f"{name}__{path}" for name, path in lookups if path is not None]
    return min(paths, key=lambda path: path.count("__"), default=None)


def test_the_rows_of_a_project_are_found_by_its_links(ours: Stage, theirs: Stage) -> None:
    rows_by_model = _rows(theirs.project)
    free = {"retrieval.Encoder", "retrieval.Reranker", "curation.Generator", "curation.Preferences"}
    assert {model for model, rows in rows_by_model.items() if not rows} <= {
        "tuning.DatasetQuery",
        "tuning.DatasetQuery_judgements",
    }
    assert set(_rows()) - set(rows_by_model) == free


def _stage(slug: str, word: str, people: dict[str, User], *, number: int) -> Stage:
    """Create a project whose texts all contain the word; its releases count from `number`."""
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
            external_id=f"{word}-{part}",
            title=f"The {word}",
            text=f"Part {part} of the {word}.",
            content_hash=f"{word}{part}",
        )
        for part in (1, 2)
    )
    base = _release(project, corpus, word, number)
    release = create_challenger(base)
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
        guardrail_set=guardrails.list_sets(project)[0],
        pair=pair,
        dataset=project.datasets.get(),
        judgement=settled.judgements.get(),
        curve=LearningCurve.objects.create(
            project=project, component="retriever", measure="ndcg@10", state=JobState.DONE
        ),
    )


def _release(project: Project, corpus: Corpus, word: str, number: int) -> Release:
    """Create a live release on an index build without files: no test here searches."""
    encoder = Encoder.objects.create(
        name=f"{word} encoder", query_path=word, passage_path=word, query_hash=word, passage_hash=word, dim=3
    )
    build = IndexBuild.objects.create(corpus=corpus, number=number, encoder=encoder, state=JobState.DONE)
    generator = Generator.objects.create(name=f"{word} generator", base_path=word, sha256=word)
    release = Release.objects.create(
        project=project, number=number, build=build, generator=generator, prompt=f"{word} {{passages}}", refusal=word
    )
    return lifecycle.promote(release)


def _query(project: Project, passage: Passage, user: User, word: str, state: str, release: Release) -> Assignment:
    """Create a query that one person has graded and answered."""
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
