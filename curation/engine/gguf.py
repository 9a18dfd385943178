"""Find a generator's weights, and turn a GGUF file into a folder that loads in a second.

Reading a GGUF file takes a quarter of a minute each time, because its blocks are unpacked one by one.
So a file is converted once, under a name that carries the hash of its bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from retrieval.engine import artifacts

# Part of a converted folder's name. 1: float32 weights, tokenizer with its chat template.
FORMAT_VERSION = 1

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+\Z")
_PACKAGE_NAME = re.compile(r"[\w.-]+\Z")


class NoGenerator(Exception):
    """A name under which no generator can be found, or weights that cannot be read."""


def resolve(name: str, cache_dir: Path) -> Path | str:
    """Where the generator called `name` can be loaded from: a folder on this machine, or a hub name.

    name: a folder; a .gguf file; an installed distribution or module that holds either; or `owner/name` on
    the hub, returned as it is. A GGUF file is converted into `cache_dir`, once: the first call takes half a
    minute, the next none. Raises NoGenerator.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    found = path.resolve() if path.is_file() else _in_package(name)
    if found is None:
        if _HUB_NAME.match(name):
            return name
        raise NoGenerator(f"no generator called {name!r}: neither a path, nor an installed package, nor a hub name")
    if found.suffix != ".gguf":
        if found.is_dir():
            return found
        raise NoGenerator(f"{found} is not a .gguf file")
    return convert(found, cache_dir)


def convert(gguf: Path, cache_dir: Path) -> Path:
    """The folder in `cache_dir` with the weights and the tokenizer of this file, made if it is not there yet.

    Processes that ask at the same time wait for the one that converts.
    """
    digest = _file_hash(gguf)
    target = cache_dir / f"{gguf.stem}-{digest[:12]}-v{FORMAT_VERSION}"
    if target.is_dir():
        return target
    with _only_one(cache_dir):
        if not target.is_dir():
            meta = {"kind": "generator", "source": gguf.name, "sha256": digest, "format": FORMAT_VERSION}
            artifacts.write_folder(target, lambda folder: _unpack(gguf, folder), meta)
    return target


def _unpack(gguf: Path, folder: Path) -> None:
    """Fill `folder` with what from_pretrained needs.

    save_pretrained refuses a model that was read from GGUF, so its numbers move into a fresh one of the
    same configuration.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    models: Any = AutoModelForCausalLM
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        read = models.from_pretrained(**where, dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, struct.error) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NoGenerator(f"{gguf} cannot be read: {reason}") from error
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        fresh = models.from_config(config)
    fresh.load_state_dict(read.state_dict(), assign=True)
    fresh.tie_weights()
    fresh.generation_config = read.generation_config
    fresh.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _in_package(name: str) -> Path | None:
    """The first .gguf file, or else the first folder of weights, inside the installed package; None without one."""
    if not _PACKAGE_NAME.match(name):
        return None
    for root in _roots(name):
        for found in sorted(root.rglob("*.gguf")):
            return found
        for config in sorted(root.rglob("config.json")):
            return config.parent
    return None


def _roots(name: str) -> Iterator[Path]:
    guess = name.replace("-", "_")
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        files = []
    tops = {file.parts[0] for file in files if len(file.parts) > 1 and file.parts[0].isidentifier()} or {guess}
    for top in sorted(tops):
        spec = importlib.util.find_spec(top) if top.isidentifier() else None
        yield from map(Path, (spec.submodule_search_locations or []) if spec else [])


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """One process at a time; the operating system frees the lock of one that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".converting.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
