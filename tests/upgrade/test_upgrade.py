"""A data folder of commit 2b4bedf opens with the code of today.

`record_2b4bedf.py` made the folder and wrote down what commands of that commit print for it. Here the same commands run
after `migrate`. Only `manage.py` is called, in processes of its own: rows and modules may have other names by now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade import data_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).resolve().parent
CODE = HERE.parent.parent
EXPECTED: dict[str, Any] = json.loads((HERE / "expected_2b4bedf.json").read_text(encoding="utf-8"))

# Model of that commit → model of today, where the two differ.
RENAMED = {
    "curation.provisionalgrade": "curation.suggestedgrade",
    "tuning.curve": "tuning.learningcurve",
    "tuning.guardset": "tuning.guardrailset",
    "tuning.pair": "tuning.comparisonpair",
    "tuning.turn": "tuning.cycle",
}

Run = Callable[..., list[data_folder.Result]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder as that commit left it."""
    data_folder.unpack(HERE / "data_2b4bedf.tar.xz", tmp_path)
    return tmp_path


@pytest.fixture
def run(root: Path) -> Run:
    """Run commands on the folder after `migrate`; all must succeed."""

    def run_commands(*commands: Sequence[str]) -> list[data_folder.Result]:
        migrate = ["migrate", "--verbosity", "0"]
        results = data_folder.run(CODE, data_folder.environment(root), [migrate, *commands])
        for command, result in zip([migrate, *commands], results, strict=True):
            if result.status:
                pytest.fail(f"{' '.join(command)} ended with status {result.status}: {result.error}")
        return results[1:]

    return run_commands


def test_the_same_release_serves_with_the_same_results_and_exports(root: Path, run: Run) -> None:
    searches = [data_folder.search_command(*search) for *search, _value in EXPECTED["searches"]]
    exports = [data_folder.export_command(root, *export) for *export, _hashes in EXPECTED["exports"]]
    evaluations = [data_folder.evaluate_command(root, slug) for slug in EXPECTED["evaluations"]]
    going_back = [["rollback", "--project", "zoo", "--json"], searches[0]]
    results = run(*searches, *exports, *evaluations, *going_back)
    for (*_search, value), result in zip(EXPECTED["searches"], results, strict=False):
        _assert_same_search(result.value, value)
    for *export, hashes in EXPECTED["exports"]:
        assert data_folder.hashes(data_folder.export_target(root, *export)) == hashes, export
    for value, result in zip(EXPECTED["evaluations"].values(), results[len(searches) + len(exports) :], strict=False):
        assert result.value["release"] == value["release"]
        measures = {name: result.value[name] for name in value}
        assert measures == pytest.approx(value, abs=0.03)  # a near tie of the reranker may go the other way elsewhere
    rolled_back, searched = results[-2:]
    assert rolled_back.value == EXPECTED["before"][0]
    _assert_same_search(searched.value, EXPECTED["before"][1])


def _assert_same_search(value: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """The same passages in the same order; a score may differ as far as number formats of processors do."""
    assert value["build"] == expected["build"]
    for name in ("rank", "passage", "document", "text"):
        assert [row[name] for row in value["results"]] == [row[name] for row in expected["results"]]
    scores = [row["score"] for row in expected["results"]]
    assert [row["score"] for row in value["results"]] == pytest.approx(scores, abs=0.05)


def test_every_row_and_every_rule_is_kept(run: Run) -> None:
    (dumped,) = run(["dumpdata"])
    rows = json.loads(dumped.output)
    expected = {RENAMED.get(model, model): count for model, count in EXPECTED["rows"].items()}
    counted = data_folder.count_rows(rows)
    assert {model: counted.get(model, 0) for model in expected} == expected
    for model, rules in EXPECTED["rules"].items():
        today = [row["fields"] for row in rows if row["model"] == RENAMED.get(model, model)]
        for old, new in zip(rules, today, strict=True):
            assert _values_of(old) <= _values_of(new), model


def _values_of(fields: Mapping[str, Any]) -> set[str]:
    """The values of a row under whatever names; objects are left out, whose keys may have other names too."""
    return {json.dumps(value) for value in fields.values() if not isinstance(value, dict)}


def test_a_killed_training_goes_on_and_its_release_serves(run: Run) -> None:
    loop = ["loop", "--gate", "always", "--json", "--project"]
    search = data_folder.search_command("zoo", "Which animal sleeps and hunts at night?", "hybrid")
    went_on, anew, searched, rolled_back = run(
        [*loop, "zoo"], [*loop, "park", "--only", "retriever"], search, ["rollback", "--project", "zoo", "--json"]
    )
    for result, slug, parts in ((went_on, "zoo", ["retriever", "generator"]), (anew, "park", ["retriever"])):
        released = EXPECTED["evaluations"][slug]["release"] + 1
        assert result.value["release"] == {"challenger": released, "serving": released}
        assert [row["part"] for row in result.value["runs"]] == parts
        assert result.value["decision"]["promoted"] is True
    trained = went_on.value["runs"][0]  # was done before the kill, and is not trained again
    assert (trained["id"], trained["seconds"]) == (EXPECTED["trained"]["id"], EXPECTED["trained"]["seconds"])
    assert searched.value["results"]
    assert rolled_back.value["release"] == EXPECTED["evaluations"]["zoo"]["release"]


# What a person who may see everything meets when following the links from the first page on, as JSON: address → status.
_FOLLOW_LINKS = """
import json, re
from django.contrib.auth import get_user_model
from django.test import Client, override_settings

with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
    client = Client(raise_request_exception=False)
    client.force_login(get_user_model().objects.get(username="root"))
    found, left = {}, ["/"]
    while left:
        address = left.pop()
        page = client.get(address)
        found[address] = page.status_code
        if page.status_code != 200 or page.streaming or "html" not in page.headers.get("Content-Type", ""):
            continue
        links = {link.replace("&amp;", "&") for link in re.findall('href="(/[^"#]*)', page.content.decode())}
        skipped = ("/static/", "/admin/", "/api/", "/metrics")
        left += sorted(link for link in links - {*found, *left} if not link.startswith(skipped))
print(json.dumps(found))
"""


def test_every_page_that_a_link_leads_to_opens(run: Run) -> None:
    (walked,) = run(["shell", "--command", _FOLLOW_LINKS])
    statuses: dict[str, int] = json.loads(walked.output.strip().splitlines()[-1])
    assert len(statuses) > 100
    assert {address: status for address, status in statuses.items() if status not in (200, 302)} == {}
