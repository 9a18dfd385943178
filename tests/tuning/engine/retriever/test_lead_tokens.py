from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import said, tiny_encoder
from tuning.engine.data import examples
from tuning.engine.data.examples import JudgedQuery, PassageText
from tuning.engine.process.training_process import CannotFit
from tuning.engine.retriever import lead_tokens, retriever_spec, train_retriever
from tuning.engine.retriever.retriever_spec import AUTO, BEGINNING, WHOLE, RetrieverSettings
from tuning.engine.retriever.trainable_encoder import Tower

NOISE = [40, 41, 42, 43, 44, 45]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), hears_places=False)


def chosen(tiny: Path, folder: Path, *, answers_first: bool, roads: Sequence[str] = ("both",), **more: Any) -> str:
    """What is chosen for 30 passages that say in two words what they are about, before or after six others."""
    told = [[at, (at + 11) % 30] for at in range(30)]
    texts = [said([*two, *NOISE] if answers_first else [*NOISE, *two], 0) for two in told]
    examples.write_passages(folder / "p.jsonl", [PassageText(f"p{at}", text) for at, text in enumerate(texts)])
    asked = [JudgedQuery(f"q{at}", said(two, 0), {f"p{at}": 3.0}, split="train") for at, two in enumerate(told)]
    examples.write_queries(folder / "q.jsonl", asked)
    spec = retriever_spec.read_spec(
        {
            "queries": str(folder / "q.jsonl"),
            "passages": str(folder / "p.jsonl"),
            "query_path": str(tiny),
            "passage_path": str(tiny),
            "settings": {"roads": roads, "both_train_tokens": 4} | more,  # two words and two marks
        }
    )
    return train_retriever.prepare(spec).reads


def test_the_base_tells_where_passages_say_what_they_are_about(tiny: Path, tmp_path: Path) -> None:
    assert chosen(tiny, tmp_path, answers_first=True) == BEGINNING
    assert chosen(tiny, tmp_path, answers_first=False) == WHOLE
    assert chosen(tiny, tmp_path, answers_first=False, both_train_tokens=32) == BEGINNING  # it is the whole


def test_who_names_one_gets_it_and_other_roads_do_not_ask(tiny: Path, tmp_path: Path) -> None:
    assert chosen(tiny, tmp_path, answers_first=True, both_reads=WHOLE) == WHOLE
    assert chosen(tiny, tmp_path, answers_first=False, both_reads=BEGINNING) == BEGINNING
    assert chosen(tiny, tmp_path, answers_first=False, roads=("adapter",)) == BEGINNING


def test_weights_that_read_beginnings_keep_to_it(tiny: Path, tmp_path: Path) -> None:
    given = {name: "x" for name in ("queries", "passages", "query_path", "passage_path")}
    assert retriever_spec.read_spec(given).settings.both_reads == AUTO
    chosen(tiny, tmp_path, answers_first=False)
    files = {"queries": str(tmp_path / "q.jsonl"), "passages": str(tmp_path / "p.jsonl")}
    sides = {"query_path": str(tiny), "passage_path": str(tiny)}
    spec = retriever_spec.read_spec(files | sides | {"settings": {"both_train_tokens": 4}})
    material = train_retriever.prepare(spec).material
    assert lead_tokens.choose(material, spec.settings, Tower(tiny), 0) == WHOLE
    assert lead_tokens.choose(material, spec.settings, Tower(tiny, begun=(4,)), 0) == BEGINNING


def test_each_way_has_its_settings() -> None:
    def told(one: RetrieverSettings) -> tuple[object, ...]:
        return one.both_train_tokens, one.both_max_tokens, one.both_beginnings, one.both_epochs

    assert told(lead_tokens.settled(RetrieverSettings(), BEGINNING)) == (64, 128, (64,), 3)
    assert told(lead_tokens.settled(RetrieverSettings(whole_epochs=5), WHOLE)) == (128, 512, (), 5)


def test_another_word_is_refused() -> None:
    with pytest.raises(CannotFit, match="both_reads must be auto, beginning or whole: 'some'"):
        RetrieverSettings(both_reads="some")
