import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from common import base_command
from common.base_command import TandemCommand
from common.text_files import BadInput


class Broken(Exception):
    pass


class Example(TandemCommand):
    """Raises what the test sets."""

    errors = (Broken,)
    raised: BaseException | None = None

    def run(self, **options: Any) -> dict[str, Any]:
        self.report("a line for people")
        if self.raised:
            raise self.raised
        return {"done": 1}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("a.tsv", 3, "a letter"), 2),
        (Broken("no\nluck"), 1),
        (DatabaseError("no such table"), 1),
        (KeyboardInterrupt(), 1),
    ],
)
def test_an_error_becomes_one_line_and_a_status(error: BaseException, status: int) -> None:
    command = Example(stdout=io.StringIO(), stderr=io.StringIO())
    command.raised = error
    with pytest.raises(CommandError) as caught:
        call_command(command)
    assert caught.value.returncode == status and "\n" not in str(caught.value)


def test_an_unexpected_error_is_raised() -> None:
    command = Example(stdout=io.StringIO())
    command.raised = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        call_command(command)


def test_json_is_the_last_line_and_alone_on_standard_output() -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command(Example(), "--json", stdout=out, stderr=err)
    assert json.loads(out.getvalue()) == {"done": 1} and "for people" in err.getvalue()
    out = io.StringIO()
    call_command(Example(), stdout=out)
    assert out.getvalue() == "a line for people\n"


def test_the_progress_bar_appears_after_one_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(base_command.time, "monotonic", lambda: now[0])
    command = Example()
    for now[0], done in ((0.0, 0), (0.5, 10), (2.0, 40), (2.1, 41), (4.0, 100)):
        command.progress(done, 100, "embedding")
    for now[0], done in ((4.0, 1), (20.0, 70)):
        command.progress(done, 0, "documents")  # the total is unknown
    assert capsys.readouterr().err.splitlines() == [
        "embedding 40/100, 3 s left",
        "embedding 100/100, 4 s",
        "documents 70, 16 s",
    ]
