"""Is every string of the interface translated? Status 0 when each catalogue is whole and current.

Compares the strings in the code with the catalogue by running makemessages into a copy, so that a new string
without a translation fails `make lint` rather than showing up as English in a Chinese page.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIP = [".venv", "var", "node_modules", "tests", "bench"]


def missing(catalogue: str) -> list[str]:
    """The strings of a .po text that have no translation or only a guessed one."""
    found = []
    for entry in re.split(r"\n\n+", catalogue):
        if not re.search(r'^msgid "', entry, re.M) or entry.lstrip().startswith('msgid ""\nmsgstr ""\n"'):
            continue
        if re.search(r"^#~", entry, re.M):
            continue
        name = re.search(r'^msgid ((?:".*"\n?)+)', entry, re.M)
        text = "".join(re.findall(r'"(.*)"', name.group(1))) if name else ""
        if not text:
            continue
        last = entry.rstrip().splitlines()[-1]
        if "#, fuzzy" in entry or re.match(r'msgstr(\[\d\])? ""$', last):
            found.append(text)
    return found


def fresh_catalogue(language: str) -> str:
    """The catalogue as makemessages would write it now, without touching the project's own."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*SKIP, ".git", "__pycache__", "*.mo"))
        command = [sys.executable, "manage.py", "makemessages", "--locale", language, "--no-obsolete", "--no-location"]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"makemessages failed: {done.stderr.strip()}")
        return (copy / "locale" / language / "LC_MESSAGES" / "django.po").read_text()


def main() -> int:
    if not shutil.which("xgettext"):
        print("· gettext is not installed: the catalogues were not compared with the code")
        return 0
    status = 0
    for folder in sorted((ROOT / "locale").iterdir()):
        if not (folder / "LC_MESSAGES").is_dir():
            continue
        for text in missing(fresh_catalogue(folder.name)):
            print(f"{folder.name}: not translated: {text}")
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
