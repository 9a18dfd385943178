"""Instances: the prompts and answers that a generator is trained on."""

from __future__ import annotations

import pytest

from tuning.engine.data.examples import JudgedQuery
from tuning.engine.data.instances import Instance, Recipe, build_instances, count_kinds, min_positive_grade

PASSAGES = {name: f"text of {name}" for name in "abcdef"}
RECIPE = Recipe(template="{passages}|{question}", refusal="No.", answer_passages=2)


def words(text: str) -> int:
    return len(text.split())


def query(number: int = 1, **changes: object) -> JudgedQuery:
    values: dict[str, object] = {"query_id": f"q{number}", "text": f"why {number}?", "answer": "because"}
    return JudgedQuery(**(values | changes))  # type: ignore[arg-type]


def built(*queries: JudgedQuery, retrieved: str = "abc", recipe: Recipe = RECIPE, **more: object) -> list[Instance]:
    candidates = {one.query_id: list(retrieved) for one in queries}
    return build_instances(queries, PASSAGES, candidates, recipe, count_tokens=words, seed=1, **more)  # type: ignore[arg-type]


def test_the_prompt_is_the_deployed_one_when_it_holds_a_positive_passage() -> None:
    (instance,) = built(query(grades={"b": 3, "c": 0}))
    assert instance == Instance("q1", "text of a\n\ntext of b|why 1?", "because", "answer")


def test_a_positive_passage_that_was_not_retrieved_takes_the_last_place() -> None:
    (instance,) = built(query(grades={"e": 2, "a": 0}))
    assert instance.prompt == "text of a\n\ntext of e|why 1?"


def test_a_further_positive_passage_gives_a_further_instance_up_to_the_limit() -> None:
    prompts = {instance.prompt for instance in built(query(grades={"a": 2, "d": 3, "e": 2, "f": 2}))}
    assert prompts == {"text of a\n\ntext of b|why 1?", "text of a\n\ntext of d|why 1?"}


def test_cited_passages_come_before_better_graded_ones() -> None:
    (instance,) = built(
        query(grades={"d": 3, "e": 2}, cited=("e",)),
        retrieved="a",
        recipe=Recipe("{passages}|{question}", "No.", 1, per_query=1),
    )
    assert instance.prompt == "text of e|why 1?"


def test_an_answer_without_a_positive_passage_gives_no_instance() -> None:
    assert built(query(grades={"a": 1, "b": 0}), query(2, grades={"c": 3})) == built(query(2, grades={"c": 3}))
    assert built(query(grades={})) == []


def test_grades_that_only_say_yes_or_no_carry_an_answer_from_one_on() -> None:
    assert min_positive_grade([query(grades={"a": 1, "b": 0})]) == 1
    assert min_positive_grade([query(grades={"a": 1, "b": 2})]) == 2
    assert len(built(query(grades={"a": 1}))) == 1


def test_an_unanswerable_query_gives_the_refusal_with_the_retrieved_passages() -> None:
    (instance,) = built(query(is_unanswerable=True, answer="", grades={"a": 0}))
    assert instance == Instance("q1", "text of a\n\ntext of b|why 1?", "No.", "refusal")


@pytest.mark.parametrize("share, refusals", [(None, 3), (0.0, 0), (0.2, 2), (0.5, 8)])
def test_refusals_have_the_given_share(share: float | None, refusals: int) -> None:
    answered = [query(number, grades={"a": 3, "d": 0}) for number in range(8)]
    unanswerable = [query(number, is_unanswerable=True, answer="") for number in range(20, 23)]
    recipe = Recipe("{passages}|{question}", "No.", 2, per_query=1, refusal_share=share)
    # 8 answers and 2 refusals: 2 / 10 = 0.2; 8 and 8: 0.5, of which 5 are filled with passages judged not relevant
    counts = count_kinds(built(*answered, *unanswerable, recipe=recipe))
    assert counts.get("refusal", 0) == refusals
    assert counts["answer"] == 8


def test_a_refusal_never_has_unjudged_passages_of_an_answered_query() -> None:
    recipe = Recipe("{passages}|{question}", "No.", 2, refusal_share=0.5)
    instances = built(query(grades={"a": 3, "d": 0}), query(2, grades={"a": 3}), recipe=recipe)
    refusals = [instance for instance in instances if instance.kind == "refusal"]
    assert [instance.prompt for instance in refusals] == ["text of d|why 1?"]


def test_distractors_only_for_queries_whose_answer_the_generator_knows() -> None:
    recipe = Recipe("{passages}|{question}", "No.", 2, distractor_share=1.0)
    instances = built(query(grades={"a": 3, "d": 0}), query(2, grades={"a": 3, "e": 0}), recipe=recipe, known={"q2"})
    assert [i.prompt for i in instances if i.kind == "distractors"] == ["text of e|why 2?"]


def test_passages_are_truncated_and_the_answer_never() -> None:
    passages = {"a": "word " * 500}
    recipe = Recipe("{passages}|{question}", "No.", 1, budget=50)
    answer = "because " * 60
    one = query(grades={"a": 3}, answer=answer)
    (instance,) = build_instances([one], passages, {"q1": ["a"]}, recipe, count_tokens=words, seed=1)
    assert words(instance.prompt) <= 50
    assert instance.answer == answer.strip()


def test_the_same_seed_gives_the_same_list_and_another_order_of_queries_the_same_set() -> None:
    queries = [query(number, grades={"a": 3, "d": 0, "e": 0}) for number in range(9)]
    recipe = Recipe("{passages}|{question}", "No.", 2, refusal_share=0.3)
    assert built(*queries, recipe=recipe) == built(*queries, recipe=recipe)
    answers = {instance for instance in built(*queries, recipe=recipe) if instance.kind == "answer"}
    assert answers == {instance for instance in built(*queries[::-1], recipe=recipe) if instance.kind == "answer"}
