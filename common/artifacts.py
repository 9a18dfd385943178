"""Artifacts: folders and files on disk, written atomically and hashed.

An atomic write fills `<name>.part-<token>` beside the target, flushes it to the disk and renames it. A process that is
killed at any moment leaves a part, never a half-written artifact under the final name. Artifacts are immutable: a
newer one gets a new name.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

META = "meta.json"
_PART_SUFFIX = ".part-"
_BLOCK_BYTES = 1 << 20


class Damaged(Exception):
    """The artifact is missing or incomplete, or its hash is not the stored one."""


def write_folder(target: Path, fill: Callable[[Path], None], meta: Mapping[str, Any]) -> str:
    """Write the new folder `target` atomically and return its hash; `fill` writes its files into an empty folder.

    meta is written as meta.json and is part of the hash. Raises FileExistsError when `target` exists, before or after
    filling, and what `fill` raises. Nothing is left behind then.
    """
    if target.exists():
        raise FileExistsError(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}{_PART_SUFFIX}{os.getpid()}-{secrets.token_hex(4)}")
    part.mkdir()
    try:
        fill(part)
        text = json.dumps(dict(meta), ensure_ascii=False, indent=1, sort_keys=True)
        (part / META).write_text(text + "\n", encoding="utf-8")
        _sync_tree(part)
        digest = folder_hash(part)
        _rename(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return digest


def write_once(target: Path, fill: Callable[[Path], None], meta: Mapping[str, Any]) -> Path:
    """Write the folder `target` as `write_folder` does unless it exists, and return it.

    Concurrent processes wait for the one that writes. Raises what `fill` raises.
    """
    if target.is_dir():
        return target
    with _exclusive_lock(target.parent):
        if not target.is_dir():
            write_folder(target, fill, meta)
    return target


def write_file(target: Path, fill: Callable[[Path], None]) -> None:
    """Write or replace one file atomically: readers see the old bytes or the new ones."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}{_PART_SUFFIX}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        fill(part)
        _sync(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    _sync(target.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder, if it exists. It is renamed first, so that its name never stands for half a folder."""
    removed = path.with_name(f"{path.name}{_PART_SUFFIX}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.rename(removed)
    except FileNotFoundError:
        return
    shutil.rmtree(removed, ignore_errors=True)


def folder_hash(path: Path) -> str:
    """Return the sha256 over names and bytes of all files below `path`, sorted by name. Raises Damaged."""
    if not path.is_dir():
        raise Damaged(f"{path} does not exist")
    digest = hashlib.sha256()
    for file in _files(path):
        name = file.relative_to(path).as_posix().encode()
        digest.update(b"%d:%s:%d:" % (len(name), name, file.stat().st_size))
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def file_hash(*parts: Path) -> str:
    """Return the sha256 over the bytes of one file, which may be split into several."""
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def read_meta(path: Path) -> dict[str, Any]:
    """Return the folder's meta.json. Raises Damaged when it is missing or unreadable."""
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} has no readable {META}") from error
    if not isinstance(meta, dict):
        raise Damaged(f"{path / META} is not an object")
    return meta


def verify(path: Path, sha256: str) -> None:
    """Raise Damaged unless the folder has this hash."""
    if folder_hash(path) != sha256:
        raise Damaged(f"{path} is not what was written: its hash differs")


def clear_parts(parent: Path, older_than_seconds: float) -> int:
    """Remove unfinished folders and files of dead writers from `parent`, and return their number."""
    oldest = time.time() - older_than_seconds
    removed = 0
    for part in parent.glob(f"*{_PART_SUFFIX}*"):
        try:
            is_old = part.stat().st_mtime < oldest
        except FileNotFoundError:  # its writer has renamed it meanwhile
            continue
        if not is_old:
            continue
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
        removed += 1
    return removed


@contextmanager
def _exclusive_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time in; the operating system frees the lock of one that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".converting.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _files(path: Path) -> Iterator[Path]:
    files = (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    yield from sorted(files, key=lambda file: file.relative_to(path).as_posix())


def _rename(part: Path, target: Path) -> None:
    try:
        part.rename(target)
    except OSError as error:
        if target.exists():  # another process wrote it meanwhile
            raise FileExistsError(target) from error
        raise
    _sync(target.parent)


def _sync_tree(path: Path) -> None:
    for folder, _names, files in os.walk(path):
        for name in files:
            _sync(Path(folder) / name)
        _sync(Path(folder))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
