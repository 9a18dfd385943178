"""What the README says is so."""

import re
from pathlib import Path

from django.core.management import get_commands

from config.api_urls import in_a_project

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
TREE = README.split("## The tree")[1].split("```")[1]


def test_every_path_of_the_tree_exists() -> None:
    folder = ""
    for line in TREE.strip().splitlines():
        for path in re.findall(r"(?:^ *|(?<= ))([a-z_]+(?:/|\.py))(?= |$)", line):
            if not line.startswith(" ") and path.endswith("/"):
                folder = path
            where = ROOT / (folder + path if line.startswith(" ") else path)
            assert where.exists(), f"{where.relative_to(ROOT)} is in the tree but not on disk"


def test_every_setting_is_listed() -> None:
    table = README.split("## Settings")[1]
    used: set[str] = set()
    for path in (ROOT / "config").glob("*.py"):
        used |= set(re.findall(r'env_(?:str|bool|int|list)\(\s*"([A-Z_]+)"', path.read_text()))
    assert used, "no setting was found: the pattern is wrong"
    assert {name for name in used if f"`{name}`" not in table} == set()


def test_every_command_it_names_exists() -> None:
    section = README.split("## The way round by hand")[1].split("## The tree")[0]
    named = set(re.findall(r"^([a-z_]+) ", section.split("```")[1], re.M)) | set(
        re.findall(r"`([a-z]+_[a-z]+|demo)`", section)
    )
    ours = {name for name, app in get_commands().items() if app in {"retrieval", "curation", "tuning"}}
    assert named == ours


def test_the_picture_is_there() -> None:
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_every_address_of_the_api_is_listed() -> None:
    section = README.split("## For programs")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = {re.sub(r"\d+", "#", path.partition("?")[0]) for row in rows for path in re.findall("`([^`]+)`", row)}
    assert listed == {re.sub(r"<[^>]+>", "#", str(address.pattern)) for address in in_a_project}
