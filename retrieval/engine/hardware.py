"""Hardware: number of threads, the fastest number format, and a description of the machine for records."""

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
    """Set the threads of torch and FAISS in this process to `n`, or to all available cores for 0; return them."""
    import faiss
    import torch

    threads = n or _cores()
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    return threads


def fast_dtype(cache_path: Path | None = None) -> Dtype:
    """Return the number format in which this machine multiplies matrices faster, as measured.

    The measurement takes less than a second. It is cached in the process, and in `cache_path` for other processes with
    the same processor and torch. float32 is preferred unless bfloat16 is at least a fifth faster.
    """
    if cache_path is None:
        return _measured_dtype()
    machine = {"processor": processor(), "torch": metadata.version("torch")}
    try:
        cached = json.loads(cache_path.read_text(encoding="utf-8"))
        if {name: cached[name] for name in machine} == machine and cached["dtype"] in ("bfloat16", "float32"):
            return "bfloat16" if cached["dtype"] == "bfloat16" else "float32"
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not measured on this machine yet
    dtype = _measured_dtype()
    text = json.dumps(machine | {"dtype": dtype})
    artifacts.write_file(cache_path, lambda part: _write(part, text))
    return dtype


def describe() -> dict[str, Any]:
    """Return hardware and versions, for the record of a run or a benchmark."""
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
    """Return the processor's name, with those of its instruction sets that matter for speed (AVX, bfloat16)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    by_name = {key.strip(): value.strip() for key, value in fields.items()}
    instruction_sets = sorted(set(by_name.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"})
    return " ".join([by_name.get("model name", platform.machine()), *instruction_sets])


@cache
def _measured_dtype() -> Dtype:
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if _matmul_seconds(torch.bfloat16) < 0.8 * _matmul_seconds(torch.float32) else "float32"


def _matmul_seconds(dtype: torch.dtype) -> float:
    """Return the fastest of four products. Small matrices: an unsupported format is twenty times slower."""
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
