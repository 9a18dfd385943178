"""Check that each message catalogue translates every string of the interface; the exit status is 0 where it does.

makemessages runs on a copy of the project. So a new string without a translation fails `make lint`, instead of standing
in English on a Chinese page.
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


def untranslated(catalogue: str) -> list[str]:
    """Return the strings of a .po file's text without a translation or with a fuzzy one."""
    strings = []
    for entry in re.split(r"\n\n+", catalogue):
        if not re.search(r'^msgid "', entry, re.M) or entry.lstrip().startswith('msgid ""\nmsgstr ""\n"'):
            continue
        if re.search(r"^#~", entry, re.M):
            continue
        msgid = re.search(r'^msgid ((?:".*"\n?)+)', entry, re.M)
        text = "".join(re.findall(r'"(.*)"', msgid.group(1))) if msgid else ""
        if not text:
            continue
        last = entry.rstrip().splitlines()[-1]
        if "#, fuzzy" in entry or re.match(r'msgstr(\[\d\])? ""$', last):
            strings.append(text)
    return strings


def updated_catalogue(language: str) -> str:
    """Return the catalogue as makemessages would write it now; the project's own file stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*SKIP, ".git", "__pycache__", "*.mo"))
        command = [sys.executable, "manage.py", "makemessages", "--locale", language, "--no-obsolete", "--no-location"]
        result = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(f"makemessages failed: {result.stderr.strip()}")
        return (copy / "locale" / language / "LC_MESSAGES" / "django.po").read_text()


def main() -> int:
    if not shutil.which("xgettext"):
        print("· gettext is not installed: the catalogues were not checked")
        return 0
    status = 0
    for folder in sorted((ROOT / "locale").iterdir()):
        if not (folder / "LC_MESSAGES").is_dir():
            continue
        for text in untranslated(updated_catalogue(folder.name)):
            print(f"{folder.name}: not translated: {text}")
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
