"""The version of the running code, for the record of what it made: git commit and a hash of the sources."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("common", "retrieval", "curation", "tuning", "config")


@cache
def version(root: Path = ROOT) -> dict[str, str]:
    """Return `commit` (of the checkout, empty without one) and `sha256` (over the Python files of all packages).

    The hash shows whether the code was the commit's: it changes with every edited file.
    """
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return {"commit": commit(root), "sha256": digest.hexdigest()}


def commit(root: Path) -> str:
    """Return the commit that .git/HEAD names, or an empty text. Reads the files, so git need not be installed."""
    git = root / ".git"
    try:
        if git.is_file():  # a worktree
            git = Path(git.read_text(encoding="utf-8").partition(":")[2].strip())
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head
        name = head.partition(":")[2].strip()
        common_dir = git / "commondir"
        shared = (git / common_dir.read_text(encoding="utf-8").strip()) if common_dir.exists() else git
        ref = shared / name
        if ref.exists():
            return ref.read_text(encoding="utf-8").strip()
        packed_refs = (shared / "packed-refs").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split()[0] for line in packed_refs if line.endswith(f" {name}")), "")
