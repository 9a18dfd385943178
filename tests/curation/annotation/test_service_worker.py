"""Service worker: the browser may keep copies of a person's open assignments, with every file of the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from curation.annotation import claims, judgements
from curation.annotation.judge_page.script_messages import MESSAGES
from curation.annotation.judge_page.service_worker import FILES
from curation.models import Assignment, Project
from tests.curation.annotation.test_judge_page import Wait

STATIC = Path(__file__).resolve().parents[3] / "static"


def test_the_worker_has_its_files_and_a_version(client: Client) -> None:
    response = client.get("/service-worker.js")
    assert response["Content-Type"].startswith("text/javascript") and "no-cache" in response["Cache-Control"]
    version, files = response.content.decode().splitlines()[:2]
    assert re.fullmatch(r'const VERSION = "[0-9a-f]{12}";', version)
    for address in json.loads(files.removeprefix("const FILES = ").removesuffix(";")):
        assert client.get(address).status_code == 200


def test_the_worker_caches_every_file_the_judge_page_loads(
    client: Client, project: Project, alice: User, wait: Wait
) -> None:
    wait()
    client.force_login(alice)
    html = client.get(reverse("curation:judge", args=[project.slug]), follow=True).content.decode()
    named = set(re.findall(r'(?:src|href)="/static/([^"]+)"', html))
    for name in [name for name in named if name.endswith(".js")]:
        folder = (STATIC / name).parent
        imported = re.findall(r"^import .* from '([^']+)'", (STATIC / name).read_text(), re.M)
        named |= {str((folder / path).resolve().relative_to(STATIC)) for path in imported}
    named |= {f"vendor/{path}" for path in re.findall(r"\.\./vendor/([^\"]+)", (STATIC / "css/tokens.css").read_text())}
    assert named == set(FILES)


def test_only_open_assignments_of_the_person_may_be_copied(
    client: Client, project: Project, alice: User, wait: Wait
) -> None:
    wait()
    mine = claims.claim_next(project, alice)
    assert mine is not None
    client.force_login(alice)
    page = reverse("curation:assignment", args=[project.slug, mine.pk])
    for headers in ({}, {"HX-Request": "true"}):
        assert client.get(page, headers=headers)["X-Owner"] == str(alice.pk)
    assert client.get(page).content.count(b"<!--work-->") == 2  # where the worker cuts the assignment out
    assert b"<!--work-->" not in client.get(page, headers={"HX-Request": "true"}).content
    for passage_id in mine.order:
        judgements.record(mine, passage_id, 1)
    judgements.submit(mine)
    assert Assignment.objects.get().state == "submitted"
    for address in (page, reverse("curation:project", args=[project.slug]), reverse("home")):
        assert "X-Owner" not in client.get(address)


def test_the_messages_are_those_that_the_scripts_use() -> None:
    scripts = [*STATIC.glob("js/annotation/*.js"), *STATIC.glob("js/offline/*.js")]
    text = "".join(path.read_text() for path in scripts)
    assert set(re.findall(r"\bmessages\.(\w+)", text)) <= set(MESSAGES)
    assert [name for name in MESSAGES if not re.search(rf"\.{name}\b|'{name}'", text)] == []
