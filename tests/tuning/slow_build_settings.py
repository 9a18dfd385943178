"""Tandem's settings for a worker that takes its time over a build: something to be killed in."""

import time

from config.settings import *  # noqa: F403
from retrieval.engine import lexical

_build = lexical.LexicalIndex.build


def _slowly(*arguments: object, **named: object) -> lexical.LexicalIndex:
    time.sleep(30)
    return _build(*arguments, **named)  # type: ignore[arg-type]


lexical.LexicalIndex.build = _slowly  # type: ignore[method-assign, assignment]
