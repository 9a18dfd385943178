"""Which code this is: for the record of whatever it made."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("common", "retrieval", "curation", "tuning", "config")


@cache
def version(root: Path = ROOT) -> dict[str, str]:
    """commit: of the checkout the code lies in, empty without one; sha256: over the Python files of all parts.

    The commit says where to look, the hash whether that is really what ran: a changed file changes it.
    """
    digest = hashlib.sha256()
    for part in PARTS:
        for path in sorted((root / part).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return {"commit": commit(root), "sha256": digest.hexdigest()}


def commit(root: Path) -> str:
    """The commit that .git/HEAD names, read from the files so that git need not be installed; empty if it cannot be."""
    git = root / ".git"
    try:
        if git.is_file():  # of a worktree
            git = Path(git.read_text(encoding="utf-8").partition(":")[2].strip())
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head
        name = head.partition(":")[2].strip()
        common = git / "commondir"
        shared = (git / common.read_text(encoding="utf-8").strip()) if common.exists() else git
        loose = shared / name
        if loose.exists():
            return loose.read_text(encoding="utf-8").strip()
        packed = (shared / "packed-refs").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
