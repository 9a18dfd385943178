"""Find a generator's weights, and convert a GGUF file into a folder that loads in a second.

Reading a GGUF file takes a quarter of a minute each time, because its blocks are dequantised one by one. So a file is
converted once, into a folder whose name holds the hash of its bytes. A package that is too large for a package index
may have its file in parts (NAME.gguf.part00, …), each in a package of its own that it requires.
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
    """Return where the generator called `name` can be loaded from: a folder on this machine, or a hub name.

    name: a folder; a .gguf file; an installed distribution or module that holds either; or `owner/name` on
    the hub, returned as it is. A GGUF file is converted into `cache_dir`, once: the first call takes half a
    minute, the next none. Raises NoGenerator.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    weights = path.resolve() if path.is_file() else _in_package(name)
    if weights is None:
        if _HUB_NAME.match(name):
            return name
        raise NoGenerator(f"no generator called {name!r}: neither a path, nor an installed package, nor a hub name")
    if isinstance(weights, Path):
        if weights.is_dir():
            return weights
        if weights.suffix != ".gguf":
            raise NoGenerator(f"{weights} is not a .gguf file")
        weights = GgufFile(weights.name, (weights,))
    return convert(weights, cache_dir)


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file: its parts in order, or itself as the only part. sha256: as its package states it; may be empty."""

    name: str
    parts: tuple[Path, ...]
    sha256: str = ""


def convert(source: GgufFile, cache_dir: Path) -> Path:
    """Return the folder in `cache_dir` with the weights and the tokenizer of this file; convert it where it is missing.

    Processes that need it at the same time wait for the one that converts. Raises NoGenerator.
    """
    digest = artifacts.file_hash(*source.parts)
    if source.sha256 not in ("", digest):
        raise NoGenerator(f"{source.name} is not what its package says it is: a part is missing or damaged")
    target = cache_dir / f"{Path(source.name).stem}-{digest[:12]}-v{FORMAT_VERSION}"

    def fill(folder: Path) -> None:
        with _joined_file(source, cache_dir) as gguf:
            _unpack(gguf, folder)

    meta = {"kind": "generator", "source": source.name, "sha256": digest, "format": FORMAT_VERSION}
    return artifacts.write_once(target, fill, meta)


@contextmanager
def _joined_file(source: GgufFile, cache_dir: Path) -> Iterator[Path]:
    """Yield the path of the file; where it is in parts, of a temporary file that joins them."""
    if len(source.parts) == 1:
        yield source.parts[0]
        return
    with tempfile.TemporaryDirectory(prefix=".joining-", dir=cache_dir) as folder:
        joined = Path(folder) / source.name
        with joined.open("wb") as target:
            for part in source.parts:
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, target)
        yield joined


def _unpack(gguf: Path, folder: Path) -> None:
    """Write the files that from_pretrained needs into `folder`.

    save_pretrained refuses a model that was read from GGUF, so its weights move into a new model of the same
    configuration.
    """
    import torch
    from transformers import AutoModelForCausalLM

    models: Any = AutoModelForCausalLM
    model, tokenizer = _read_gguf(gguf)
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        fresh = models.from_config(config)
    fresh.load_state_dict(model.state_dict(), assign=True)
    fresh.tie_weights()
    fresh.generation_config = model.generation_config
    fresh.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _read_gguf(gguf: Path) -> tuple[Any, Any]:
    """Return the model in float32 and the tokenizer. Raises NoGenerator."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    models: Any = AutoModelForCausalLM
    location = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**location)
        model = models.from_pretrained(**location, dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, struct.error) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NoGenerator(f"{gguf} cannot be read: {reason}") from error
    return model, tokenizer


def _in_package(name: str) -> Path | GgufFile | None:
    """Return a package's first .gguf file, or its first folder of weights, or its file in parts; None without any."""
    roots = model_packages.package_folders(name)
    for root in roots:
        for path in sorted(root.rglob("*.gguf")):
            return path
        for config in sorted(root.rglob("config.json")):
            return config.parent
    return _in_parts(
        [*roots, *(root for required in _parts_of(name) for root in model_packages.package_folders(required))]
    )


def _in_parts(roots: Sequence[Path]) -> GgufFile | None:
    """Return the file whose parts are under these folders, with the hash that a SHA256SUMS under them states."""
    matches = {match: path for root in roots for path in root.rglob("*.gguf.*") if (match := _PART.match(path.name))}
    if not matches:
        return None
    name = min(match["file"] for match in matches)
    parts = sorted((int(match["number"]), path) for match, path in matches.items() if match["file"] == name)
    sums = [file.read_text(encoding="utf-8") for root in roots for file in root.rglob("SHA256SUMS")]
    stated = re.search(rf"^(\w{{64}}) [ *]{re.escape(name)}$", "\n".join(sums), re.MULTILINE)
    return GgufFile(name, tuple(path for _number, path in parts), stated[1] if stated else "")


def _parts_of(name: str) -> list[str]:
    """Return the packages that a package requires and whose names begin with its own: those of a file's parts do."""
    try:
        requirements = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    names = [match[0] for requirement in requirements if (match := re.match(r"[\w.-]+", requirement))]
    return [part for part in names if part.replace("_", "-").startswith(name.replace("_", "-"))]
