"""Sign-in, theme and language, asking, and the release page, as a person with a browser meets them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from common.jobs import JobState
from curation.models import Draft, Project, Query, Release
from curation.queries import intake
from tests.browser.conftest import NewContext, SignIn, violations
from tests.challengers import create_challenger
from tuning.models import Cycle, Run


def test_a_person_signs_in_sees_their_work_and_signs_out(
    page: Page, sign_in_by_hand: SignIn, alice: User, project: Project
) -> None:
    page.goto("/")
    page.wait_for_url("**/sign-in/**")
    sign_in_by_hand(page, alice)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your work")
    expect(page.get_by_role("link", name="Zoo guide")).to_be_visible()
    page.get_by_text("alice").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in/**")


def test_a_wrong_password_is_reported_beside_the_form(page: Page, alice: User) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("not it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("correct username and password")


FIRST_FRAME = """
const record = () => {
    if (!document.body) return requestAnimationFrame(record);
    window.firstFrame = [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor];
};
requestAnimationFrame(record);
"""


def test_the_chosen_theme_is_applied_before_the_next_page_is_painted(page: Page, sign_in: SignIn, alice: User) -> None:
    sign_in(page, alice)
    page.goto("/")
    page.get_by_label("Theme").click()
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.add_init_script(FIRST_FRAME)
    page.reload()
    assert page.evaluate("window.firstFrame") == ["dark", dark]
    assert dark != "rgb(250, 250, 247)"


def test_the_language_button_switches_the_interface_to_chinese(page: Page, sign_in: SignIn, alice: User) -> None:
    sign_in(page, alice)
    page.goto("/")
    page.get_by_label("Language").click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.get_by_role("link", name="跳到正文")).to_be_attached()


def test_the_answer_arrives_while_the_page_is_open(
    page: Page, sign_in: SignIn, alice: User, release: Release, project: Project
) -> None:
    sign_in(page, alice)
    page.goto("/p/zoo/ask/")
    page.get_by_label("Your question").fill("Who sleeps on water?")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/queries/*/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Who sleeps on water?")
    expect(page.locator(".passage").first).to_contain_text("otter")
    expect(page.locator("#answer")).to_contain_text("is writing an answer")
    ranking = Query.objects.get(text="Who sleeps on water?").rankings.get()
    Draft.objects.create(ranking=ranking, text="The otter does.", generator=release.generator, seconds=0.5)
    expect(page.locator("#answer")).to_contain_text("The otter does.")
    expect(page.locator("#answer")).to_contain_text("Drafted by release 1")


def test_a_person_asks_and_reloads_without_javascript(
    new_context: NewContext, sign_in_by_hand: SignIn, alice: User, release: Release
) -> None:
    page = new_context(java_script_enabled=False).new_page()
    sign_in_by_hand(page, alice)
    page.goto("/p/zoo/ask/")
    page.get_by_label("Your question").fill("Who has stripes?")
    page.locator("main").get_by_role("button", name="Ask").click()
    page.wait_for_url("**/queries/*/")
    ranking = Query.objects.get(text="Who has stripes?").rankings.get()
    Draft.objects.create(ranking=ranking, text="The zebra.", seconds=0.5)
    page.reload()
    assert "The zebra." in page.locator("#answer").inner_text()


def test_a_manager_promotes_a_release_and_rolls_back(page: Page, sign_in: SignIn, mona: User, release: Release) -> None:
    challenger = create_challenger(release, before=0.5, after=0.6)
    sign_in(page, mona)
    page.goto("/p/zoo/releases/")
    page.get_by_role("link", name="Release 2").click()
    expect(page.get_by_role("row", name="nDCG@10 0.500")).to_contain_text("+0.100")
    page.get_by_role("link", name="Promote").click()
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("status").first).to_contain_text("Release 2 is live now.")
    challenger.refresh_from_db()
    assert challenger.state == Release.State.LIVE
    page.get_by_role("link", name="Roll back to release 1").click()
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Release 1")
    release.refresh_from_db()
    assert release.state == Release.State.LIVE


def test_a_cycle_moves_on_while_the_page_is_open_and_the_focus_stays(
    page: Page, sign_in: SignIn, erin: User, project: Project
) -> None:
    cycle = Cycle.objects.create(project=project, state=JobState.RUNNING, progress_done=1, progress_total=4)
    sign_in(page, erin)
    page.goto("/p/zoo/cycles/")
    expect(page.locator("#cycle-progress")).to_have_attribute("value", "0.25")
    page.locator("#cancel-cycle").focus()
    Cycle.objects.update(progress_done=3, step=Cycle.Step.TRAIN)
    expect(page.locator("#cycle-progress")).to_have_attribute("value", "0.75", timeout=15_000)
    expect(page.locator("#announcements")).to_have_text("Training")
    expect(page.locator("#cancel-cycle")).to_be_focused()
    cycle.cancel("enough")
    expect(page.locator("#cycle")).to_contain_text("enough", timeout=15_000)
    expect(page.locator("#cycle-progress")).to_have_count(0)


@pytest.mark.parametrize(("width", "language"), [(1280, "en"), (390, "zh-hans")])
def test_the_pages_pass_axe_in_light_and_dark_and_fit_the_screen(
    new_context: NewContext,
    live_server: LiveServer,
    sign_in: SignIn,
    mona: User,
    release: Release,
    project: Project,
    width: int,
    language: str,
) -> None:
    create_challenger(release, before=0.5, after=0.6)
    run = Run.objects.get()
    query = intake.ask(project, "Who hunts at night?", user=mona)
    context = new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    sign_in(page, mona)
    context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    paths = ["", "ask/", "queries/", f"queries/{query.pk}/", "cycles/", "cycles/policy/", f"runs/{run.pk}/"]
    paths += [f"cycles/{run.cycle_id}/", "releases/", "releases/2/", "releases/2/promote/", "settings/"]
    for path in ["/", *(f"/p/zoo/{part}" for part in paths)]:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert violations(page) == [], (path, scheme)
