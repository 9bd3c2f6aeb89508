"""The page as a person uses it, in a real browser, with answers built by hand."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from hub_lineage.types import SCHEMA, Trace
from tests import traces
from tests.app.conftest import WAIT
from tests.app.served import HOSTILE, STEPS

expect.set_options(timeout=WAIT)


def ask(page: Page, model: str) -> None:
    """Types a model and presses Enter."""
    box = page.get_by_label("Model", exact=True)
    box.fill(model)
    box.press("Enter")


def node(page: Page, name: str) -> str:
    return f'#hl-graph [data-id="{name}"]'


def test_an_answer_shows_sentence_graph_ranking_evidence_and_cost(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#hl-answer")).to_contain_text("Give a model to see its parents")
    ask(page, traces.CHILD)
    expect(page.locator("#hl-answer h2")).to_have_text("mira/night-chat is a fine-tune of mira/chat.")
    expect(page.locator("#hl-answer")).to_contain_text("86 % sure of this answer; 6 % that the parent is none")
    expect(page.locator("#hl-graph .hl-node")).to_have_count(len(traces.GRAPH.nodes))
    expect(page.locator("#hl-ranking tbody tr")).to_have_count(6)
    expect(page.locator("#hl-ranking tbody tr").first).to_contain_text("mira/chat")
    expect(page.locator("#hl-ranking tbody tr").first).to_contain_text("86 %")
    figures = page.locator("#hl-evidence tbody tr").first
    expect(figures).to_contain_text(".953")
    expect(figures).to_contain_text(".004 ± .011")
    expect(page.locator("#hl-declared")).to_contain_text("The weights confirm what is declared.")
    expect(page.locator("#hl-cost")).to_contain_text("7 requests, 183 kB read of 14 GB")


@pytest.mark.parametrize("trace", traces.ALL.values(), ids=traces.ALL)
def test_every_kind_of_answer_has_its_sentence(page: Page, address: str, trace: Trace) -> None:
    page.goto(f"{address}/?model=any/{trace.verdict.kind}")
    expect(page.locator("#hl-answer h2")).to_have_text(trace.verdict.summary)
    if trace.verdict.settle:
        expect(page.locator(".hl-settle")).to_contain_text(trace.verdict.settle)
    expect(page.locator("#hl-graph .hl-node")).to_have_count(len(trace.graph.nodes))


def test_what_is_ticked_is_counted_and_told_in_words(page: Page, address: str) -> None:
    page.goto(address)
    ask(page, traces.CHILD)
    expect(page.locator("#hl-evidence tbody tr").first).to_be_visible()
    expect(page.locator("#hl-evidence")).not_to_contain_text("dates of upload")
    page.get_by_label("dates of upload", exact=True).check()
    page.get_by_label("downloads", exact=True).check()
    page.get_by_role("button", name="Trace", exact=True).click()
    expect(page.locator("#hl-ranking tbody tr").first).to_contain_text("86 % 43 % by weights alone")
    first = page.locator("#hl-evidence details").first
    expect(first.locator("tr", has_text="dates of upload")).to_contain_text("× 14uploaded before it")
    expect(first.locator("tr", has_text="downloads, odds")).to_contain_text("× 2used more than most")
    expect(first.locator("tr", has_text="by weights alone")).to_contain_text("43 %")
    expect(first).not_to_contain_text("what cards declare")
    page.locator(node(page, "mira/day-chat")).click()
    expect(page.locator("#hl-details")).to_contain_text("uploaded after it")


def test_a_link_names_a_model_and_traces_it(page: Page, address: str) -> None:
    page.goto(f"{address}/?model=any/merge")
    expect(page.get_by_label("Model", exact=True)).to_have_value("any/merge")
    expect(page.locator("#hl-answer h2")).to_contain_text("is a merge of")


def test_an_example_is_a_click_away(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="any/merge", exact=True).click()
    expect(page.locator("#hl-answer h2")).to_contain_text("is a merge of")
    expect(page.get_by_label("Model", exact=True)).to_have_value("any/merge")


def test_a_node_tells_what_is_known_of_it_and_leads_on(page: Page, address: str, screenshot: Callable[[Page, str], None]) -> None:
    page.goto(f"{address}/?model={traces.CHILD}")
    page.locator(node(page, "mira/chat")).click()
    details = page.locator("#hl-details")
    expect(details).to_contain_text("Kinship: parent. Is the parent: 86 %; is of the family: 99 %.")
    expect(details).to_contain_text("From (an unknown model): fine-tune, 74 %.")
    expect(details).to_contain_text("Licence: apache-2.0.")
    expect(details).to_contain_text(".953")
    expect(details.get_by_role("link")).to_have_attribute("href", "http://127.0.0.1:9/mira/chat")
    expect(page.locator(node(page, "mira/chat"))).to_have_attribute("aria-pressed", "true")
    screenshot(page, "app")
    page.get_by_role("button", name="Trace from here").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("mira/chat")
    expect(details).to_contain_text("Choose a model")


def test_a_hidden_ancestor_is_explained_and_leads_nowhere(page: Page, address: str) -> None:
    page.goto(f"{address}/?model={traces.CHILD}")
    page.locator(node(page, "hidden:1")).click()
    expect(page.locator("#hl-details")).to_contain_text("No known model fills this place")
    expect(page.get_by_role("button", name="Trace from here")).to_have_count(0)


def test_a_ranked_model_is_chosen_from_the_table_too(page: Page, address: str) -> None:
    page.goto(f"{address}/?model={traces.CHILD}")
    page.locator("#hl-ranking").get_by_role("button", name="tom/other").click()
    expect(page.locator("#hl-details")).to_contain_text("Kinship: unrelated.")


def test_the_keyboard_is_enough(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#hl-answer")).to_contain_text("Give a model")
    tab_to(page, "document.activeElement.matches('#hl-model input, #hl-model textarea')")
    page.keyboard.type(traces.CHILD)
    page.keyboard.press("Enter")
    expect(page.locator("#hl-graph .hl-node").first).to_be_visible()
    tab_to(page, "document.activeElement.dataset.id === 'aria/base-instruct'")
    page.keyboard.press("Enter")
    expect(page.locator("#hl-details")).to_contain_text("Kinship: further ancestor.")
    tab_to(page, "document.activeElement.textContent.trim() === 'Trace from here'")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Model", exact=True)).to_have_value("aria/base-instruct")


def tab_to(page: Page, condition: str) -> None:
    """Presses Tab until the element that has the focus is the one wanted."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(condition):
            return
    raise AssertionError(f"no Tab leads to an element where {condition}")


def test_an_unknown_model_is_told_in_words(page: Page, address: str) -> None:
    page.goto(address)
    ask(page, "none/here")
    alert = page.locator("#hl-answer [role=alert]")
    expect(alert).to_contain_text("There is no model none/here on this Hub.")
    expect(alert).to_contain_text("Check the spelling of the ID.")
    expect(page.locator("#hl-graph")).to_be_hidden()


@pytest.mark.parametrize("text", ["two words", "a/b/c/d", "https://example.org/x", "../no/such/folder"])
def test_what_names_no_model_is_told_in_words(page: Page, address: str, text: str) -> None:
    page.goto(address)
    ask(page, text)
    expect(page.locator("#hl-answer [role=alert] h2")).not_to_be_empty()
    assert "foreseen" not in page.locator("#hl-answer").inner_text()


def test_an_unforeseen_failure_shows_no_trace_of_the_program(page: Page, address: str) -> None:
    page.goto(address)
    ask(page, "breaks/down")
    expect(page.locator("#hl-answer [role=alert]")).to_contain_text("was not foreseen: ValueError")
    assert "Traceback" not in page.content()
    ask(page, traces.CHILD)
    expect(page.locator("#hl-answer h2")).to_have_text(traces.PARENT.verdict.summary)


def test_an_empty_question_shows_how_to_ask(page: Page, address: str) -> None:
    page.goto(f"{address}/?model={traces.CHILD}")
    expect(page.locator("#hl-answer h2")).to_be_visible()
    ask(page, "  ")
    expect(page.locator("#hl-answer")).to_contain_text("Give a model to see its parents")
    expect(page.locator("#hl-graph")).to_be_hidden()


def test_progress_names_the_step(page: Page, address: str) -> None:
    page.goto(address)
    ask(page, "takes/long")
    expect(page.locator("#hl-answer")).to_contain_text(STEPS)
    expect(page.locator("#hl-answer h2")).to_be_visible()


def test_hostile_names_stay_words(page: Page, address: str) -> None:
    page.goto(f"{address}/?model=hostile/names")
    expect(page.locator("#hl-answer h2")).to_have_text(f"Kin to {HOSTILE}.")
    page.locator("#hl-graph .hl-node").first.click()
    expect(page.locator("#hl-details h3")).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None


def test_the_page_follows_the_dark_setting(page: Page, address: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/?model={traces.CHILD}")
    name = page.locator("#hl-graph .hl-name").first
    expect(name).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 23, 30)"
    assert name.evaluate("node => getComputedStyle(node).fill") == "rgb(232, 237, 243)"


def test_the_api_gives_the_same_object_as_the_command_line(address: str) -> None:
    def call(model: str) -> dict[str, object]:
        body = json.dumps({"data": [model]}).encode()
        request = urllib.request.Request(f"{address}/gradio_api/call/trace", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            event = json.load(reply)["event_id"]
        with urllib.request.urlopen(f"{address}/gradio_api/call/trace/{event}") as reply:
            lines = reply.read().decode().splitlines()
        return dict(json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))[0])

    assert call(traces.CHILD) == json.loads(json.dumps(traces.PARENT.to_dict()))
    assert call("none/here") == {
        "schema": SCHEMA,
        "error": {
            "code": "not_found",
            "message": "There is no model none/here on this Hub.",
            "hint": "Check the spelling of the ID.",
        },
    }
