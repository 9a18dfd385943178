"""Stream a folder as a tar archive: in constant memory, without a copy on disk, with reproducible bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 1 << 18


def stream(folder: Path, name: str) -> Iterator[bytes]:
    """Yield a tar archive of the files below `folder`, sorted by name, under the top folder `name`.

    Times and owners are left out, so that the same files give the same bytes. The files must not change meanwhile;
    artifacts never do.
    """
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        info = tarfile.TarInfo(f"{name}/{path.relative_to(folder).as_posix()}")
        info.size = path.stat().st_size
        yield info.tobuf(tarfile.PAX_FORMAT)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
        yield b"\0" * (-info.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)
