"""JSON of earlier versions is read under the keys of today."""

from common.renamed_keys import RENAMED_KEYS, with_current_keys


def test_an_old_key_becomes_the_key_of_today_in_its_place() -> None:
    old = {"only": "", "asks": "better", "guard_margin": 0.01}
    assert list(with_current_keys("policy", old).items()) == [
        ("only", ""),
        ("target_rule", "better"),
        ("guardrail_margin", 0.01),
    ]


def test_the_current_key_counts_where_both_stand() -> None:
    assert with_current_keys("policy", {"target_rule": "better", "asks": "not_worse"}) == {"target_rule": "better"}
    assert with_current_keys("policy", {"asks": "not_worse", "target_rule": "better"}) == {"target_rule": "better"}


def test_no_current_key_is_an_old_one_too() -> None:
    for table in RENAMED_KEYS.values():
        assert not set(table.values()) & set(table)
