"""A language model small enough to make anew for every session: random weights, but real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import tiny_generator


@pytest.fixture(scope="session")
def generator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_generator(tmp_path_factory.mktemp("generator"))
