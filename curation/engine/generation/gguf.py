"""Find a generator's weights, and turn a GGUF file into a folder that loads in a second.

Reading a GGUF file takes a quarter of a minute each time, because its blocks are unpacked one by one.
So a file is converted once, under a name that carries the hash of its bytes. A package too large for an index may have
cut its file in parts (NAME.gguf.part00, …), each in a package of its own that it requires.
"""

from __future__ import annotations

import re
import shutil
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from common import artifacts
from retrieval.engine.encoders import model_packages

# Part of a converted folder's name. 1: float32 weights, tokenizer with its chat template.
FORMAT_VERSION = 1

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+\Z")
_PART = re.compile(r"(?P<file>.+\.gguf)\.part-?(?P<number>\d+)\Z")


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
    if isinstance(found, Path):
        if found.is_dir():
            return found
        if found.suffix != ".gguf":
            raise NoGenerator(f"{found} is not a .gguf file")
        found = Source(found.name, (found,))
    return convert(found, cache_dir)


@dataclass(frozen=True)
class Source:
    """A GGUF file: its parts in order, an ordinary file being its only one. sha256: what its package says of it."""

    name: str
    parts: tuple[Path, ...]
    sha256: str = ""


def convert(source: Source, cache_dir: Path) -> Path:
    """The folder in `cache_dir` with the weights and the tokenizer of this file, made if it is not there yet.

    Processes that ask at the same time wait for the one that converts. Raises NoGenerator.
    """
    digest = artifacts.file_hash(*source.parts)
    if source.sha256 not in ("", digest):
        raise NoGenerator(f"{source.name} is not what its package says it is: a part is missing or damaged")
    target = cache_dir / f"{Path(source.name).stem}-{digest[:12]}-v{FORMAT_VERSION}"

    def fill(folder: Path) -> None:
        with _whole(source, cache_dir) as gguf:
            _unpack(gguf, folder)

    meta = {"kind": "generator", "source": source.name, "sha256": digest, "format": FORMAT_VERSION}
    return artifacts.write_once(target, fill, meta)


@contextmanager
def _whole(source: Source, cache_dir: Path) -> Iterator[Path]:
    """The file, put together for the while where it is in parts."""
    if len(source.parts) == 1:
        yield source.parts[0]
        return
    with tempfile.TemporaryDirectory(prefix=".joining-", dir=cache_dir) as folder:
        joined = Path(folder) / source.name
        with joined.open("wb") as whole:
            for part in source.parts:
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, whole)
        yield joined


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


def _in_package(name: str) -> Path | Source | None:
    """The first .gguf file, or else the first folder of weights, or else a file in parts; None without any."""
    roots = model_packages.roots(name)
    for root in roots:
        for found in sorted(root.rglob("*.gguf")):
            return found
        for config in sorted(root.rglob("config.json")):
            return config.parent
    return _in_parts([*roots, *(root for required in _parts_of(name) for root in model_packages.roots(required))])


def _in_parts(roots: Sequence[Path]) -> Source | None:
    """The file whose parts are under these folders, with the hash a SHA256SUMS under them has for it."""
    found = {match: path for root in roots for path in root.rglob("*.gguf.*") if (match := _PART.match(path.name))}
    if not found:
        return None
    names = {match["file"] for match in found}
    name = min(names)
    parts = sorted((int(match["number"]), path) for match, path in found.items() if match["file"] == name)
    told = [file.read_text(encoding="utf-8") for root in roots for file in root.rglob("SHA256SUMS")]
    said = re.search(rf"^(\w{{64}}) [ *]{re.escape(name)}$", "\n".join(told), re.MULTILINE)
    return Source(name, tuple(path for _number, path in parts), said[1] if said else "")


def _parts_of(name: str) -> list[str]:
    """The packages it requires whose names go on from its own, as those of a file's parts do."""
    try:
        required = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    names = [match[0] for one in required if (match := re.match(r"[\w.-]+", one))]
    return [one for one in names if one.replace("_", "-").startswith(name.replace("_", "-"))]
