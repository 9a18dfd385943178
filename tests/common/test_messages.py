"""A message is stored as a code with its arguments, and rendered in the language of the reader."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext

from common import messages
from common.messages import Message, message
from common.recovery import recover
from retrieval.index import index_builds
from retrieval.models import Corpus, Encoder, IndexBuild


@pytest.fixture
def build(db: None, keyword_encoder: Encoder) -> IndexBuild:
    return index_builds.request(Corpus.objects.create(slug="empty", name="Empty"), keyword_encoder)


def test_a_worker_s_language_is_not_the_reader_s(build: IndexBuild) -> None:
    with translation.override("zh-hans"):
        assert build.claim("gone")
        IndexBuild.objects.update(heartbeat_at=None)
        recover(IndexBuild)
    build.refresh_from_db()
    assert str(build.reason) == "Worker stopped responding"
    with translation.override("zh-hans"):
        assert str(build.reason) == gettext("Worker stopped responding") != "Worker stopped responding"


def test_why_a_build_failed_is_read_in_the_reader_s_language(build: IndexBuild) -> None:
    with translation.override("zh-hans"), pytest.raises(index_builds.BuildError, match="没有可供索引的段落"):
        index_builds.build(build, worker="test")
    with pytest.raises(index_builds.BuildError) as raised:
        index_builds.build(index_builds.request(build.corpus, build.encoder), worker="test")
    assert str(raised.value) == str(IndexBuild.objects.get(pk=build.pk).reason) == "empty has no passages to index"


@pytest.mark.parametrize(
    "text",
    [
        "the disk is full",
        '{"code": 7}',
        '{"code": "worker_silent"',
        '{"code": "said_by_a_newer_version", "args": {}}',
        '{"code": ["worker_silent"], "args": {}}',
    ],
)
def test_plain_text_is_stored_unchanged(build: IndexBuild, text: str) -> None:
    IndexBuild.objects.update(reason=text)
    build.refresh_from_db()
    assert build.reason == text


def test_a_message_contains_other_messages_and_lists_of_them() -> None:
    both = message("together", parts=[message("embedding"), message("no_passages", corpus="100 %"), ""])
    assert str(both) == "embedding 100 % has no passages to index"
    assert messages.message_from_json(both.to_json()) == both
    assert "100 %" in both and "200 %" not in both


def test_an_unknown_code_and_a_missing_argument_are_errors() -> None:
    with pytest.raises(KeyError):
        message("for_no_reason")
    with pytest.raises(KeyError):
        message("no_passages", build=7)


def test_a_code_is_registered_once() -> None:
    with pytest.raises(ValueError, match="embedding"):
        messages.register_messages({"embedding": "putting in a bed"})


def test_an_error_gives_its_message_or_its_own_text() -> None:
    assert messages.message_of_error(ValueError(message("embedding"))) == Message("embedding", {})
    assert messages.message_of_error(OSError(28, "No space left")) == "[Errno 28] No space left"


def _messages_in_the_code() -> Iterator[tuple[str, str, set[str] | None]]:
    """Place, code and argument names of every message in the code; None for arguments that are passed on whole."""
    for app in ("common", "retrieval", "curation", "tuning"):
        for path in Path(settings.BASE_DIR, app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                function = getattr(node, "func", None)
                if isinstance(node, ast.Call) and isinstance(function, ast.Name | ast.Attribute) and node.args:
                    name = function.id if isinstance(function, ast.Name) else function.attr
                    code = node.args[0]
                    if name in ("message", "make_reason") and isinstance(code, ast.Constant):
                        arguments = {key.arg or "" for key in node.keywords}
                        yield f"{path.name}:{node.lineno}", code.value, None if "" in arguments else arguments


def test_every_message_in_the_code_is_registered_and_has_the_arguments_that_its_text_names() -> None:
    """Otherwise a worker would fail while it stores the reason of its failure."""
    used = list(_messages_in_the_code())
    assert {"embedding", "random", "worker_silent"} <= {code for _place, code, _arguments in used}
    for place, code, arguments in used:
        text = messages.registered_messages().get(code)
        assert text is not None, f"{place}: {code} is not registered"
        if arguments is not None and (isinstance(text, str | Promise)):
            placeholders = _Placeholders()
            str(text % placeholders)
            assert placeholders.keys() <= arguments, f"{place}: {code}"


class _Placeholders(dict[str, int]):
    """Has every key that is asked for, and records it."""

    def __missing__(self, name: str) -> int:
        self[name] = 1
        return 1
