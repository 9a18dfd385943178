"""The machine underneath: how many threads, which number format is fast, what to write into a record."""

from __future__ import annotations

import json
import os
import platform
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common import artifacts

if TYPE_CHECKING:
    import torch

Dtype = Literal["bfloat16", "float32"]

_RECORDED = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "bm25s", "peft", "numpy")


def set_threads(n: int) -> int:
    """The threads torch and faiss now use in this process: `n`, or every core this process may use for 0."""
    import faiss
    import torch

    threads = n or _cores()
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    return threads


def fast_dtype(cache_path: Path | None = None) -> Dtype:
    """The format in which this machine multiplies matrices faster, measured and not assumed.

    The measurement takes under a second, is kept for the life of the process, and is kept in `cache_path`
    for the next one as long as processor and torch stay the same. float32 wins a draw: it is the exact one.
    """
    if cache_path is None:
        return _measured_dtype()
    machine = {"processor": processor(), "torch": metadata.version("torch")}
    try:
        kept = json.loads(cache_path.read_text(encoding="utf-8"))
        if {name: kept[name] for name in machine} == machine and kept["dtype"] in ("bfloat16", "float32"):
            return "bfloat16" if kept["dtype"] == "bfloat16" else "float32"
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not measured here yet, or no longer true
    dtype = _measured_dtype()
    text = json.dumps(machine | {"dtype": dtype})
    artifacts.write_file(cache_path, lambda part: _write(part, text))
    return dtype


def describe() -> dict[str, Any]:
    """Hardware and versions, for the record of a run or a benchmark."""
    return {
        "processor": processor(),
        "cores": _cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in _RECORDED if (version := _version(name))},
        "accelerator": _accelerator(),
    }


def processor() -> str:
    """The processor's name and whether it knows bfloat16."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    by_name = {key.strip(): value.strip() for key, value in fields.items()}
    flags = sorted(set(by_name.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"})
    return " ".join([by_name.get("model name", platform.machine()), *flags])


@cache
def _measured_dtype() -> Dtype:
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    exact = _seconds(torch.float32)
    short = _seconds(torch.bfloat16)
    return "bfloat16" if short < 0.8 * exact else "float32"


def _seconds(dtype: torch.dtype) -> float:
    """Best of four products; small ones, since a format the processor does not know is twenty times slower."""
    import torch

    left = torch.ones(256, 384, dtype=dtype)
    right = torch.ones(384, 384, dtype=dtype)
    best = float("inf")
    for _ in range(4):  # the first one warms up
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return best


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
