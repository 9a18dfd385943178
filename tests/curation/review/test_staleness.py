"""The judgements of an edited passage become stale, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from curation.models import Event, Judgement, Project, Query
from curation.review import staleness
from curation.sample import load
from retrieval.documents import ingest, withdrawal
from retrieval.documents.signals import passages_retired
from tests.conftest import ZOO
from tuning.datasets import collect


def _import(tmp_path: Path, *command: str, **edited: str) -> tuple[dict[str, int], str]:
    rows = [{"_id": name, "title": name.title(), "text": text} for name, text in (ZOO | edited).items()]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = StringIO()
    call_command(*command, "--project", "zoo", "--json", stdout=out, stderr=out)
    return json.loads(out.getvalue().splitlines()[-1]), out.getvalue()


def _settled(project: Project, alice: User) -> Query:
    from curation.annotation import assignments, claims, judgements
    from curation.queries import intake
    from retrieval.search.results import Hit

    query = Query.objects.create(project=project, external_id="q1", text="Who sleeps?")
    shown = [project.corpus.passages.active().get(external_id=name).pk for name in ("lion", "otter", "snail")]
    intake.freeze_hits([query], None, [[Hit(pk, rank, 1 / rank) for rank, pk in enumerate(shown, 1)]])
    assignments.create_open(query.project, [query])
    mine = claims.claim(query, alice)
    for pk in shown:
        judgements.record(mine, pk, 2)
    judgements.write_answer(mine, "The lion.")
    judgements.submit(mine)
    query.refresh_from_db()
    return query


def test_only_the_edited_passage_s_judgements_no_longer_count(project: Project, alice: User, tmp_path: Path) -> None:
    query = _settled(project, alice)
    done, said = _import(tmp_path, "import_corpus", str(tmp_path), lion="The lion never sleeps.")
    assert (done["documents"], done["retired"], done["expired"]) == (1, 1, 1)
    assert "zoo/q1" in said
    (row,) = collect.settled_rows(project)
    names = project.corpus.passages.filter(pk__in=row.grades).values_list("external_id", flat=True)
    assert sorted(names) == ["otter", "snail"]
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and Judgement.objects.not_withdrawn().count() == 3
    event = Event.objects.get(verb="expired")
    assert (event.query, event.passage.text, event.data) == (query, ZOO["lion"], {"passage": "lion", "judgements": 1})


def test_the_same_documents_again_expire_nothing(project: Project, alice: User, tmp_path: Path) -> None:
    _settled(project, alice)
    _import(tmp_path, "import_corpus", str(tmp_path), lion="The lion never sleeps.")
    for command in (("import_corpus", str(tmp_path)), ("import_beir", str(tmp_path), "--corpus-only")):
        _done, said = _import(tmp_path, *command, lion="The lion never sleeps.")
        assert "no longer count" not in said
    assert Event.objects.filter(verb="expired").count() == 1


def test_a_collection_that_comes_again_says_what_it_changed(
    project: Project, alice: User, erin: User, client: Client, tmp_path: Path
) -> None:
    query = _settled(project, alice)
    _done, said = _import(tmp_path, "import_beir", str(tmp_path), "--corpus-only", snail="The snail wakes.")
    assert "1 judgement no longer counts" in said and "zoo/q1" in said
    client.force_login(erin)
    assert "The text of snail has changed" in client.get(f"/p/zoo/queries/{query.pk}/").text


def _through_the_function(project: Project, folder: Path, texts: dict[str, str]) -> None:
    sources = [ingest.SourceDocument(name, name.title(), text) for name, text in texts.items()]
    ingest.ingest(project.corpus, sources, whole=True)


def _through_import_corpus(project: Project, folder: Path, texts: dict[str, str]) -> None:
    _import(folder, "import_corpus", str(folder), **texts)


def _through_import_beir(project: Project, folder: Path, texts: dict[str, str]) -> None:
    _import(folder, "import_beir", str(folder), "--corpus-only", **texts)


def _through_the_sample(project: Project, folder: Path, texts: dict[str, str]) -> None:
    passages = [SimpleNamespace(external_id=n, title=n.title(), text=t, key="zoo") for n, t in texts.items()]
    load._ingest(project, SimpleNamespace(passages=passages), lambda done, total, note: None)


@pytest.mark.parametrize(
    "bring_in", [_through_the_function, _through_import_corpus, _through_import_beir, _through_the_sample]
)
def test_every_way_of_ingesting_makes_the_judgements_of_an_edited_passage_stale_once(
    project: Project, alice: User, tmp_path: Path, bring_in: Callable[[Project, Path, dict[str, str]], None]
) -> None:
    _settled(project, alice)
    edited = ZOO | {"lion": "The lion never sleeps."}
    bring_in(project, tmp_path, edited)
    bring_in(project, tmp_path, edited)
    (event,) = Event.objects.filter(verb="expired")
    assert (event.passage.text, event.data) == (ZOO["lion"], {"passage": "lion", "judgements": 1})


def test_a_withdrawn_document_makes_the_judgements_of_its_passages_stale_once(project: Project, alice: User) -> None:
    _settled(project, alice)
    assert withdrawal.withdraw(project.corpus, ["lion", "zebra"]) == 2
    assert withdrawal.withdraw(project.corpus, ["lion"]) == 0
    assert Event.objects.get(verb="expired").data == {"passage": "lion", "judgements": 1}


def test_an_error_of_a_receiver_undoes_the_ingest(project: Project) -> None:
    def broken(**signal: object) -> None:
        raise RuntimeError("no room")

    passages_retired.connect(broken)
    try:
        with pytest.raises(RuntimeError, match="no room"):
            _through_the_function(project, Path(), {"lion": "The lion never sleeps."})
    finally:
        passages_retired.disconnect(broken)
    assert project.corpus.passages.active().get(external_id="lion").text == ZOO["lion"]


def test_several_ingests_report_their_stale_judgements_together(project: Project, alice: User) -> None:
    _settled(project, alice)
    result = ingest.IngestResult()
    for name in ("lion", "otter"):
        result += ingest.ingest(project.corpus, [ingest.SourceDocument(name, name.title(), "Edited.")], whole=True)
    stale = staleness.of_ingest(result)
    assert (result.retired, stale.judgements, stale.queries) == (2, 2, [("zoo", "q1")])
