"""A sentence is kept as a code with its arguments, and everybody reads it in their own language."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise

from common import messages
from common.messages import Message, message
from retrieval.index import index_builds
from retrieval.models import Corpus, Encoder, IndexBuild


@pytest.fixture
def build(db: None, keyword_encoder: Encoder) -> IndexBuild:
    return index_builds.request(Corpus.objects.create(slug="empty", name="Empty"), keyword_encoder)


def test_a_worker_s_language_is_not_the_reader_s(build: IndexBuild) -> None:
    with translation.override("zh-hans"):
        assert build.claim("gone")
        IndexBuild.objects.update(heartbeat_at=None)
        index_builds.take_up_lost()
    build.refresh_from_db()
    assert str(build.reason) == "its worker fell silent"
    with translation.override("zh-hans"):
        assert str(build.reason) == "其工作进程失去响应"


def test_why_a_build_failed_is_read_in_the_reader_s_language(build: IndexBuild) -> None:
    with translation.override("zh-hans"), pytest.raises(index_builds.CannotBuild, match="没有可供索引的段落"):
        index_builds.build(build, worker="test")
    with pytest.raises(index_builds.CannotBuild) as raised:
        index_builds.build(index_builds.request(build.corpus, build.encoder), worker="test")
    assert str(raised.value) == str(IndexBuild.objects.get(pk=build.pk).reason) == "empty has no passages to index"


@pytest.mark.parametrize(
    "words",
    [
        "the disk is full",
        '{"code": 7}',
        '{"code": "worker_silent"',
        '{"code": "said_by_a_newer_version", "args": {}}',
        '{"code": ["worker_silent"], "args": {}}',
    ],
)
def test_words_of_no_sentence_stay_what_they_are(build: IndexBuild, words: str) -> None:
    IndexBuild.objects.update(reason=words)
    build.refresh_from_db()
    assert build.reason == words


def test_a_sentence_holds_others_and_lists_of_them() -> None:
    both = message("together", parts=[message("embedding"), message("no_passages", corpus="100 %"), ""])
    assert str(both) == "embedding 100 % has no passages to index"
    assert messages.message_from_json(both.to_json()) == both
    assert "100 %" in both and "200 %" not in both


def test_a_sentence_without_words_or_with_one_missing_is_not_said() -> None:
    with pytest.raises(KeyError):
        message("for_no_reason")
    with pytest.raises(KeyError):
        message("no_passages", build=7)


def test_a_code_means_one_thing() -> None:
    with pytest.raises(ValueError, match="embedding"):
        messages.register_messages({"embedding": "putting in a bed"})


def test_an_error_says_its_sentence_or_its_own_words() -> None:
    assert messages.message_of_error(ValueError(message("embedding"))) == Message("embedding", {})
    assert messages.message_of_error(OSError(28, "No space left")) == "[Errno 28] No space left"


def _said() -> Iterator[tuple[str, str, set[str] | None]]:
    """Where, code and arguments of every sentence in the code; None for arguments that are handed on whole."""
    for app in ("retrieval", "curation", "tuning"):
        for path in Path(settings.BASE_DIR, app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(node, "func", None)
                if isinstance(node, ast.Call) and isinstance(name, ast.Name | ast.Attribute) and node.args:
                    called = name.id if isinstance(name, ast.Name) else name.attr
                    code = node.args[0]
                    if called in ("say", "because") and isinstance(code, ast.Constant) and not _is_line(node):
                        given = {key.arg or "" for key in node.keywords}
                        yield f"{path.name}:{node.lineno}", code.value, None if "" in given else given


def _is_line(call: ast.Call) -> bool:
    """A command's `self.say` prints a line."""
    return (
        isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == "self"
    )


def test_every_sentence_in_the_code_has_its_words_and_what_they_name() -> None:
    """A worker would fail where it was about to say why it failed."""
    said = list(_said())
    assert {"embedding", "random", "fell"} <= {code for _where, code, _given in said}
    for where, code, given in said:
        words = messages.registered_messages().get(code)
        assert words is not None, f"{where}: {code} has no words"
        if given is not None and (isinstance(words, str | Promise)):
            named = _Named()
            str(words % named)
            assert named.keys() <= given, f"{where}: {code}"


class _Named(dict[str, int]):
    """Has whatever is asked for, and remembers it."""

    def __missing__(self, name: str) -> int:
        self[name] = 1
        return 1
