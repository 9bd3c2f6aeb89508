"""A dozen public models whose ancestry is known, asked of the real Hub: for those who have a network.

``make smoke-hub`` prints each answer beside the known one, with its requests, bytes and seconds. It logs in as nobody, so that
a gated model is closed to everyone. Where there is no network, it says that it was not run; that is no pass.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hub_lineage.errors import AccessDenied, LineageError, NetworkError, NotFound, RateLimited
from hub_lineage.hub import Hub, parse_reference
from hub_lineage.trace import trace
from hub_lineage.types import Cost
from hub_lineage.words import one_line

NOT_RUN: Final = "Not run: the Hub at {} can't be reached from here, so nothing was tested."
NO_PARENT: Final = ("independent", "unknown")


@dataclass(frozen=True, slots=True)
class Case:
    """A model, what it is compared with, and what is known of it.

    Attributes:
        about: What the case is about.
        child: The model asked about.
        among: The candidates.
        kinds: The verdicts that are right; none where an error is.
        parents: Only these may be named as parents; at least one must be where the kind is ``parent``.
        error: The error that is right, whose words are printed.
    """

    about: str
    child: str
    among: tuple[str, ...]
    kinds: tuple[str, ...] = ("parent",)
    parents: tuple[str, ...] = ()
    error: type[LineageError] | None = None


_SMOL, _PIPE = "HuggingFaceTB/SmolLM2-135M", ("OpenPipe/mistral-ft-optimized-1218", "mlabonne/NeuralHermes-2.5-Mistral-7B")
_VIT = "google/vit-base-patch16-224-in21k"
CASES: Final = (
    Case("instruction tuning", f"{_SMOL}-Instruct", (_SMOL,), parents=(_SMOL,)),
    Case("instruction tuning", "Qwen/Qwen2.5-0.5B-Instruct", ("Qwen/Qwen2.5-0.5B",), parents=("Qwen/Qwen2.5-0.5B",)),
    Case("same recipe, other data", "EleutherAI/pythia-160m-deduped", ("EleutherAI/pythia-160m",), ("independent",)),
    Case("namesakes of another size", "FacebookAI/roberta-base", ("google-bert/bert-base-uncased",), NO_PARENT),
    Case("a classifier", "Falconsai/nsfw_image_detection", (_VIT,), parents=(_VIT,)),
    Case("a classifier of many classes", "google/vit-base-patch16-224", (_VIT,), parents=(_VIT,)),
    Case("an old name", "dslim/bert-base-NER", ("bert-base-cased",), parents=("google-bert/bert-base-cased",)),
    Case(
        "a classifier among two",
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        ("distilbert/distilbert-base-uncased", "distilbert/distilbert-base-cased"),
        parents=("distilbert/distilbert-base-uncased",),
    ),
    Case("a mergekit merge", "mlabonne/NeuralPipe-7B-slerp", _PIPE, ("merge", "parent", "one_of", "family"), _PIPE),
    Case(
        "a GGUF",
        "bartowski/SmolLM2-135M-Instruct-GGUF",
        (f"{_SMOL}-Instruct",),
        ("parent", "one_of", "family"),
        (f"{_SMOL}-Instruct",),
    ),
    Case("a LoRA, pickled", "tloen/alpaca-lora-7b", (_SMOL,), NO_PARENT),
    Case("a gated model", "meta-llama/Llama-3.2-1B-Instruct", ("meta-llama/Llama-3.2-1B",), error=AccessDenied),
    Case("no such model", "HuggingFaceTB/no-such-model", (_SMOL,), error=NotFound),
)
"""All that is known."""


@dataclass(frozen=True, slots=True)
class Row:
    """A case with the answer it got; ``right`` is None where the network failed it."""

    case: Case
    right: bool | None
    words: str
    cost: Cost


def reachable(hub: Hub) -> bool:
    """Whether a Hub answers at all; that it refuses is an answer too."""
    try:
        hub.open(parse_reference(_SMOL))
    except RateLimited:
        return True
    except NetworkError:
        return False
    except LineageError:
        return True
    return True


def asked(cases: Sequence[Case], hub: Hub) -> Iterator[Row]:
    """Every case, one after another."""
    for case in cases:
        before, began = hub.cost(), time.perf_counter()
        right, words = _answer(case, hub)
        after, seconds = hub.cost(), time.perf_counter() - began
        yield Row(case, right, words, Cost(seconds, after.requests - before.requests, after.bytes_read - before.bytes_read))


def _answer(case: Case, hub: Hub) -> tuple[bool | None, str]:
    try:
        verdict = trace(case.child, among=case.among, hub=hub).verdict
    except LineageError as error:
        right = case.error is not None and isinstance(error, case.error)
        return (None if isinstance(error, NetworkError) else right), f"{type(error).__name__}: {one_line(error.message)}"
    named = [parent.id for parent in verdict.parents]
    fits = verdict.kind in case.kinds and set(named) <= set(case.parents) and (bool(named) or verdict.kind != "parent")
    return case.error is None and fits, f"{verdict.kind}{''.join(f' {name}' for name in named)}: {one_line(verdict.summary)}"


def line(row: Row) -> str:
    """A row for people."""
    mark = {True: "right", False: "WRONG", None: "not answered"}[row.right]
    cost = f"{row.cost.requests} requests, {row.cost.bytes_read:,} bytes, {row.cost.seconds:.1f} s"
    return f"{mark:12s} {row.case.about}: {row.case.child}\n{'':12s} {row.words}\n{'':12s} {cost}"


def main(cases: Sequence[Case] = CASES) -> int:
    """Asks and prints; 0 where all is right or nothing was run, 1 else."""
    with Hub(token=False, retries=1, patience=5.0, timeout=10.0) as probe:
        if not reachable(probe):
            print(NOT_RUN.format(probe.endpoint))
            return 0
    rows = []
    with Hub(token=False, patience=400.0) as hub:
        for row in asked(cases, hub):
            print(line(row), flush=True)
            rows.append(row)
    right, lost = sum(row.right is True for row in rows), sum(row.right is None for row in rows)
    print(f"{right} of {len(rows)} right, {lost} not answered, {sum(row.cost.bytes_read for row in rows):,} bytes.")
    return 0 if right == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
