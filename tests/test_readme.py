"""README and the documents say what is so: paths, links, settings, commands, addresses and terms are checked."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.urls import reverse

from common.renamed_keys import RENAMED_KEYS
from config.api_urls import project_urlpatterns
from tuning.engine.generator.generator_spec import GeneratorSettings
from tuning.engine.reranker.reranker_spec import RerankerSettings
from tuning.engine.retriever.retriever_spec import RetrieverSettings
from tuning.exports.export import FORMATS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
COMMANDS = (ROOT / "docs/commands.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PRODUCT = ["common", "retrieval", "curation", "tuning", "config"]
OURS = {name: app for name, app in get_commands().items() if app in {"retrieval", "curation", "tuning"}}
DJANGO_FURNITURE = {"admin", "migrations", "management", "commands", "templatetags", "__pycache__"}
DJANGO_OPTIONS = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no-color", "force-color"} | {
    "skip-checks",
    "json",  # of every command, described once
}
MIN_TERMS = 45


def _section(text: str, heading: str) -> str:
    """The text below a heading, up to the next one of the same or a higher level."""
    level = len(heading) - len(heading.lstrip("#"))
    after = text.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"\n#{{1,{level}}} ", after)[0]


def _tree() -> Iterator[str]:
    """Every path of the tree in docs/architecture.md; a folder ends with a slash."""
    folders: list[str] = []
    for line in _section(ARCHITECTURE, "## The tree").split("```")[1].strip("\n").splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = [*folders[:depth], name] if name.endswith("/") else folders[:depth]
        yield "".join(folders) + ("" if name.endswith("/") else name)


def _rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of a Markdown table that begins with a code or a term."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_every_path_of_the_tree_exists() -> None:
    paths = list(_tree())
    assert len(paths) > 50, "the tree was not found: the pattern is wrong"
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_room_is_in_the_tree() -> None:
    listed = {path.rstrip("/") for path in _tree()}
    rooms = {
        str(path.parent.relative_to(ROOT))
        for app in PRODUCT
        for path in (ROOT / app).rglob("*.py")
        if not DJANGO_FURNITURE & set(path.parent.relative_to(ROOT).parts)
    }
    assert rooms, "no room was found: the pattern is wrong"
    assert rooms - listed == set()


def test_every_setting_is_listed() -> None:
    rows = (row[0] for row in _rows((ROOT / "docs/settings.md").read_text()))
    listed = {name for cell in rows for name in re.findall(r"`([A-Z_]+)`", cell)}
    used: set[str] = set()
    for path in (ROOT / "config").glob("*.py"):
        used |= set(re.findall(r"env_(?:str|bool|int|list)\(\s*[\"']([A-Z_]+)[\"']", path.read_text()))
    assert used, "no setting was found: the pattern is wrong"
    assert used - listed == set(), "used and not listed"
    assert listed - used == set(), "listed and not used"


def test_every_command_is_listed() -> None:
    listed = {row[0].strip("`") for row in _rows(COMMANDS.split("\n## ")[0]) if row[0].startswith("`")}
    described = set(re.findall(r"^## ([a-z_]+)$", COMMANDS, re.M))
    assert listed == set(OURS)
    assert described == set(OURS)


def test_every_command_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", README))
    assert named, "no command was found: the pattern is wrong"
    assert named - set(OURS) == set()


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_option_of_a_command_is_described(name: str) -> None:
    parser: argparse.ArgumentParser = load_command_class(OURS[name], name).create_parser("manage.py", name)
    options = {
        option.lstrip("-") for action in parser._actions for option in action.option_strings if option.startswith("--")
    }
    described = set(re.findall(r"--([a-z][a-z-]+)", _section(COMMANDS, f"## {name}")))
    assert described == options - DJANGO_OPTIONS


def test_every_address_of_the_api_is_listed() -> None:
    section = _section((ROOT / "docs/api.md").read_text(), "## Addresses of a project")
    cells = [row[0] for row in _rows(section) if row[0].startswith("`")]
    listed = {re.sub(r"\d+", "#", path.partition("?")[0]) for cell in cells for path in re.findall("`([^`]+)`", cell)}
    assert listed == {re.sub(r"<[^>]+>", "#", str(address.pattern)) for address in project_urlpatterns}


def test_every_export_format_is_listed() -> None:
    section = _section((ROOT / "docs/formats.md").read_text(), "## Out: exports")
    listed: dict[str, set[str]] = {}
    what = ""
    for row in _rows(section):
        if not row[1].startswith("`"):
            continue
        what = row[0].strip("`") or what
        listed.setdefault(what, set()).update(re.findall("`([^`]+)`", row[1]))
    listed.pop("--what")  # the head of the table
    assert listed == {what: set(forms) for what, forms in FORMATS.items()}


@pytest.mark.parametrize(
    ("component", "defaults"),
    [("retriever", RetrieverSettings()), ("generator", GeneratorSettings()), ("reranker", RerankerSettings())],
)
def test_every_default_value_is_the_one_in_the_code(component: str, defaults: Any) -> None:
    section = _section((ROOT / "docs/method.md").read_text(), f"### Settings of the {component}")
    listed = {row[0].strip("`"): row[1] for row in _rows(section) if row[0].startswith("`")}
    assert listed == {field.name: _shown(getattr(defaults, field.name)) for field in fields(defaults)}


def _shown(value: Any) -> str:
    """A default value as the tables of docs/method.md show it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "–" if value in (None, "") else str(value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_picture_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in _anchors(file), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_the_project_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    if page.name == "CHANGELOG.md":  # the left column names what was
        text = "\n".join(row[-1] for row in _rows(text))
    roots = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"var"}
    for name in re.findall(r"`([a-z_]+(?:/[\w.-]+)+/?)`", text):
        if name.split("/")[0] in roots:
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def _renames(heading: str, columns: int) -> list[list[str]]:
    """Return the rows with this number of columns below a heading of the changelog, without backticks and heads."""
    rows = [row for row in _rows(_section(CHANGELOG, heading)) if len(row) == columns and not row[0].startswith("Old")]
    assert rows, f"no row below {heading}: the pattern is wrong"
    return [[cell.strip("`") for cell in row] for row in rows]


def test_the_changelog_has_every_renamed_key_of_stored_json() -> None:
    listed: dict[str, dict[str, str]] = {}
    for kind, old, new in _renames("#### JSON in rows and files", 3)[1:]:
        listed.setdefault(kind, {})[old] = new
    assert listed == RENAMED_KEYS


def test_every_new_address_of_a_page_in_the_changelog_exists() -> None:
    for old, new, old_name, new_name in _renames("#### Pages", 4):
        address = old if new.startswith("(") else new
        name = old_name if new_name.startswith("(") else new_name
        arguments = {key: "1" for key in re.findall(r"<(\w+)>", address.replace("<project>", "<slug>"))}
        expected = re.sub(r"<\w+>", "1", address)
        assert reverse(name, kwargs=arguments) == expected, address


def test_every_new_address_of_the_api_in_the_changelog_exists() -> None:
    addresses = {re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", str(address.pattern)) for address in project_urlpatterns}
    assert {new for _old, new in _renames("#### API", 2) if new.endswith("/")} <= addresses


def test_every_new_column_in_the_changelog_exists() -> None:
    models = {model.__name__: model for app in ("retrieval", "curation", "tuning") for model in _models(app)}
    assert {new for _old, new in _renames("#### Models and columns", 2)} <= set(models)
    for name, _old, new in _renames("#### Models and columns", 3)[1:]:
        assert models[name]._meta.get_field(new), f"{name}.{new}"


def _models(app: str) -> list[Any]:
    return list(apps.get_app_config(app).get_models())


def _anchors(file: Path) -> set[str]:
    """The anchors of a Markdown file's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", file.read_text(), flags=re.S)
    names = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in names}


def _terms() -> list[tuple[str, str]]:
    """Term and file of each row of the index."""
    rows = _rows(_section(ARCHITECTURE, "## Index of terms"))
    return [(row[0], row[1].strip("`")) for row in rows if row[1].startswith("`")]


def test_the_index_has_the_terms_of_the_field() -> None:
    terms = [term for term, _file in _terms()]
    assert len(terms) >= MIN_TERMS
    assert len(set(terms)) == len(terms)
    assert terms == sorted(terms, key=str.lower)


@pytest.mark.parametrize(("term", "file"), _terms())
def test_a_term_stands_in_the_name_of_its_file_or_of_what_it_defines(term: str, file: str) -> None:
    path = ROOT / file
    assert path.is_file()
    assert any(_words(term) in _words(text) for text in _names(path)), f"{file} does not say “{term}”"


def _names(path: Path) -> Iterator[str]:
    """The path of a module, the first line of its docstring, and the name of everything it defines."""
    yield str(path.relative_to(ROOT).with_suffix(""))
    tree = ast.parse(path.read_text())
    yield (ast.get_docstring(tree) or "").partition("\n")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def _words(text: str) -> str:
    """The words of a text or a name, in one case and in the singular, each between spaces."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text).replace("_", " ")
    return " ".join(["", *map(_singular, re.findall(r"\w+", spaced.casefold())), ""])


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
