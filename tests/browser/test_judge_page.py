"""The judge page in a real browser: shortcuts, undo, lost connections, input methods, two tabs, no JavaScript, axe."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from curation.annotation import assignments, claims, judgements
from curation.models import Answer, Assignment, Draft, Guidelines, Judgement, Project, Query, Review
from curation.propagation import label_propagation
from curation.queries import intake
from retrieval.models import Passage
from retrieval.search.results import Hit
from tests.browser.conftest import NewContext, SignIn, violations

TEN = "lion tiger zebra panda otter eagle crow shark whale snail"
DRAFT = "The lion sleeps. The otter too."

AddQuery = Callable[..., Query]


@pytest.fixture
def add_query(project: Project, passages: dict[str, Passage]) -> AddQuery:
    """Return a function that adds a query with these passages and a draft to the queue."""

    def add(text: str, names: str = TEN, draft: str = DRAFT) -> Query:
        number = project.queries.count() + 1
        query = Query.objects.create(project=project, external_id=f"q{number}", text=text, overlap=1)
        hits = [Hit(passages[name].pk, rank, 1 / rank) for rank, name in enumerate(names.split(), start=1)]
        (ranking,) = intake.freeze_hits([query], None, [hits])
        Draft.objects.create(ranking=ranking, text=draft)
        assignments.create_open(query.project, [query])
        return query

    return add


@pytest.fixture
def queue(add_query: AddQuery) -> list[Query]:
    return [add_query(f"Question {number}: who sleeps?") for number in (1, 2, 3)]


@pytest.fixture
def judge_page(page: Page, sign_in: SignIn, alice: User, queue: list[Query]) -> Page:
    """Alice's judge page with her first query."""
    sign_in(page, alice)
    open_judge_page(page)
    return page


def open_judge_page(page: Page) -> None:
    page.goto("/p/zoo/judge/")
    expect(page.locator(".passage-card.is-current")).to_be_visible()


def shown_assignment(page: Page) -> int:
    return int(page.locator("#work").get_attribute("data-assignment") or 0)


def grades_of(assignment: int) -> list[int | None]:
    rows = Judgement.objects.not_withdrawn().filter(assignment=assignment).order_by("shown_position")
    return list(rows.values_list("grade", flat=True))


def wait_until_saved(page: Page) -> None:
    expect(page.locator("#save-state")).to_have_text("Saved")


def wait_until(page: Page, condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until the condition holds. Meanwhile Playwright serves the routes and events of the page."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        page.wait_for_timeout(20)
    pytest.fail(f"the condition did not hold within {seconds} s")


def wait_for_next(page: Page) -> None:
    """Wait until the next assignment is claimed and loaded."""
    wait_until(page, lambda: page.evaluate("document.getElementById('judge').page.next.url !== undefined"))


def test_ten_passages_and_an_accepted_answer_are_eleven_key_presses(judge_page: Page) -> None:
    first = shown_assignment(judge_page)
    wait_for_next(judge_page)
    for key in "0123x01230":
        judge_page.keyboard.press(key)
    judge_page.keyboard.press("Enter")
    assert shown_assignment(judge_page) != first  # at once, from what was fetched ahead
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "submitted")
    assert grades_of(first) == [0, 1, 2, 3, None, 0, 1, 2, 3, 0]
    assert Answer.objects.get(assignment=first).text == DRAFT
    assert judge_page.url.endswith(f"/assignments/{shown_assignment(judge_page)}/")


def test_the_next_query_is_painted_within_half_a_second(judge_page: Page) -> None:
    wait_for_next(judge_page)
    for key in "1" * 10:
        judge_page.keyboard.press(key)
    judge_page.keyboard.press("Enter")
    wait_until(judge_page, lambda: judge_page.evaluate("performance.getEntriesByName('tandem:next').length") == 1)
    assert (
        judge_page.evaluate("performance.getEntriesByName('tandem:next')[0].duration") < 500
    )  # the target stands in bench/


def test_the_submit_is_sent_after_the_next_query_is_painted(judge_page: Page) -> None:
    first = shown_assignment(judge_page)
    wait_for_next(judge_page)
    for key in "1" * 10:
        judge_page.keyboard.press(key)
    wait_until_saved(judge_page)
    judge_page.keyboard.press("Enter")
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "submitted")
    requests = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/submit/'))"
    wait_until(judge_page, lambda: judge_page.evaluate(f"{requests}.length") == 1)  # listed once it is answered
    painted = judge_page.evaluate("performance.getEntriesByName('tandem:next').map((e) => e.startTime + e.duration)[0]")
    assert painted <= judge_page.evaluate(f"{requests}[0].startTime")


def test_keys_move_and_undo_goes_back_any_number_of_steps(judge_page: Page) -> None:
    current = judge_page.locator(".passage-card.is-current")
    judge_page.keyboard.press("j")
    judge_page.keyboard.press("ArrowDown")
    judge_page.keyboard.press("k")
    expect(current).to_have_attribute("data-position", "2")
    judge_page.keyboard.press("3")
    judge_page.keyboard.press("k")
    judge_page.keyboard.press("1")
    for _step in range(2):
        judge_page.keyboard.press("u")
    expect(judge_page.locator("[data-graded]")).to_have_text("0")
    wait_until_saved(judge_page)
    assert grades_of(shown_assignment(judge_page)) == []


def test_undo_goes_over_the_submit(judge_page: Page) -> None:
    first = shown_assignment(judge_page)
    wait_for_next(judge_page)
    for key in "2" * 10:
        judge_page.keyboard.press(key)
    judge_page.keyboard.press("Enter")
    second = shown_assignment(judge_page)
    judge_page.keyboard.press("1")
    judge_page.keyboard.press("u")  # the grade of the second
    judge_page.keyboard.press("u")  # the submit of the first
    assert shown_assignment(judge_page) == first
    judge_page.keyboard.press("u")  # its last grade
    expect(judge_page.locator("[data-graded]")).to_have_text("9")
    wait_until_saved(judge_page)
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "claimed")
    assert grades_of(second) == [] and len(grades_of(first)) == 9
    judge_page.keyboard.press("0")
    judge_page.keyboard.press("Enter")
    assert shown_assignment(judge_page) == second
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "submitted")
    assert grades_of(first)[-1] == 0


def test_undo_goes_over_the_skip(judge_page: Page) -> None:
    first = shown_assignment(judge_page)
    wait_for_next(judge_page)
    judge_page.keyboard.press("2")
    judge_page.keyboard.press("s")
    judge_page.keyboard.type("Not my field")
    judge_page.keyboard.press("Enter")
    second = shown_assignment(judge_page)
    assert second != first
    judge_page.keyboard.press("u")
    assert shown_assignment(judge_page) == first
    expect(judge_page.locator("#skip-comment")).not_to_be_visible()
    judge_page.keyboard.press("u")  # the grade before the skip
    expect(judge_page.locator("[data-graded]")).to_have_text("0")
    wait_until_saved(judge_page)
    assert Assignment.objects.get(pk=first).state == "claimed" and grades_of(first) == []
    for key in "1" * 10:
        judge_page.keyboard.press(key)
    judge_page.keyboard.press("Enter")
    assert shown_assignment(judge_page) == second
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "submitted")
    assert Assignment.objects.filter(query__assignments=first).count() == 1


def test_a_skip_is_not_undone_after_somebody_else_claimed_the_query(judge_page: Page, bob: User) -> None:
    first = shown_assignment(judge_page)
    wait_for_next(judge_page)
    judge_page.keyboard.press("2")
    judge_page.keyboard.press("s")
    judge_page.keyboard.press("Enter")
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "handed_back")
    claims.claim(Assignment.objects.get(pk=first).query, bob)
    judge_page.keyboard.press("u")
    expect(judge_page.locator("#work #work-notice")).to_contain_text("Somebody else has this query by now.")
    judge_page.keyboard.press("u")  # its grade is not to be undone any more
    assert shown_assignment(judge_page) == first and grades_of(first) == [2]


def test_enter_goes_to_the_first_passage_without_a_grade(judge_page: Page) -> None:
    judge_page.keyboard.press("2")
    judge_page.keyboard.press("Enter")
    expect(judge_page.locator("#status-message")).to_have_text("Grade the remaining passages (9) to submit.")
    expect(judge_page.locator(".passage-card.is-current")).to_have_attribute("data-position", "2")


def test_the_answer_is_edited_compared_and_saved_as_one_types(judge_page: Page) -> None:
    judge_page.keyboard.press("e")
    judge_page.keyboard.type(" 3 snails, jk.")  # shortcuts are off while typing
    expect(judge_page.locator("[data-diff] ins")).to_have_text(" 3 snails, jk.")
    wait_until_saved(judge_page)
    assert Answer.objects.get().text == DRAFT + " 3 snails, jk."
    assert not Judgement.objects.exists()
    judge_page.keyboard.press("Escape")
    judge_page.keyboard.press("2")
    wait_until_saved(judge_page)
    assert Judgement.objects.get().grade == 2
    judge_page.keyboard.press("u")
    judge_page.keyboard.press("u")
    expect(judge_page.locator("#answer-text")).to_have_value(DRAFT)
    wait_until_saved(judge_page)
    assert Answer.objects.get().text == DRAFT


def test_chinese_answers_are_compared_by_character(
    page: Page, sign_in: SignIn, alice: User, add_query: AddQuery
) -> None:
    add_query("谁在睡觉？", "lion", draft="狮子白天睡觉。")
    sign_in(page, alice)
    open_judge_page(page)
    page.locator("#answer-text").fill("狮子夜里睡觉。")
    expect(page.locator("[data-diff] del")).to_have_text("白天")
    expect(page.locator("[data-diff] ins")).to_have_text("夜里")


def test_keys_of_an_input_method_are_text(judge_page: Page) -> None:
    press = """(init) => document.activeElement.dispatchEvent(
        new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...init}))"""
    judge_page.evaluate(press, {"key": "2", "isComposing": True})
    judge_page.evaluate(press, {"key": "2", "keyCode": 229})
    judge_page.evaluate(press, {"key": "Process"})
    expect(judge_page.locator("[data-graded]")).to_have_text("0")
    judge_page.keyboard.press("e")
    client = judge_page.context.new_cdp_session(judge_page)
    client.send("Input.imeSetComposition", {"text": "ni", "selectionStart": 2, "selectionEnd": 2})
    judge_page.evaluate(press, {"key": "Escape", "isComposing": True})  # closes the list of candidates, not the field
    assert judge_page.evaluate("document.activeElement.id") == "answer-text"
    client.send("Input.insertText", {"text": "你"})
    wait_until_saved(judge_page)
    assert Answer.objects.get().text == DRAFT + "你"


def test_modified_and_held_keys_grade_nothing(judge_page: Page) -> None:
    judge_page.keyboard.press("Control+2")
    judge_page.keyboard.press("Alt+2")
    judge_page.keyboard.down("2")
    judge_page.keyboard.down("2")  # repeats
    judge_page.keyboard.up("2")
    expect(judge_page.locator("[data-graded]")).to_have_text("1")


def test_keys_can_be_remapped(page: Page, sign_in: SignIn, alice: User, queue: list[Query]) -> None:
    sign_in(page, alice)
    page.goto("/preferences/")
    page.get_by_label("Grade 3 and move on").focus()
    page.keyboard.press("q")
    page.get_by_role("button", name="Save").click()
    open_judge_page(page)
    page.keyboard.press("3")
    page.keyboard.press("q")
    expect(page.locator(".passage-card").first).to_have_attribute("data-grade", "3")
    expect(page.locator("[data-graded]")).to_have_text("1")


def test_no_work_is_lost_offline_with_a_reload(judge_page: Page) -> None:
    first = shown_assignment(judge_page)
    wait_until_saved(judge_page)
    judge_page.context.set_offline(True)
    for key in "123":
        judge_page.keyboard.press(key)
    judge_page.keyboard.press("e")
    judge_page.keyboard.type(" Typed offline.")
    judge_page.keyboard.press("Escape")
    expect(judge_page.locator("#save-state")).to_contain_text("Offline: 4 not sent yet")
    assert grades_of(first) == []
    judge_page.context.set_offline(False)
    judge_page.context.route("**/grades/", lambda route: route.abort())  # the server is still away
    judge_page.reload()
    expect(judge_page.locator(".passage-card").nth(2)).to_have_attribute("data-grade", "3")  # from the outbox
    expect(judge_page.locator("#answer-text")).to_have_value(DRAFT + " Typed offline.")
    judge_page.context.unroute("**/grades/")
    wait_until(judge_page, lambda: Answer.objects.filter(text=DRAFT + " Typed offline.").exists())
    assert grades_of(first) == [1, 2, 3]
    wait_until_saved(judge_page)


def wait_until_copied(page: Page, assignment: int) -> None:
    """Wait until the browser has a copy of the assignment's page."""
    wait_until(page, lambda: page.evaluate("navigator.serviceWorker.controller !== null"))
    has_copy = f"caches.match('/p/zoo/assignments/{assignment}/').then((found) => found !== undefined)"
    wait_until(page, lambda: page.evaluate(has_copy) and page.evaluate("caches.match('/p/zoo/shell/').then(Boolean)"))


def test_a_reload_without_a_connection_shows_the_query_as_it_was(judge_page: Page) -> None:
    first = shown_assignment(judge_page)
    wait_until_copied(judge_page, first)
    wait_for_next(judge_page)
    judge_page.keyboard.press("2")
    wait_until_saved(judge_page)  # the copy does not know of it
    judge_page.context.set_offline(True)
    judge_page.keyboard.press("x")
    judge_page.keyboard.press("n")
    judge_page.keyboard.press("e")
    judge_page.keyboard.type(" Typed offline.")
    judge_page.keyboard.press("Escape")
    expect(judge_page.locator("#save-state")).to_contain_text("Offline: 3 not sent yet")
    judge_page.reload()
    expect(judge_page.locator(".passage-card").nth(0)).to_have_attribute("data-grade", "2")
    expect(judge_page.locator(".passage-card").nth(1)).to_have_attribute("data-grade", "x")
    expect(judge_page.locator(".passage-card").nth(2)).to_have_class(re.compile("is-current"))
    expect(judge_page.locator("[data-action=unanswerable]")).to_have_attribute("aria-pressed", "true")
    expect(judge_page.locator("#answer-text")).to_have_value(DRAFT + " Typed offline.")
    judge_page.keyboard.press("Enter")  # nothing to show next: it waits, over a reload too
    expect(judge_page.locator("#status-message")).to_contain_text("Saved in this browser until you are online again")
    judge_page.reload()
    expect(judge_page.locator("#status-message")).to_contain_text("Saved in this browser until you are online again")
    judge_page.context.set_offline(False)
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "submitted")
    wait_until(judge_page, lambda: shown_assignment(judge_page) != first)
    mine = Assignment.objects.get(pk=first)
    assert grades_of(first) == [2, None] and mine.is_unanswerable
    assert Answer.objects.get(assignment=first).text == DRAFT + " Typed offline."


def test_copies_are_deleted_at_the_sign_out(judge_page: Page) -> None:
    wait_until_copied(judge_page, shown_assignment(judge_page))
    judge_page.keyboard.press("1")
    wait_until_saved(judge_page)
    assert judge_page.evaluate("Object.keys(localStorage).some((name) => name.startsWith('tandem.sent.'))")
    judge_page.get_by_text("alice").click()
    judge_page.get_by_role("button", name="Sign out").click()
    expect(judge_page.get_by_role("heading", name="Sign in")).to_be_visible()
    wait_until(
        judge_page,
        lambda: not judge_page.evaluate("caches.keys().then((all) => all.some((name) => name.includes('.pages.')))"),
    )
    assert not judge_page.evaluate("Object.keys(localStorage).some((name) => name.startsWith('tandem.sent.'))")


def test_a_whole_query_is_judged_and_submitted_offline(judge_page: Page) -> None:
    first = shown_assignment(judge_page)
    wait_for_next(judge_page)
    second = Assignment.objects.exclude(pk=first).get(state="claimed").pk
    wait_until_copied(judge_page, second)
    judge_page.context.set_offline(True)
    for key in "1" * 10:
        judge_page.keyboard.press(key)
    judge_page.keyboard.press("Enter")
    assert shown_assignment(judge_page) == second
    expect(judge_page).to_have_url(re.compile(f"/assignments/{second}/$"))  # once it is painted; a reload goes there
    judge_page.keyboard.press("2")
    judge_page.reload()
    assert shown_assignment(judge_page) == second
    expect(judge_page.locator(".passage-card").first).to_have_attribute("data-grade", "2")
    judge_page.context.set_offline(False)
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "submitted")
    wait_until(judge_page, lambda: grades_of(second) == [2])
    assert grades_of(first) == [1] * 10


def test_an_act_whose_response_was_lost_is_sent_again_and_counts_once(judge_page: Page) -> None:
    """The connection dies after the server has acted: the retry carries the same key."""
    seen: list[str] = []

    def cut(route: object) -> None:
        key = route.request.headers["idempotency-key"]  # type: ignore[attr-defined]
        seen.append(key)
        if len(seen) == 1:
            route.fetch()  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    judge_page.route("**/grades/", cut)
    judge_page.keyboard.press("2")
    wait_until(judge_page, lambda: len(seen) == 2)
    wait_until_saved(judge_page)
    assert seen[0] == seen[1] and Judgement.objects.count() == 1


def test_two_tabs_on_one_query_agree(judge_page: Page, new_context: NewContext) -> None:
    other = judge_page.context.new_page()
    open_judge_page(other)
    judge_page.keyboard.press("3")
    expect(other.locator(".passage-card").first).to_have_attribute("data-grade", "3")
    other.keyboard.press("e")
    other.keyboard.type(" From the other.")
    expect(judge_page.locator("#answer-text")).to_have_value(DRAFT + " From the other.")
    for key in "1" * 9:
        judge_page.keyboard.press(key)
    judge_page.keyboard.press("Enter")
    expect(other.get_by_role("alert")).to_contain_text("Submitted in another tab.")


def test_a_reservation_lost_while_typing_keeps_the_text_and_offers_it(judge_page: Page, bob: User) -> None:
    first = Assignment.objects.get(pk=shown_assignment(judge_page))
    judge_page.keyboard.press("e")
    claims.reassign(first, bob)
    judge_page.keyboard.type(" Not to be lost.")
    alert = judge_page.get_by_role("alert")
    expect(alert).to_contain_text("Your answer is still on this page")
    expect(judge_page.locator("#answer-text")).to_have_value(DRAFT + " Not to be lost.")
    expect(alert.get_by_role("button", name="Copy the answer")).to_be_visible()
    alert.get_by_role("button", name="Show the next query").click()
    wait_until(judge_page, lambda: shown_assignment(judge_page) != first.pk)


def test_evidence_is_marked_by_sentence_and_cited(judge_page: Page) -> None:
    card = judge_page.locator(".passage-card.is-current")
    passage = int(card.get_attribute("data-passage") or 0)
    judge_page.keyboard.press("2")
    judge_page.keyboard.press("k")
    judge_page.keyboard.press("m")  # sentence by sentence
    expect(card).to_have_attribute("data-hint", re.compile("marks this sentence"))
    judge_page.keyboard.press("m")  # this one
    judge_page.keyboard.press("c")
    wait_until_saved(judge_page)
    text = Passage.objects.get(pk=passage).text
    assert Judgement.objects.get().evidence == [[0, len(text)]]
    assert Answer.objects.get().citations == [{"sentence": "The lion sleeps.", "passage": passage}]
    judge_page.keyboard.press("u")
    wait_until_saved(judge_page)
    assert Answer.objects.get().citations == []


def test_selected_words_become_evidence(judge_page: Page) -> None:
    judge_page.keyboard.press("1")
    length = judge_page.evaluate("""() => {
        const node = document.querySelector('.passage-card .shown').firstChild;
        const word = node.data.split(' ')[0].length;
        getSelection().setBaseAndExtent(node, 0, node, word);
        return word;
    }""")
    judge_page.get_by_role("toolbar").get_by_role("button", name="Evidence").click()
    wait_until_saved(judge_page)
    assert Judgement.objects.get().evidence == [[0, length]]


def test_a_missing_passage_is_searched_and_graded(
    page: Page, sign_in: SignIn, alice: User, add_query: AddQuery, release: object, passages: dict[str, Passage]
) -> None:
    add_query("Who eats bamboo?", "lion otter")
    sign_in(page, alice)
    open_judge_page(page)
    page.keyboard.press("/")
    page.keyboard.type("panda bamboo")
    page.get_by_role("button", name="Add: Panda").click()
    expect(page.locator(".passage-card.is-current")).to_have_attribute("data-passage", str(passages["panda"].pk))
    page.keyboard.press("3")
    wait_until_saved(page)
    assert Judgement.objects.get().passage == passages["panda"]


def test_one_escape_closes_the_search_after_typing(judge_page: Page) -> None:
    judge_page.keyboard.press("/")
    judge_page.keyboard.type("lion")
    expect(judge_page.locator("dialog[open]")).to_be_visible()
    judge_page.keyboard.press("Escape")
    expect(judge_page.locator("dialog[open]")).to_have_count(0)
    judge_page.keyboard.press("2")
    wait_until_saved(judge_page)
    assert Judgement.objects.get().grade == 2


def test_unanswerable_flag_skip_help_and_guidelines_have_keys(judge_page: Page, project: Project) -> None:
    first = shown_assignment(judge_page)
    wait_for_next(judge_page)
    judge_page.keyboard.press("?")
    expect(judge_page.get_by_role("dialog")).to_contain_text("Undo, step by step")
    judge_page.keyboard.press("2")  # dead below a dialog
    judge_page.keyboard.press("Escape")
    judge_page.keyboard.press("n")
    judge_page.keyboard.press("f")
    judge_page.keyboard.type("Odd question")
    judge_page.keyboard.press("Enter")
    wait_until(
        judge_page, lambda: Assignment.objects.filter(pk=first, is_unanswerable=True, comment="Odd question").exists()
    )
    judge_page.keyboard.press("s")
    judge_page.keyboard.type("Not my field")
    judge_page.keyboard.press("Enter")
    assert shown_assignment(judge_page) != first
    wait_until(judge_page, lambda: Assignment.objects.get(pk=first).state == "handed_back")
    assert not Judgement.objects.exists()


def test_after_the_last_query_a_page_says_that_there_is_none(
    page: Page, sign_in: SignIn, alice: User, add_query: AddQuery
) -> None:
    add_query("The only one?", "lion otter")
    sign_in(page, alice)
    open_judge_page(page)
    for key in ["1", "2", "Enter"]:
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="No query to judge")).to_be_visible()
    assert Assignment.objects.submitted().count() == 1


def test_a_query_is_judged_without_javascript(
    new_context: NewContext, sign_in_by_hand: SignIn, alice: User, add_query: AddQuery
) -> None:
    add_query("Who sleeps?", "lion otter")
    page = new_context(java_script_enabled=False).new_page()
    sign_in_by_hand(page, alice)
    page.goto("/p/zoo/judge/")
    for place in range(2):
        page.locator(".passage-card").nth(place).get_by_role("button", name="Related").click()
    page.get_by_label("Corrected answer").fill("Both do.")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="No query to judge")).to_be_visible()
    assert list(Judgement.objects.values_list("grade", flat=True)) == [1, 1]
    assert Answer.objects.get().text == "Both do."


def test_the_layout_does_not_shift(judge_page: Page) -> None:
    """No layout shift while the page loads and while the next one is shown."""
    wait_for_next(judge_page)
    shifts = """() => new Promise((resolve) => {
        const values = (list) => list.getEntries().filter((e) => !e.hadRecentInput).map((e) => e.value);
        new PerformanceObserver((list) => resolve(values(list))).observe({type: 'layout-shift', buffered: true});
        setTimeout(() => resolve([]), 300);
    })"""
    assert sum(judge_page.evaluate(shifts)) < 0.001


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing(
    new_context: NewContext,
    live_server: LiveServer,
    sign_in: SignIn,
    alice: User,
    queue: list[Query],
    project: Project,
    width: int,
    scheme: str,
    language: str,
) -> None:
    Guidelines.objects.create(project=project, version=1, text="Be kind.")
    context = new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    sign_in(page, alice)
    set_language(context, live_server, language)
    open_judge_page(page)
    page.keyboard.press("2")
    page.keyboard.press("m")
    page.keyboard.press("m")
    page.keyboard.press("c")
    assert violations(page) == []
    page.keyboard.press("?")
    assert violations(page) == []
    page.goto("/preferences/")
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_review_pages(
    new_context: NewContext, sign_in: SignIn, bob: User, alice: User, add_query: AddQuery, scheme: str
) -> None:
    query = add_query("Who sleeps?", "lion otter")
    work = claims.claim(query, alice)
    for passage_id in work.order:
        judgements.record(work, passage_id, 2)
    judgements.flag(work, "Odd.")
    judgements.submit(work)
    page = new_context(color_scheme=scheme).new_page()
    sign_in(page, bob)
    page.goto("/p/zoo/reviews/")
    assert violations(page) == []
    page.get_by_role("link", name="Who sleeps?").click()
    expect(page.get_by_text("Names are hidden until you decide.")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Resolve and show the next").click()
    assert Review.objects.current().filter(query=query, reviewer=bob).exists()
    again = add_query("who sleeps", "lion otter crow")
    Query.objects.update(is_evaluation=False)
    assert label_propagation.propagate_grades(query.project) == 2
    page.goto("/p/zoo/suggested-grades/")
    expect(page.get_by_role("checkbox", name="lion")).to_be_checked()
    assert violations(page) == []
    page.get_by_role("checkbox", name="otter").uncheck()
    page.get_by_role("button", name="Confirm selected").click()
    expect(page.get_by_text("1 grade confirmed.")).to_be_visible()
    assert [j.passage.external_id for j in Judgement.objects.filter(query=again)] == ["lion"]


@pytest.mark.parametrize(("scheme", "language", "width"), [("light", "zh-hans", 1440), ("dark", "en", 390)])
def test_axe_finds_nothing_on_a_manager_s_pages(
    new_context: NewContext,
    live_server: LiveServer,
    sign_in: SignIn,
    alice: User,
    bob: User,
    mona: User,
    add_query: AddQuery,
    scheme: str,
    language: str,
    width: int,
) -> None:
    query = add_query("Who sleeps?", "lion otter")
    query.overlap = 2
    query.save()
    assignments.create_open(query.project, [query])
    for person in (alice, bob):
        work = claims.claim(query, person)
        for passage_id in work.order:
            judgements.record(work, passage_id, 2, seconds=3)
        judgements.submit(work)
    context = new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    sign_in(page, mona)
    set_language(context, live_server, language)
    for name in ("", "ask/", f"queries/{query.pk}/", "quality/", "members/", "settings/", "releases/", "cycles/"):
        page.goto(f"/p/zoo/{name}")
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def set_language(context: BrowserContext, live_server: LiveServer, language: str) -> None:
    context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
