import threading
from pathlib import Path

import pytest
from django.conf import settings

from retrieval.documents import ingest
from retrieval.documents.ingest import SourceDocument
from retrieval.index import garbage_collection, index_builds
from retrieval.models import Corpus, Encoder, IndexBuild, Passage
from retrieval.search import search
from tests.conftest import ZOO


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.DATA_DIR = tmp_path
    search.close_all()


@pytest.mark.parametrize("mode", search.MODES)
def test_the_passage_with_the_words_comes_first(build: IndexBuild, passages: dict[str, Passage], mode: str) -> None:
    hits = search.search(build, "zebra stripes", 3, mode)
    assert hits[0].passage_id == passages["zebra"].pk
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_lexical_search_finds_only_passages_that_share_a_word(build: IndexBuild, passages: dict[str, Passage]) -> None:
    hits = search.search(build, "night hunters", 10, "lexical")
    assert {hit.passage_id for hit in hits} == {passages["lion"].pk, passages["tiger"].pk}


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_k_beyond_the_corpus_gives_every_passage_once(build: IndexBuild, mode: str) -> None:
    hits = search.search(build, "lion", 1000, mode)
    assert len({hit.passage_id for hit in hits}) == len(hits) == len(ZOO)


@pytest.mark.parametrize("mode", search.MODES)
def test_blank_text_and_no_k_find_nothing(build: IndexBuild, mode: str) -> None:
    assert search.search(build, "  \n", 5, mode) == []
    assert search.search(build, "lion", 0, mode) == []
    assert search.search_many(build, [], 5, mode) == []


@pytest.mark.parametrize("mode", search.MODES)
def test_many_at_once_find_what_each_finds_alone(build: IndexBuild, mode: str) -> None:
    texts = [*ZOO.values(), "nothing known", "", "hunts at night"]
    seen: list[tuple[int, int]] = []
    together = search.search_many(build, texts, 5, mode, on_progress=lambda *at: seen.append(at))
    assert together == [search.search(build, text, 5, mode) for text in texts]
    assert seen == [(len(texts), len(texts))]


@pytest.mark.parametrize("mode", search.MODES)
def test_equal_passages_rank_by_their_id(corpus: Corpus, keyword_encoder: Encoder, mode: str) -> None:
    ingest.ingest(corpus, [SourceDocument(f"twin{n}", "", "zebra zebra") for n in range(130)], whole=True)
    build = index_builds.build(index_builds.request(corpus, keyword_encoder), worker="test")
    twins = list(corpus.passages.filter(external_id__startswith="twin").order_by("pk").values_list("pk", flat=True))
    ranked = [hit.passage_id for hit in search.search(build, "zebra", 20, mode) if hit.passage_id in twins]
    assert ranked == twins[: len(ranked)] and len(ranked) >= 19


def test_the_weight_moves_between_dense_and_lexical(build: IndexBuild) -> None:
    text = "zebra eagle bamboo tools at nine"
    for weight, mode in ((1.0, "dense"), (0.0, "lexical")):
        fused = search.search(build, text, 3, "hybrid", weight)
        assert [hit.passage_id for hit in fused] == [h.passage_id for h in search.search(build, text, 3, mode)]


def test_candidates_carry_both_scores(build: IndexBuild, passages: dict[str, Passage]) -> None:
    [candidates] = search.candidates(build, ["zebra stripes"], depth=3)
    row = candidates.ids.tolist().index(passages["zebra"].pk)
    assert row == candidates.dense.argmax() == candidates.lexical.argmax()
    assert len(candidates.ids) == len(candidates.dense) == len(candidates.lexical) >= 3


def test_an_unknown_mode_is_an_error_of_the_caller(build: IndexBuild) -> None:
    with pytest.raises(ValueError, match="fuzzy"):
        search.search(build, "lion", mode="fuzzy")


def test_an_unfinished_retired_or_damaged_build_cannot_be_searched(build: IndexBuild, keyword_encoder: Encoder) -> None:
    with pytest.raises(search.CannotSearch, match="not finished"):
        search.search(index_builds.request(build.corpus, keyword_encoder), "lion")
    (Path(settings.DATA_DIR) / build.path / "passages.npy").write_bytes(b"")
    with pytest.raises(search.CannotSearch, match="passage ids"):
        search.search(build, "lion")
    garbage_collection.retire(build)
    with pytest.raises(search.CannotSearch, match="retired"):
        search.search(build, "lion")


class _Opened:
    """Stands for the open files of a build; counts how often each build is opened."""

    numbers: list[int] = []

    def __init__(self, build: IndexBuild) -> None:
        self.numbers.append(build.number)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the builds in the order in which they are opened."""
    monkeypatch.setattr(_Opened, "numbers", [])
    monkeypatch.setattr(search, "OpenBuild", _Opened)
    return _Opened.numbers


def _finished(number: int) -> IndexBuild:
    return IndexBuild(pk=number, number=number, sha256="abc")


def test_threads_that_need_a_build_at_once_open_it_once(opened: list[int]) -> None:
    start = threading.Barrier(8)

    def open_it() -> None:
        start.wait()
        search.open_build(_finished(1))

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [1]


def test_the_build_used_longest_ago_is_closed_for_a_new_one(opened: list[int]) -> None:
    for number in (1, 2, 3, 4, 1, 5):  # four stay open: 5 replaces 2
        search.open_build(_finished(number))
    assert opened == [1, 2, 3, 4, 5]
    for number in (1, 3, 4, 5, 2):
        search.open_build(_finished(number))
    assert opened == [1, 2, 3, 4, 5, 2]
    search.close_all()
    search.open_build(_finished(1))
    assert opened[-1] == 1


def test_a_build_that_cannot_be_opened_is_tried_again(build: IndexBuild) -> None:
    ids = Path(settings.DATA_DIR) / build.path / "passages.npy"
    content = ids.read_bytes()
    ids.write_bytes(b"")
    with pytest.raises(search.CannotSearch):
        search.search(build, "lion")
    ids.write_bytes(content)
    assert search.search(build, "lion")


def test_an_open_build_is_searched_while_another_is_being_opened(
    build: IndexBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    search.search(build, "lion")
    opening, may_end = threading.Event(), threading.Event()

    class Slow:
        def __init__(self, build: IndexBuild) -> None:
            opening.set()
            assert may_end.wait(20)

    monkeypatch.setattr(search, "OpenBuild", Slow)
    thread = threading.Thread(target=search.open_build, args=[_finished(build.pk + 1)])
    thread.start()
    assert opening.wait(20)
    assert search.search(build, "lion", 1, "dense")
    may_end.set()
    thread.join()
