"""Folders on disk that are whole or not there.

A folder is filled beside its place as `<name>.part-<token>`, flushed to the disk and renamed. A process
killed at any moment leaves a part, never a half-written folder under the final name. Nothing here is edited
afterwards: something newer gets a name of its own.
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
_PART = ".part-"
_BLOCK = 1 << 20


class Damaged(Exception):
    """A folder is missing, incomplete, or not the one its row speaks of."""


def write_folder(target: Path, fill: Callable[[Path], None], meta: Mapping[str, Any]) -> str:
    """The hash of `target`, which appears whole: `fill` gets an empty folder and writes its files there.

    meta is written as meta.json and counts in the hash. Raises FileExistsError when `target` is there
    already, before or after filling; whatever `fill` raises passes through. Nothing is left behind then.
    """
    if target.exists():
        raise FileExistsError(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}{_PART}{os.getpid()}-{secrets.token_hex(4)}")
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
    """`target`, written as by `write_folder` unless it is there.

    Processes that ask at the same time wait for the one that writes. Whatever `fill` raises passes through.
    """
    if target.is_dir():
        return target
    with _only_one(target.parent):
        if not target.is_dir():
            write_folder(target, fill, meta)
    return target


def write_file(target: Path, fill: Callable[[Path], None]) -> None:
    """Make or replace one file in one step: readers see the old bytes or the new ones."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}{_PART}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        fill(part)
        _sync(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    _sync(target.parent)


def remove_folder(path: Path) -> None:
    """Take a folder away in one step, if it is there: nobody finds it half-removed under its name."""
    gone = path.with_name(f"{path.name}{_PART}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def folder_hash(path: Path) -> str:
    """sha256 over the names and bytes of every file below `path`, in the order of their names."""
    if not path.is_dir():
        raise Damaged(f"{path} is not there")
    digest = hashlib.sha256()
    for file in _files(path):
        name = file.relative_to(path).as_posix().encode()
        digest.update(b"%d:%s:%d:" % (len(name), name, file.stat().st_size))
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def file_hash(*parts: Path) -> str:
    """sha256 over the bytes of one file, which may lie in parts."""
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def read_meta(path: Path) -> dict[str, Any]:
    """What the folder says of itself; raises Damaged when it is no finished folder."""
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} has no readable {META}") from error
    if not isinstance(meta, dict):
        raise Damaged(f"{path / META} is not an object")
    return meta


def verify(path: Path, sha256: str) -> None:
    """Raises Damaged unless the folder's bytes are exactly those that were hashed."""
    if folder_hash(path) != sha256:
        raise Damaged(f"{path} is not what was written: its hash differs")


def clear_parts(parent: Path, older_than_seconds: float) -> int:
    """How many unfinished folders and files of dead writers were removed from `parent`."""
    before = time.time() - older_than_seconds
    removed = 0
    for part in parent.glob(f"*{_PART}*"):
        try:
            is_old = part.stat().st_mtime < before
        except FileNotFoundError:  # its writer has just renamed it
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
def _only_one(folder: Path) -> Iterator[None]:
    """One process at a time; the operating system frees the lock of one that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".converting.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _files(path: Path) -> Iterator[Path]:
    kept = (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    yield from sorted(kept, key=lambda file: file.relative_to(path).as_posix())


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
