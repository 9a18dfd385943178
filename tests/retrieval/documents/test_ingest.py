from pathlib import Path

import pytest

from common.text_files import BadInput
from retrieval.documents import ingest, withdrawal
from retrieval.documents.ingest import SourceDocument
from retrieval.models import Corpus, Document, Passage

pytestmark = pytest.mark.django_db


@pytest.fixture
def empty() -> Corpus:
    return Corpus.objects.create(slug="empty", name="Empty")


def counts(result: ingest.IngestResult) -> tuple[int, ...]:
    return result.documents, result.passages, result.unchanged, result.retired, result.skipped


def test_a_document_ingested_whole_is_one_passage_with_its_id(empty: Corpus) -> None:
    result = ingest.ingest(empty, [SourceDocument("a", "Title", "Text.", {"site": "x"})], whole=True)
    passage = empty.passages.get()
    assert counts(result) == (1, 1, 0, 0, 0)
    assert (passage.external_id, passage.title, passage.full_text) == ("a", "Title", "Title\nText.")
    assert passage.document.metadata == {"site": "x"}


def test_a_long_document_is_chunked_and_its_passages_are_numbered(empty: Corpus) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "Words of no weight follow here. " * 20 for n in range(4))
    ingest.ingest(empty, [SourceDocument("a", "Long", text)])
    ids = list(empty.passages.order_by("position").values_list("external_id", flat=True))
    assert ids == [f"a#{n}" for n in range(len(ids))] and len(ids) > 2
    assert set(empty.passages.values_list("title", flat=True)) == {"Long"}


def test_the_same_text_again_changes_nothing(empty: Corpus) -> None:
    sources = [SourceDocument("a", "", "One."), SourceDocument("b", "", "Two.")]
    ingest.ingest(empty, sources)
    before = list(Passage.objects.values_list("pk", "retired_at"))
    assert counts(ingest.ingest(empty, sources)) == (0, 0, 2, 0, 0)
    assert list(Passage.objects.values_list("pk", "retired_at")) == before


def test_edited_text_retires_the_old_rows_and_makes_new_ones(empty: Corpus) -> None:
    ingest.ingest(empty, [SourceDocument("a", "", "One."), SourceDocument("b", "", "Two.")], whole=True)
    old = empty.passages.get(external_id="a")
    assert counts(ingest.ingest(empty, [SourceDocument("a", "", "One, edited.")], whole=True)) == (1, 1, 0, 1, 0)
    old.refresh_from_db()
    assert old.retired_at and old.text == "One."
    assert empty.passages.active().get(external_id="a").text == "One, edited."
    assert empty.passages.active().count() == empty.documents.active().count() == 2


def test_an_edit_keeps_the_passages_it_does_not_touch(empty: Corpus) -> None:
    paragraphs = [f"Paragraph {n}. " + "Words of no weight follow here. " * 20 for n in range(4)]
    ingest.ingest(empty, [SourceDocument("a", "", "\n\n".join(paragraphs))])
    before = {p.external_id: p.pk for p in empty.passages.active()}
    paragraphs[-1] += "One more."
    result = ingest.ingest(empty, [SourceDocument("a", "", "\n\n".join(paragraphs))])
    after = {p.external_id: p.pk for p in empty.passages.active()}
    assert result.retired == result.passages == 1
    assert before.keys() == after.keys() and sum(before[name] != after[name] for name in after) == 1
    assert {p.document.external_id for p in empty.passages.active() if p.document.retired_at is None} == {"a"}
    assert not empty.passages.active().exclude(document__retired_at=None).exists()


def test_another_way_of_chunking_makes_a_new_document(empty: Corpus) -> None:
    ingest.ingest(empty, [SourceDocument("a", "", "One.")])
    result = ingest.ingest(empty, [SourceDocument("a", "", "One.")], whole=True)
    assert counts(result) == (1, 1, 0, 1, 0)


def test_a_source_without_text_is_skipped_and_counted(empty: Corpus) -> None:
    result = ingest.ingest(empty, [SourceDocument("a", "", " \n"), SourceDocument("b", "Only a title", "")])
    assert counts(result) == (1, 1, 0, 0, 1)
    assert empty.passages.get().full_text.strip() == "Only a title"


def test_an_id_that_comes_twice_changes_nothing_and_names_the_line(empty: Corpus) -> None:
    sources = [
        SourceDocument("a", "", "One.", {}, Path("c.jsonl"), 1),
        SourceDocument("a", "", "Two.", {}, Path("c.jsonl"), 7),
    ]
    with pytest.raises(BadInput, match="c.jsonl:7: .*twice"):
        ingest.ingest(empty, sources)
    assert not Document.objects.exists() and not Passage.objects.exists()


@pytest.mark.parametrize("sources", [[], [SourceDocument("a", "", "")]])
def test_no_text_at_all_is_bad_input(empty: Corpus, sources: list[SourceDocument]) -> None:
    with pytest.raises(BadInput, match="no document"):
        ingest.ingest(empty, sources)


def test_more_sources_than_a_batch_report_their_progress(empty: Corpus) -> None:
    reports: list[tuple[int, int]] = []
    sources = (SourceDocument(str(n), "", f"Text {n}.") for n in range(1100))
    result = ingest.ingest(empty, sources, on_progress=lambda done, total: reports.append((done, total)))
    assert result.documents == empty.passages.count() == 1100
    assert reports == [(500, 0), (1000, 0), (1100, 0)]


def test_a_withdrawn_document_is_retired_with_its_passages(empty: Corpus) -> None:
    ingest.ingest(empty, [SourceDocument("a", "", "One."), SourceDocument("b", "", "Two.")])
    assert withdrawal.withdraw(empty, ["a", "unknown"]) == 1
    assert [p.external_id for p in empty.passages.active()] == ["b#0"]
    assert Passage.objects.count() == 2
