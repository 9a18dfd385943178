"""The judge page in a real browser: keys, undo, lost connections, input methods, two tabs, no JavaScript, axe."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from curation.annotation import assignments
from curation.models import Answer, Assignment, Draft, Guidelines, Judgement, Project, Query
from curation.queries import intake
from curation.review import consensus
from retrieval.models import Passage
from retrieval.search.results import Hit
from tests.browser.conftest import NewContext, SignIn, violations

TEN = "lion tiger zebra panda otter eagle crow shark whale snail"
DRAFT = "The lion sleeps. The otter too."

Put = Callable[..., Query]


@pytest.fixture
def put(project: Project, passages: dict[str, Passage]) -> Put:
    """A function that puts a question with these passages and a draft into the queue."""

    def place(text: str, shown: str = TEN, draft: str = DRAFT) -> Query:
        number = project.queries.count() + 1
        query = Query.objects.create(project=project, external_id=f"q{number}", text=text, overlap=1)
        hits = [Hit(passages[name].pk, rank, 1 / rank) for rank, name in enumerate(shown.split(), start=1)]
        (ranking,) = intake.freeze_hits([query], None, [hits])
        Draft.objects.create(ranking=ranking, text=draft)
        intake.open_slots(query)
        return query

    return place


@pytest.fixture
def queue(put: Put) -> list[Query]:
    return [put(f"Question {number}: who sleeps?") for number in (1, 2, 3)]


@pytest.fixture
def desk(page: Page, sign_in: SignIn, alice: User, queue: list[Query]) -> Page:
    """Alice before her first question."""
    sign_in(page, alice)
    open_desk(page)
    return page


def open_desk(page: Page) -> None:
    page.goto("/p/zoo/judge/")
    expect(page.locator(".judged.is-current")).to_be_visible()


def shown(page: Page) -> int:
    return int(page.locator("#work").get_attribute("data-assignment") or 0)


def grades_of(assignment: int) -> list[int | None]:
    rows = Judgement.objects.standing().filter(assignment=assignment).order_by("shown_position")
    return list(rows.values_list("grade", flat=True))


def saved(page: Page) -> None:
    expect(page.locator("#save-state")).to_have_text("Saved")


def until(page: Page, condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait while the browser goes on: its routes and events are served meanwhile, and no script is evaluated in it."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return
        page.wait_for_timeout(20)
    pytest.fail("it did not come true")


def wait_for_next(page: Page) -> None:
    """Until the one after is claimed and loaded."""
    until(page, lambda: page.evaluate("document.getElementById('judge').desk.next.url !== undefined"))


def test_ten_passages_and_an_accepted_answer_are_eleven_key_presses(desk: Page) -> None:
    first = shown(desk)
    wait_for_next(desk)
    for key in "0123x01230":
        desk.keyboard.press(key)
    desk.keyboard.press("Enter")
    assert shown(desk) != first  # at once, from what was fetched ahead
    until(desk, lambda: Assignment.objects.get(pk=first).state == "submitted")
    assert grades_of(first) == [0, 1, 2, 3, None, 0, 1, 2, 3, 0]
    assert Answer.objects.get(assignment=first).text == DRAFT
    assert desk.url.endswith(f"/assignments/{shown(desk)}/")


def test_the_next_is_painted_within_a_blink(desk: Page) -> None:
    wait_for_next(desk)
    for key in "1" * 10:
        desk.keyboard.press(key)
    desk.keyboard.press("Enter")
    until(desk, lambda: desk.evaluate("performance.getEntriesByName('tandem:next').length") == 1)
    assert desk.evaluate("performance.getEntriesByName('tandem:next')[0].duration") < 500  # the target stands in bench/


def test_the_submit_is_sent_once_the_next_is_painted(desk: Page) -> None:
    first = shown(desk)
    wait_for_next(desk)
    for key in "1" * 10:
        desk.keyboard.press(key)
    saved(desk)
    desk.keyboard.press("Enter")
    until(desk, lambda: Assignment.objects.get(pk=first).state == "submitted")
    requests = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/submit/'))"
    until(desk, lambda: desk.evaluate(f"{requests}.length") == 1)  # listed once it is answered
    painted = desk.evaluate("performance.getEntriesByName('tandem:next').map((e) => e.startTime + e.duration)[0]")
    assert painted <= desk.evaluate(f"{requests}[0].startTime")


def test_keys_move_and_undo_goes_back_any_number_of_steps(desk: Page) -> None:
    current = desk.locator(".judged.is-current")
    desk.keyboard.press("j")
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("k")
    expect(current).to_have_attribute("data-position", "2")
    desk.keyboard.press("3")
    desk.keyboard.press("k")
    desk.keyboard.press("1")
    for _step in range(2):
        desk.keyboard.press("u")
    expect(desk.locator("[data-graded]")).to_have_text("0")
    saved(desk)
    assert grades_of(shown(desk)) == []


def test_undo_goes_over_the_submit(desk: Page) -> None:
    first = shown(desk)
    wait_for_next(desk)
    for key in "2" * 10:
        desk.keyboard.press(key)
    desk.keyboard.press("Enter")
    second = shown(desk)
    desk.keyboard.press("1")
    desk.keyboard.press("u")  # the grade of the second
    desk.keyboard.press("u")  # the submit of the first
    assert shown(desk) == first
    desk.keyboard.press("u")  # its last grade
    expect(desk.locator("[data-graded]")).to_have_text("9")
    saved(desk)
    until(desk, lambda: Assignment.objects.get(pk=first).state == "claimed")
    assert grades_of(second) == [] and len(grades_of(first)) == 9
    desk.keyboard.press("0")
    desk.keyboard.press("Enter")
    assert shown(desk) == second
    until(desk, lambda: Assignment.objects.get(pk=first).state == "submitted")
    assert grades_of(first)[-1] == 0


def test_undo_goes_over_the_skip(desk: Page) -> None:
    first = shown(desk)
    wait_for_next(desk)
    desk.keyboard.press("2")
    desk.keyboard.press("s")
    desk.keyboard.type("Not my field")
    desk.keyboard.press("Enter")
    second = shown(desk)
    assert second != first
    desk.keyboard.press("u")
    assert shown(desk) == first
    expect(desk.locator("#skip-comment")).not_to_be_visible()
    desk.keyboard.press("u")  # the grade before the skip
    expect(desk.locator("[data-graded]")).to_have_text("0")
    saved(desk)
    assert Assignment.objects.get(pk=first).state == "claimed" and grades_of(first) == []
    for key in "1" * 10:
        desk.keyboard.press(key)
    desk.keyboard.press("Enter")
    assert shown(desk) == second
    until(desk, lambda: Assignment.objects.get(pk=first).state == "submitted")
    assert Assignment.objects.filter(query__assignments=first).count() == 1


def test_a_skip_that_somebody_else_took_up_is_not_undone(desk: Page, bob: User) -> None:
    first = shown(desk)
    wait_for_next(desk)
    desk.keyboard.press("2")
    desk.keyboard.press("s")
    desk.keyboard.press("Enter")
    until(desk, lambda: Assignment.objects.get(pk=first).state == "handed_back")
    assignments.claim(Assignment.objects.get(pk=first).query, bob)
    desk.keyboard.press("u")
    expect(desk.locator("#work #lost")).to_contain_text("Somebody else has this query by now.")
    desk.keyboard.press("u")  # its grade is not to be undone any more
    assert shown(desk) == first and grades_of(first) == [2]


def test_enter_shows_what_is_left_to_grade(desk: Page) -> None:
    desk.keyboard.press("2")
    desk.keyboard.press("Enter")
    expect(desk.locator("#said")).to_have_text("9 to grade before the submit.")
    expect(desk.locator(".judged.is-current")).to_have_attribute("data-position", "2")


def test_the_answer_is_edited_compared_and_saved_as_one_types(desk: Page) -> None:
    desk.keyboard.press("e")
    desk.keyboard.type(" 3 snails, jk.")  # keys rest while typing
    expect(desk.locator("[data-diff] ins")).to_have_text(" 3 snails, jk.")
    saved(desk)
    assert Answer.objects.get().text == DRAFT + " 3 snails, jk."
    assert not Judgement.objects.exists()
    desk.keyboard.press("Escape")
    desk.keyboard.press("2")
    saved(desk)
    assert Judgement.objects.get().grade == 2
    desk.keyboard.press("u")
    desk.keyboard.press("u")
    expect(desk.locator("#answer-text")).to_have_value(DRAFT)
    saved(desk)
    assert Answer.objects.get().text == DRAFT


def test_chinese_answers_are_compared_by_character(page: Page, sign_in: SignIn, alice: User, put: Put) -> None:
    put("谁在睡觉？", "lion", draft="狮子白天睡觉。")
    sign_in(page, alice)
    open_desk(page)
    page.locator("#answer-text").fill("狮子夜里睡觉。")
    expect(page.locator("[data-diff] del")).to_have_text("白天")
    expect(page.locator("[data-diff] ins")).to_have_text("夜里")


def test_keys_of_an_input_method_are_not_ours(desk: Page) -> None:
    press = """(init) => document.activeElement.dispatchEvent(
        new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...init}))"""
    desk.evaluate(press, {"key": "2", "isComposing": True})
    desk.evaluate(press, {"key": "2", "keyCode": 229})
    desk.evaluate(press, {"key": "Process"})
    expect(desk.locator("[data-graded]")).to_have_text("0")
    desk.keyboard.press("e")
    client = desk.context.new_cdp_session(desk)
    client.send("Input.imeSetComposition", {"text": "ni", "selectionStart": 2, "selectionEnd": 2})
    desk.evaluate(press, {"key": "Escape", "isComposing": True})  # closes the list of candidates, not the field
    assert desk.evaluate("document.activeElement.id") == "answer-text"
    client.send("Input.insertText", {"text": "你"})
    saved(desk)
    assert Answer.objects.get().text == DRAFT + "你"


def test_modified_and_held_keys_grade_nothing(desk: Page) -> None:
    desk.keyboard.press("Control+2")
    desk.keyboard.press("Alt+2")
    desk.keyboard.down("2")
    desk.keyboard.down("2")  # repeats
    desk.keyboard.up("2")
    expect(desk.locator("[data-graded]")).to_have_text("1")


def test_keys_can_be_remapped(page: Page, sign_in: SignIn, alice: User, queue: list[Query]) -> None:
    sign_in(page, alice)
    page.goto("/preferences/")
    page.get_by_label("Grade 3 and move on").focus()
    page.keyboard.press("q")
    page.get_by_role("button", name="Save").click()
    open_desk(page)
    page.keyboard.press("3")
    page.keyboard.press("q")
    expect(page.locator(".judged").first).to_have_attribute("data-grade", "3")
    expect(page.locator("[data-graded]")).to_have_text("1")


def test_offline_reload_online_and_nothing_is_lost(desk: Page) -> None:
    first = shown(desk)
    saved(desk)
    desk.context.set_offline(True)
    for key in "123":
        desk.keyboard.press(key)
    desk.keyboard.press("e")
    desk.keyboard.type(" Typed offline.")
    desk.keyboard.press("Escape")
    expect(desk.locator("#save-state")).to_contain_text("Offline: 4 kept here")
    assert grades_of(first) == []
    desk.context.set_offline(False)
    desk.context.route("**/grades/", lambda route: route.abort())  # the server is still away
    desk.reload()
    expect(desk.locator(".judged").nth(2)).to_have_attribute("data-grade", "3")  # shown from the outbox
    expect(desk.locator("#answer-text")).to_have_value(DRAFT + " Typed offline.")
    desk.context.unroute("**/grades/")
    until(desk, lambda: Answer.objects.filter(text=DRAFT + " Typed offline.").exists())
    assert grades_of(first) == [1, 2, 3]
    saved(desk)


def copied(page: Page, assignment: int) -> None:
    """Until the browser has a copy of the question's page."""
    until(page, lambda: page.evaluate("navigator.serviceWorker.controller !== null"))
    there = f"caches.match('/p/zoo/assignments/{assignment}/').then((found) => found !== undefined)"
    until(page, lambda: page.evaluate(there) and page.evaluate("caches.match('/p/zoo/shell/').then(Boolean)"))


def test_a_reload_without_a_connection_shows_the_question_as_it_was(desk: Page) -> None:
    first = shown(desk)
    copied(desk, first)
    wait_for_next(desk)
    desk.keyboard.press("2")
    saved(desk)  # the copy does not know of it
    desk.context.set_offline(True)
    desk.keyboard.press("x")
    desk.keyboard.press("n")
    desk.keyboard.press("e")
    desk.keyboard.type(" Typed offline.")
    desk.keyboard.press("Escape")
    expect(desk.locator("#save-state")).to_contain_text("Offline: 3 kept here")
    desk.reload()
    expect(desk.locator(".judged").nth(0)).to_have_attribute("data-grade", "2")
    expect(desk.locator(".judged").nth(1)).to_have_attribute("data-grade", "x")
    expect(desk.locator(".judged").nth(2)).to_have_class(re.compile("is-current"))
    expect(desk.locator("[data-act=unanswerable]")).to_have_attribute("aria-pressed", "true")
    expect(desk.locator("#answer-text")).to_have_value(DRAFT + " Typed offline.")
    desk.keyboard.press("Enter")  # nothing to show next: it waits, over a reload too
    expect(desk.locator("#said")).to_contain_text("Kept here until the connection is back")
    desk.reload()
    expect(desk.locator("#said")).to_contain_text("Kept here until the connection is back")
    desk.context.set_offline(False)
    until(desk, lambda: Assignment.objects.get(pk=first).state == "submitted")
    until(desk, lambda: shown(desk) != first)
    mine = Assignment.objects.get(pk=first)
    assert grades_of(first) == [2, None] and mine.is_unanswerable
    assert Answer.objects.get(assignment=first).text == DRAFT + " Typed offline."


def test_copies_go_with_the_one_who_signs_out(desk: Page) -> None:
    copied(desk, shown(desk))
    desk.keyboard.press("1")
    saved(desk)
    assert desk.evaluate("Object.keys(localStorage).some((name) => name.startsWith('tandem.sent.'))")
    desk.get_by_text("alice").click()
    desk.get_by_role("button", name="Sign out").click()
    expect(desk.get_by_role("heading", name="Sign in")).to_be_visible()
    until(desk, lambda: not desk.evaluate("caches.keys().then((all) => all.some((name) => name.includes('.pages.')))"))
    assert not desk.evaluate("Object.keys(localStorage).some((name) => name.startsWith('tandem.sent.'))")


def test_a_whole_question_is_judged_and_submitted_offline(desk: Page) -> None:
    first = shown(desk)
    wait_for_next(desk)
    second = Assignment.objects.exclude(pk=first).get(state="claimed").pk
    copied(desk, second)
    desk.context.set_offline(True)
    for key in "1" * 10:
        desk.keyboard.press(key)
    desk.keyboard.press("Enter")
    assert shown(desk) == second
    expect(desk).to_have_url(re.compile(f"/assignments/{second}/$"))  # once it is painted; a reload goes there
    desk.keyboard.press("2")
    desk.reload()
    assert shown(desk) == second
    expect(desk.locator(".judged").first).to_have_attribute("data-grade", "2")
    desk.context.set_offline(False)
    until(desk, lambda: Assignment.objects.get(pk=first).state == "submitted")
    until(desk, lambda: grades_of(second) == [2])
    assert grades_of(first) == [1] * 10


def test_what_arrived_unheard_is_sent_again_and_counts_once(desk: Page) -> None:
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

    desk.route("**/grades/", cut)
    desk.keyboard.press("2")
    until(desk, lambda: len(seen) == 2)
    saved(desk)
    assert seen[0] == seen[1] and Judgement.objects.count() == 1


def test_two_tabs_on_one_question_agree(desk: Page, new_context: NewContext) -> None:
    other = desk.context.new_page()
    open_desk(other)
    desk.keyboard.press("3")
    expect(other.locator(".judged").first).to_have_attribute("data-grade", "3")
    other.keyboard.press("e")
    other.keyboard.type(" From the other.")
    expect(desk.locator("#answer-text")).to_have_value(DRAFT + " From the other.")
    for key in "1" * 9:
        desk.keyboard.press(key)
    desk.keyboard.press("Enter")
    expect(other.get_by_role("alert")).to_contain_text("Submitted in another tab.")


def test_a_lease_lost_while_typing_keeps_the_text_and_offers_it(desk: Page, bob: User) -> None:
    first = Assignment.objects.get(pk=shown(desk))
    desk.keyboard.press("e")
    assignments.reassign(first, bob)
    desk.keyboard.type(" Not to be lost.")
    alert = desk.get_by_role("alert")
    expect(alert).to_contain_text("Your answer is kept here")
    expect(desk.locator("#answer-text")).to_have_value(DRAFT + " Not to be lost.")
    expect(alert.get_by_role("button", name="Copy the answer")).to_be_visible()
    alert.get_by_role("button", name="Show the next").click()
    until(desk, lambda: shown(desk) != first.pk)


def test_evidence_is_marked_by_sentence_and_cited(desk: Page) -> None:
    card = desk.locator(".judged.is-current")
    passage = int(card.get_attribute("data-passage") or 0)
    desk.keyboard.press("2")
    desk.keyboard.press("k")
    desk.keyboard.press("m")  # sentence by sentence
    expect(card).to_have_attribute("data-hint", re.compile("marks this sentence"))
    desk.keyboard.press("m")  # this one
    desk.keyboard.press("c")
    saved(desk)
    text = Passage.objects.get(pk=passage).text
    assert Judgement.objects.get().evidence == [[0, len(text)]]
    assert Answer.objects.get().citations == [{"sentence": "The lion sleeps.", "passage": passage}]
    desk.keyboard.press("u")
    saved(desk)
    assert Answer.objects.get().citations == []


def test_selected_words_become_evidence(desk: Page) -> None:
    desk.keyboard.press("1")
    length = desk.evaluate("""() => {
        const node = document.querySelector('.judged .shown').firstChild;
        const word = node.data.split(' ')[0].length;
        getSelection().setBaseAndExtent(node, 0, node, word);
        return word;
    }""")
    desk.get_by_role("toolbar").get_by_role("button", name="Evidence").click()
    saved(desk)
    assert Judgement.objects.get().evidence == [[0, length]]


def test_a_missing_passage_is_searched_and_graded(
    page: Page, sign_in: SignIn, alice: User, put: Put, release: object, passages: dict[str, Passage]
) -> None:
    put("Who eats bamboo?", "lion otter")
    sign_in(page, alice)
    open_desk(page)
    page.keyboard.press("/")
    page.keyboard.type("panda bamboo")
    page.get_by_role("button", name="Add it to grade: Panda").click()
    expect(page.locator(".judged.is-current")).to_have_attribute("data-passage", str(passages["panda"].pk))
    page.keyboard.press("3")
    saved(page)
    assert Judgement.objects.get().passage == passages["panda"]


def test_one_escape_leaves_the_search_whatever_was_typed(desk: Page) -> None:
    desk.keyboard.press("/")
    desk.keyboard.type("lion")
    expect(desk.locator("dialog[open]")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.locator("dialog[open]")).to_have_count(0)
    desk.keyboard.press("2")
    saved(desk)
    assert Judgement.objects.get().grade == 2


def test_unanswerable_flag_skip_help_and_guidelines_have_keys(desk: Page, project: Project) -> None:
    first = shown(desk)
    wait_for_next(desk)
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog")).to_contain_text("Undo, any number of steps")
    desk.keyboard.press("2")  # dead below a dialog
    desk.keyboard.press("Escape")
    desk.keyboard.press("n")
    desk.keyboard.press("f")
    desk.keyboard.type("Odd question")
    desk.keyboard.press("Enter")
    until(desk, lambda: Assignment.objects.filter(pk=first, is_unanswerable=True, comment="Odd question").exists())
    desk.keyboard.press("s")
    desk.keyboard.type("Not my field")
    desk.keyboard.press("Enter")
    assert shown(desk) != first
    until(desk, lambda: Assignment.objects.get(pk=first).state == "handed_back")
    assert not Judgement.objects.exists()


def test_the_last_question_is_followed_by_a_page_that_says_so(
    page: Page, sign_in: SignIn, alice: User, put: Put
) -> None:
    put("The only one?", "lion otter")
    sign_in(page, alice)
    open_desk(page)
    for key in ["1", "2", "Enter"]:
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    assert Assignment.objects.submitted().count() == 1


def test_it_all_works_without_javascript(
    new_context: NewContext, sign_in_by_hand: SignIn, alice: User, put: Put
) -> None:
    put("Who sleeps?", "lion otter")
    page = new_context(java_script_enabled=False).new_page()
    sign_in_by_hand(page, alice)
    page.goto("/p/zoo/judge/")
    for place in range(2):
        page.locator(".judged").nth(place).get_by_role("button", name="Related").click()
    page.get_by_label("The answer as it should be").fill("Both do.")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    assert list(Judgement.objects.values_list("grade", flat=True)) == [1, 1]
    assert Answer.objects.get().text == "Both do."


def test_nothing_jumps(desk: Page) -> None:
    """No layout shift while the page loads and while the next one is shown."""
    wait_for_next(desk)
    shifts = """() => new Promise((resolve) => {
        const values = (list) => list.getEntries().filter((e) => !e.hadRecentInput).map((e) => e.value);
        new PerformanceObserver((list) => resolve(values(list))).observe({type: 'layout-shift', buffered: true});
        setTimeout(() => resolve([]), 300);
    })"""
    assert sum(desk.evaluate(shifts)) < 0.001


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
    speak(context, live_server, language)
    open_desk(page)
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
    new_context: NewContext, sign_in: SignIn, bob: User, alice: User, put: Put, scheme: str
) -> None:
    from curation.annotation import judgements
    from curation.propagation import label_propagation

    query = put("Who sleeps?", "lion otter")
    work = assignments.claim(query, alice)
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
    page.get_by_role("button", name="Settle and show the next").click()
    assert consensus.Review.objects.current().filter(query=query, reviewer=bob).exists()
    again = put("who sleeps", "lion otter crow")
    Query.objects.update(is_evaluation=False)
    assert label_propagation.offer_all(query.project) == 2
    page.goto("/p/zoo/suggested-grades/")
    expect(page.get_by_role("checkbox", name="lion")).to_be_checked()
    assert violations(page) == []
    page.get_by_role("checkbox", name="otter").uncheck()
    page.get_by_role("button", name="Confirm the chosen").click()
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
    put: Put,
    scheme: str,
    language: str,
    width: int,
) -> None:
    from curation.annotation import judgements

    query = put("Who sleeps?", "lion otter")
    query.overlap = 2
    query.save()
    intake.open_slots(query)
    for person in (alice, bob):
        work = assignments.claim(query, person)
        for passage_id in work.order:
            judgements.record(work, passage_id, 2, seconds=3)
        judgements.submit(work)
    context = new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    sign_in(page, mona)
    speak(context, live_server, language)
    for name in ("", "ask/", f"queries/{query.pk}/", "quality/", "members/", "settings/", "releases/", "runs/"):
        page.goto(f"/p/zoo/{name}")
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def speak(context: BrowserContext, live_server: LiveServer, language: str) -> None:
    context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
