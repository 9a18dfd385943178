"""Settings for a worker whose index build is slow, so that a test can kill it during a build."""

import time

from config.settings import *  # noqa: F403
from retrieval.engine.indexes import bm25_index

_build = bm25_index.LexicalIndex.build


def _slowly(*arguments: object, **named: object) -> bm25_index.LexicalIndex:
    time.sleep(30)
    return _build(*arguments, **named)  # type: ignore[arg-type]


bm25_index.LexicalIndex.build = _slowly  # type: ignore[method-assign, assignment]
