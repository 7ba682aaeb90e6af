"""Writing a sequence in the browser: write, preview, test; by keyboard alone; on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.urls import reverse
from playwright.sync_api import Dialog, Page, expect

from delivery import clock
from delivery.models import Delivery
from nurture.models import Sequence
from nurture.services import checksum_of, save_draft, trying
from tests.browser.desk import Desk
from tests.factories.delivery import make_chat
from tests.factories.nurture import (
    PLAIN,
    make_contact,
    make_course,
    make_fact,
    make_sequence,
    settle,
)
from tests.unit.nurture.test_editor_document import EVERY_KEY

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NEW = reverse("admin:nurture_sequence_new")
DesksOf = Callable[[str], Desk]


def edit(sequence: Sequence) -> str:
    return reverse("admin:nurture_sequence_edit", args=[sequence.pk])


def field(page: Page, name: str) -> str:
    return f'[name="{name}"]'


def order(page: Page) -> list[str]:
    names = "rows => rows.map(row => row.dataset.name)"
    return list(page.eval_on_selector_all(".ed-step[data-name]", names))


def test_an_author_writes_looks_and_tries(desk_of: DesksOf) -> None:
    """From nothing to a draft that was seen as a learner and tried on the author's own phone."""
    make_fact(contact=make_contact(name="Lale Öz"))
    desk = desk_of("author")
    author = User.objects.get(username="author")
    token = trying.offer_link(user=author, now=clock.now())
    chat = make_chat()
    assert trying.follow_link(token=token, chat=chat, now=clock.now())

    page = desk.open(NEW)
    desk.check("editor-new")
    page.fill("#id_name", "Spring break")
    page.fill("#id_slug", "spring-break")
    page.check('[value="file:missed-class"]')
    page.click("text=Begin the draft")
    page.wait_for_selector("[data-editor]")
    page.fill(field(page, "steps.1.text"), "")
    page.click('[data-for="id_steps.1.text"] [data-wrap="b"]')
    page.keyboard.type("Hi ")
    page.select_option('[id="pick-id_steps.1.text"]', "first_name")
    page.wait_for_selector("#ed-preview .tb-chat-dark >> text=Hi Rosa")
    page.fill("#look-learner", "lale")
    page.wait_for_selector("#ed-preview >> text=Hi Lale")
    desk.check("editor-write")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click("text=Send a test")
    page.wait_for_selector("#ed-tested >> text=on its way")
    owed = Delivery.objects.get(chat=chat)
    settle(owed, at=clock.now())
    page.wait_for_selector("#ed-tested >> text=sent")
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=Saved as version")

    assert (owed.text, owed.is_test) == ("<b>Hi Lale</b>", True)
    sequence = Sequence.objects.get(slug="spring-break")
    assert sequence.draft_version is not None
    assert sequence.draft_version.steps.get(key="hello").text == "<b>Hi {{ first_name }}</b>"
    expect(page.locator("#ed-state")).to_contain_text("unpublished changes")


def test_steps_come_go_and_change_places(desk_of: DesksOf) -> None:
    """By buttons, by drag, with undo; what happened is announced, and leaving is asked about."""
    sequence = make_sequence(EVERY_KEY)
    desk = desk_of("author")
    page = desk.open(edit(sequence))

    page.click("[aria-label='Move hello down']")
    expect(page.locator("#ed-said")).to_have_text("hello is number 2 of 8 now.")
    assert order(page)[:2] == ["pause", "hello"]
    handle = page.locator("[id='handle-steps.1']")
    first = page.locator("[data-name=pause]")
    handle.hover()
    page.mouse.down()
    box = first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 4, steps=4)
    page.mouse.up()
    expect(page.locator(".ed-step").first).to_contain_text("hello")
    page.click("[aria-label='Take call out']")
    page.wait_for_selector("text=call is taken out when you save.")
    desk.check("editor-taken-out")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click(".ed-gone button")
    page.wait_for_selector("[data-name=call]")
    page.click("[aria-label='Duplicate call']")
    page.wait_for_selector("[data-name='call-2']")
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.goto(desk.url + NEW)

    assert asked == ["beforeunload"]
    sequence.refresh_from_db()
    assert sequence.draft_version is None


def test_problems_lead_to_their_fields(desk_of: DesksOf) -> None:
    """A list on top, anchors into folded rows, and nothing half-written."""
    sequence = make_sequence(EVERY_KEY)
    make_course(title="Spanish A2")
    desk = desk_of("author")
    page = desk.open(edit(sequence))
    page.fill(field(page, "steps.1.text"), "<b>never closed")
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
    page.fill(field(page, "priority"), "first")
    desk.check("editor-all-open")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=Nothing was saved.")
    desk.check("editor-problems")
    page.click("#ed-problems a >> text=priority")
    expect(page.locator("#id_priority")).to_be_focused()
    sequence.refresh_from_db()
    assert sequence.draft_version is None


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(300):
        if page.evaluate("found => document.activeElement.matches(found)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {selector} by Tab")


def test_the_whole_editor_by_keyboard_alone(desk_of: DesksOf) -> None:
    """Order, switch, text, language, condition, button, rule, preview and save without a mouse."""
    sequence = make_sequence(EVERY_KEY)
    desk = desk_of("author")
    page = desk.open(edit(sequence))
    keys = page.keyboard

    tab_to(page, "[id='handle-steps.1']")
    keys.press("ArrowDown")
    expect(page.locator("#ed-said")).to_have_text("hello is number 2 of 8 now.")
    expect(page.locator("[id='handle-steps.1']")).to_be_focused()
    keys.press("ArrowUp")
    expect(page.locator("#ed-said")).to_have_text("hello is number 1 of 8 now.")
    tab_to(page, field(page, "steps.1.enabled"))
    keys.press("Space")
    tab_to(page, "[role=tab][aria-selected=true]")
    keys.press("ArrowRight")
    tab_to(page, field(page, "steps.1.texts.es"))
    keys.press("Control+a")
    keys.type("Hola")
    tab_to(page, "[value='add steps.1.buttons']")
    keys.press("Enter")
    expect(page.locator(field(page, "steps.1.buttons.3.row.1.text"))).to_be_focused()
    keys.type("More")
    keys.press("Tab")
    keys.type("https://example.org")
    tab_to(page, "[value='remove steps.8']")
    keys.press("Enter")
    expect(page.locator("[value='undo steps.8']")).to_be_focused()
    keys.press("Enter")
    tab_to(page, "[value='add steps']")
    keys.press("Enter")
    expect(page.locator(field(page, "steps.9.key"))).to_be_focused()
    tab_to(page, field(page, "steps.9.text"))
    keys.type("Last words.")
    page.wait_for_selector("#ed-preview >> text=Last words.")
    tab_to(page, field(page, "steps.9.when.is"))
    keys.type("attended")
    tab_to(page, "details[data-fold=limits] summary")
    keys.press("Enter")
    tab_to(page, field(page, "priority"))
    keys.press("Control+a")
    keys.type("5")
    keys.press("Control+p")
    page.wait_for_selector("#ed-preview >> text=Last words.")
    keys.press("Control+s")
    page.wait_for_selector("text=Saved as version")

    sequence.refresh_from_db()
    assert sequence.draft_version is not None
    hello = sequence.draft_version.steps.get(key="hello")
    assert (hello.enabled, hello.texts["es"]) == (True, "Hola")
    assert hello.buttons[-1] == [["More", "https://example.org"]]
    assert sequence.draft_version.priority == 5
    last = sequence.draft_version.steps.get(key="step")
    assert (last.text, last.when) == ("Last words.", {"op": "is", "name": "attended"})


def test_whoever_is_logged_out_while_writing_loses_nothing(desk_of: DesksOf) -> None:
    """The page says so and stays; logged in again elsewhere, the same page is saved."""
    sequence = make_sequence()
    desk = desk_of("author")
    page = desk.open(edit(sequence))
    page.fill(field(page, "steps.1.text"), "A long letter.")
    Session.objects.all().delete()
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=You are logged out.")
    assert page.input_value(field(page, "steps.1.text")) == "A long letter."

    page.context.add_cookies(desk_of("author").page.context.cookies())  # type: ignore[arg-type]
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=Saved as version 2")
    sequence.refresh_from_db()
    assert sequence.draft_version is not None
    assert sequence.draft_version.steps.get().text == "A long letter."


def test_the_second_of_two_editors_is_told_what_differs(desk_of: DesksOf) -> None:
    """P29: refused, readable, and theirs may still be put in its place."""
    sequence = make_sequence()
    desk = desk_of("author")
    page = desk.open(edit(sequence))
    page.fill(field(page, "steps.1.text"), "Mine.")
    save_draft(
        sequence=sequence, source=PLAIN.replace("we missed you", "where were you"),
        expected_checksum=checksum_of(sequence.published_version),
        by=User.objects.create_user("ben"), now=clock.now(),
    )  # fmt: skip
    page.keyboard.press("Control+s")
    page.wait_for_selector("text=ben saved this sequence while you wrote.")
    desk.check("editor-refused")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click("text=Save mine in its place")
    page.wait_for_selector("text=Saved as version 2")
    sequence.refresh_from_db()
    assert sequence.draft_version is not None
    assert sequence.draft_version.steps.get().text == "Mine."


def test_a_viewer_reads_it(desk_of: DesksOf) -> None:
    sequence = make_sequence(EVERY_KEY)
    desk = desk_of("viewer")
    page = desk.open(edit(sequence))
    desk.check("editor-read-only")
    assert page.locator("[name=do]:visible").count() == 0
    expect(page.locator(field(page, "name"))).to_be_disabled()


def test_it_works_without_a_script(desk_of: DesksOf) -> None:
    """The page as it came, sent back, is the file as it was; and a change is saved."""
    sequence = make_sequence(EVERY_KEY)
    desk = desk_of("author")
    browser = desk.page.context.browser
    assert browser is not None
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 900})
    context.add_cookies(desk.page.context.cookies())  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(desk.url + edit(sequence))
    page.click("[data-save]")
    expect(page.locator("text=Nothing to save: it says what is published.")).to_be_visible()
    page.click("[aria-label='Move hello down']")
    expect(page.locator(".ed-step").first).to_contain_text("pause")
    page.click("[data-save]")
    expect(page.locator("text=Saved as version 2")).to_be_visible()
    context.close()

    sequence.refresh_from_db()
    assert sequence.draft_version is not None
    assert [step.key for step in sequence.draft_version.steps.order_by("position")][:2] == [
        "pause", "hello",
    ]  # fmt: skip
