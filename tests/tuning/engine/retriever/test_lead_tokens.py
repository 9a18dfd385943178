from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import make_text, tiny_encoder
from tuning.engine.data import examples
from tuning.engine.data.examples import JudgedQuery, PassageText
from tuning.engine.process.training_process import TrainingError
from tuning.engine.retriever import lead_tokens, retriever_spec, train_retriever
from tuning.engine.retriever.retriever_spec import AUTO, LEAD, WHOLE, RetrieverSettings
from tuning.engine.retriever.trainable_encoder import TrainableEncoder

NOISE = [40, 41, 42, 43, 44, 45]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), has_positions=False)


def choose(
    tiny: Path, folder: Path, *, answers_first: bool, strategies: Sequence[str] = ("both",), **settings: Any
) -> str:
    """Return the choice for 30 passages that name their subject in two words, before or after six others."""
    subjects = [[at, (at + 11) % 30] for at in range(30)]
    texts = [make_text([*two, *NOISE] if answers_first else [*NOISE, *two], 0) for two in subjects]
    examples.write_passages(folder / "p.jsonl", [PassageText(f"p{at}", text) for at, text in enumerate(texts)])
    queries = [
        JudgedQuery(f"q{at}", make_text(two, 0), {f"p{at}": 3.0}, split="train") for at, two in enumerate(subjects)
    ]
    examples.write_queries(folder / "q.jsonl", queries)
    spec = retriever_spec.read_spec(
        {
            "queries": str(folder / "q.jsonl"),
            "passages": str(folder / "p.jsonl"),
            "query_path": str(tiny),
            "passage_path": str(tiny),
            "settings": {"strategies": strategies, "dual_train_tokens": 4} | settings,  # two words and two marks
        }
    )
    return train_retriever.load(spec).passage_span


def test_the_base_shows_where_passages_say_what_they_are_about(tiny: Path, tmp_path: Path) -> None:
    assert choose(tiny, tmp_path, answers_first=True) == LEAD
    assert choose(tiny, tmp_path, answers_first=False) == WHOLE
    assert choose(tiny, tmp_path, answers_first=False, dual_train_tokens=32) == LEAD  # it is the whole


def test_a_setting_decides_and_other_strategies_do_not_measure(tiny: Path, tmp_path: Path) -> None:
    assert choose(tiny, tmp_path, answers_first=True, passage_span=WHOLE) == WHOLE
    assert choose(tiny, tmp_path, answers_first=False, passage_span=LEAD) == LEAD
    assert choose(tiny, tmp_path, answers_first=False, strategies=("adapter",)) == LEAD


def test_weights_with_lead_tokens_keep_to_the_lead(tiny: Path, tmp_path: Path) -> None:
    content = {name: "x" for name in ("queries", "passages", "query_path", "passage_path")}
    assert retriever_spec.read_spec(content).settings.passage_span == AUTO
    choose(tiny, tmp_path, answers_first=False)
    files = {"queries": str(tmp_path / "q.jsonl"), "passages": str(tmp_path / "p.jsonl")}
    sides = {"query_path": str(tiny), "passage_path": str(tiny)}
    spec = retriever_spec.read_spec(files | sides | {"settings": {"dual_train_tokens": 4}})
    data = train_retriever.load(spec).data
    assert lead_tokens.choose_span(data, spec.settings, TrainableEncoder(tiny), 0) == WHOLE
    assert lead_tokens.choose_span(data, spec.settings, TrainableEncoder(tiny, lead_tokens=(4,)), 0) == LEAD


def test_each_span_has_its_settings() -> None:
    def values(settings: RetrieverSettings) -> tuple[object, ...]:
        return settings.dual_train_tokens, settings.dual_max_tokens, settings.dual_lead_tokens, settings.dual_epochs

    assert values(lead_tokens.settings_for(RetrieverSettings(), LEAD)) == (64, 128, (64,), 3)
    assert values(lead_tokens.settings_for(RetrieverSettings(whole_epochs=5), WHOLE)) == (128, 512, (), 5)


def test_another_span_is_refused() -> None:
    with pytest.raises(TrainingError, match="passage_span must be auto, beginning or whole: 'middle'"):
        RetrieverSettings(passage_span="middle")
