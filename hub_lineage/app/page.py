"""The page: a box for a model, the answer, and what happens when something is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

import gradio as gr
from gradio.events import api as serve_api

from hub_lineage.app import view
from hub_lineage.app.desk import Desk
from hub_lineage.errors import LineageError
from hub_lineage.types import Progress, Trace


def _steps(progress: gr.Progress) -> Progress:
    def step(words: str, done: int, total: int) -> None:
        progress((done, total) if total else None, desc=words)

    return step


@dataclass(frozen=True)
class _Ways:
    """The components by which one asks."""

    box: gr.Textbox
    go: gr.Button
    counted: gr.CheckboxGroup
    examples: list[gr.Button]


@dataclass(frozen=True)
class _Parts:
    """The components that an answer fills."""

    answer: gr.HTML
    results: gr.Column
    graph: gr.HTML
    details: gr.HTML
    again: gr.Button
    ranking: gr.HTML
    evidence: gr.HTML
    declared: gr.HTML
    cost: gr.HTML
    found: gr.State
    chosen: gr.State

    def all(self) -> list[Any]:
        """The outputs in the order in which :func:`_filled` gives their values."""
        return [getattr(self, name) for name in self.__dataclass_fields__]


_HINT = '<p class="hl-none">Choose a model in the graph or in the table to see what is known of it.</p>'


def _filled(found: Trace | LineageError | None, note: str | None = None) -> list[Any]:
    """A value for each part."""
    unseen = gr.Column(visible=False), "", _HINT, gr.Button(visible=False), "", "", "", "", None, None
    if found is None:
        return [view.EMPTY, *unseen]
    if isinstance(found, LineageError):
        return [view.error(found, note), *unseen]
    shown = view.ranking(found), view.evidence(found), view.declared(found), view.cost(found)
    column, hint, button = gr.Column(visible=True), _HINT, gr.Button(visible=False)
    return [view.verdict(found, note), column, view.graph(found), hint, button, *shown, found, None]


def build(desk: Desk, examples: Sequence[str] = ()) -> gr.Blocks:
    """The page as Gradio blocks, not yet served.

    Args:
        desk: What answers.
        examples: IDs to click.
    """
    blocks: gr.Blocks = gr.Blocks(title="hub-lineage", analytics_enabled=False, fill_width=True)
    with blocks:
        gr.HTML('<header class="hl-head"><h1>hub-lineage</h1><p>Where a model comes from, told from its weights.</p></header>')
        with gr.Row(equal_height=True, elem_classes="hl-ask"):
            box = gr.Textbox(
                label="Model",
                placeholder="org/model, a pasted address, or a folder",
                show_label=False,
                container=False,
                scale=5,
                max_lines=1,
                elem_id="hl-model",
            )
            go = gr.Button("Trace", variant="primary", scale=1, min_width=120, elem_id="hl-trace")
        ways = _Ways(box, go, _counted(), _examples(examples))
        _wire(blocks, desk, ways, _results())
    return blocks


def _counted() -> gr.CheckboxGroup:
    """What may be counted beside the weights; nothing is unless it is ticked."""
    return gr.CheckboxGroup(
        [("dates of upload", "dates"), ("declarations", "declared"), ("downloads", "downloads")],
        label="Count too, beside the weights (--with)",
        elem_id="hl-counted",
    )


def _examples(examples: Sequence[str]) -> list[gr.Button]:
    if not examples:
        return []
    with gr.Row(elem_classes="hl-examples"):
        gr.HTML("<span>Try</span>", scale=0, min_width=40)
        return [gr.Button(name, size="sm", scale=0, min_width=60) for name in examples]


def _results() -> _Parts:
    """The parts of the answer, in reading order."""
    script = files("hub_lineage.app").joinpath("choose.js").read_text("utf-8")
    answer = gr.HTML(view.EMPTY, elem_id="hl-answer")
    with gr.Column(visible=False) as results:
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                graph = gr.HTML(js_on_load=script, elem_id="hl-graph")
            with gr.Column(scale=2, min_width=280, elem_classes="hl-panel"):
                details = gr.HTML(_HINT, elem_id="hl-details")
                again = gr.Button("Trace from here", visible=False, size="sm", elem_id="hl-again")
        ranking = gr.HTML(js_on_load=script, elem_id="hl-ranking")
        declared = gr.HTML(elem_id="hl-declared")
        evidence = gr.HTML(elem_id="hl-evidence")
        cost = gr.HTML(elem_id="hl-cost")
    return _Parts(answer, results, graph, details, again, ranking, evidence, declared, cost, gr.State(), gr.State())


@dataclass(frozen=True)
class _Deeds:
    """What the page does when it is used."""

    desk: Desk

    def ask(self, text: str, counted: Sequence[str] = (), progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008 - how Gradio hands progress in
        """An answer to what stands in the box, with what is ticked counted beside the weights."""
        return _filled(*self.desk.answer(text, _steps(progress), counted)) if text.strip() else _filled(None)

    def choose(self, found: Trace | None, event: gr.EventData) -> tuple[Any, Any, str | None]:
        """What is known of a node, and whether one can go on from it."""
        node = view.find(found, str(event.id)) if found else None
        if not found or not node:
            return _HINT, gr.Button(visible=False), None
        useful = node.kind == "model" and node.id != found.child.id
        return view.details(found, node, self.desk.address(node)), gr.Button(visible=useful), node.id

    def link(self, request: gr.Request) -> Any:
        """The model that the page's address names; without one nothing may change, as someone may be typing already."""
        return str(request.query_params.get("model", ""))[:500] or gr.skip()

    def follow(self, request: gr.Request, progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008 - as above
        """An answer about the model that the page's address names."""
        text = self.link(request)
        return self.ask(text, (), progress) if isinstance(text, str) else [gr.skip()] * len(_Parts.__dataclass_fields__)


def _wire(blocks: gr.Blocks, desk: Desk, ways: _Ways, parts: _Parts) -> None:
    """What happens on Enter, on a click, on a link with ``?model=``, and by the API."""
    deeds = _Deeds(desk)
    private: dict[str, Any] = {"api_visibility": "private"}
    quiet: dict[str, Any] = {**private, "show_progress": "hidden"}
    filling: dict[str, Any] = {**private, "outputs": parts.all(), "show_progress_on": parts.answer}
    asking: dict[str, Any] = {**filling, "fn": deeds.ask, "inputs": [ways.box, ways.counted]}
    gr.on([ways.box.submit, ways.go.click], **asking)
    for button in ways.examples:
        button.click(partial(str, button.value), outputs=ways.box, **quiet).then(**asking)
    parts.again.click(str, parts.chosen, ways.box, **quiet).then(**asking)
    for shown in (parts.graph, parts.ranking):
        shown.select(deeds.choose, parts.found, [parts.details, parts.again, parts.chosen], **quiet)
    blocks.load(deeds.link, outputs=ways.box, **quiet).then(deeds.follow, **filling)
    serve_api(desk.as_object, api_name="trace")
