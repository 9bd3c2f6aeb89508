"""The app with answers built by hand, as a process of its own: ``python -m tests.app.served``; prints its address."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hub_lineage.app import launch
from hub_lineage.errors import NotFound
from hub_lineage.hub import Hub
from hub_lineage.types import Candidate, Edge, Graph, Node, Progress, Trace, Verdict
from tests import traces

STEPS = "Reading byte ranges"
HOSTILE = """<script>window.hacked=1</script><img src=x onerror="window.hacked=1">{{constructor}}${window.hacked=1}`"'"""


def hostile() -> Trace:
    """An answer in which every name tries to break out of the page."""
    verdict = Verdict("family", 0.5, 0.5, f"Kin to {HOSTILE}.", settle=HOSTILE)
    graph = Graph((Node(HOSTILE, "1", license=HOSTILE), Node(traces.CHILD)), (Edge(HOSTILE, traces.CHILD),))
    row = Candidate(1, HOSTILE, None, 0.5, 0.5, None, "unknown", traces.evidence(0.5))
    return traces.answer(verdict, (row,), graph)


def answer(child: str, *, registry: Path | None, hub: Hub, counted: Sequence[str], progress: Progress | None) -> Trace:
    """One answer an ID, with soft evidence where that is counted; some IDs fail."""
    if child == "none/here":
        raise NotFound("There is no model none/here on this Hub.", "Check the spelling of the ID.")
    if child == "breaks/down":
        raise ValueError("a mistake of ours")
    if child == "takes/long" and progress:
        for done in range(8):
            progress(STEPS, done, 8)
            time.sleep(0.2)
    if child == "hostile/names":
        return hostile()
    found = traces.ALL.get(child.rpartition("/")[2], traces.PARENT)
    return traces.with_soft(found, counted) if counted else found


if __name__ == "__main__":
    served = launch(tracer=answer, port=0, examples=[traces.CHILD, "any/merge"], hub=Hub("http://127.0.0.1:9", token=False))
    sys.stdout.write(f"The app is at {served.address}\n")
    sys.stdout.flush()
    served.wait()
