"""A folder as a tar stream: nothing is copied first, memory stays at one block, the same files give the same bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 1 << 18


def stream(folder: Path, name: str) -> Iterator[bytes]:
    """The files below `folder`, by name, under the top folder `name`; without times and owners.

    The files must not change meanwhile, which artifacts never do.
    """
    for path in sorted(found for found in folder.rglob("*") if found.is_file()):
        info = tarfile.TarInfo(f"{name}/{path.relative_to(folder).as_posix()}")
        info.size = path.stat().st_size
        yield info.tobuf(tarfile.PAX_FORMAT)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
        yield b"\0" * (-info.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)
