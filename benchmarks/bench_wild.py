"""Published networks with documented parents: a regression test; no independent one, see ``docs/method.md``.

``python -m benchmarks.bench_wild --data FOLDER`` traces each network among all of them, by weights alone. The folder holds
one folder a network and ``truth.json`` beside it: for each child its documented parent, or none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import results_file
from benchmarks.results_file import Figure
from hub_lineage.trace import trace
from hub_lineage.types import Trace

DATA = Path("../shared/data/wild/waifu2x")


def answers(data: Path) -> dict[str, Trace]:
    """Every network traced among all of them, its name hidden from nobody but used by nothing."""
    paths = [str(path) for path in sorted(data.iterdir()) if path.is_dir()]
    return {Path(path).name: trace(path, among=paths, declared=False) for path in paths}


def figures(found: dict[str, Trace], truth: Sequence[dict[str, Any]]) -> list[Figure]:
    """How many documented parents are named, ranked first, and how many are claimed where there is none."""
    parents = {case["child"]: case["parent"] for case in truth}
    accepted = {case["child"]: {case["parent"], *case.get("accept", ())} - {None} for case in truth}
    present = [name for name, parent in parents.items() if parent]
    absent = [name for name, parent in parents.items() if not parent]
    roots = [name for name in absent if any(parent == name for parent in parents.values()) or name == "anime_up2x"]
    named = sum(_said(found[name]) == {parents[name]} for name in present)
    first = sum(Path(found[name].candidates[0].id).name == parents[name] for name in present)
    false = sum(bool(_said(found[name]) - accepted[name]) for name in absent)
    nearest = {
        f"nearest {source}": float(sum(_nearest(found[name], source) == parents[name] for name in present))
        for source in ("correlation", "correlation.median")
    }
    scratch = [name for name in absent if name.startswith("cunet_up1x")]
    family = sum(found[name].verdict.kind == "family" for name in roots)
    return [
        Figure("wild.parent_named", named, f"of {len(present)}", ">= 7 of 8", note="verdict parent, the documented one"),
        Figure("wild.parent_first", first, f"of {len(present)}", baselines=nearest, note="ranked first, whatever the verdict"),
        Figure("wild.false_parent", false, f"of {len(absent)}", "0", note="a parent stated where none is documented"),
        Figure("wild.scratch_claimed", sum(bool(_said(found[name])) for name in scratch), f"of {len(scratch)}", "0"),
        Figure("wild.roots_family", family, f"of {len(roots)}", "3 of 3"),
    ]


def _nearest(answer: Trace, source: str) -> str:
    """The candidate that one figure of likeness alone would name."""
    likeness = {c.id: next((e.value for e in c.evidence if e.source == source), -1.0) for c in answer.candidates}
    return Path(max(likeness, key=likeness.__getitem__)).name


def _said(answer: Trace) -> set[str]:
    return {Path(parent.id).name for parent in answer.verdict.parents} if answer.verdict.kind == "parent" else set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints every answer and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        print(f"No networks at {options.data}: give their folder with --data.", file=sys.stderr)
        return 2
    found = answers(options.data)
    for name, answer in found.items():
        best = answer.candidates[0]
        odds = f"none {answer.verdict.none_probability:.2f}  {Path(best.id).name} {best.probability:.2f}"
        print(f"{name:24s} {answer.verdict.kind:12s} {odds}")
    rows = figures(found, json.loads((options.data.parent / "truth.json").read_text()))
    results_file.write("wild", "make bench-wild", rows)
    for row in rows:
        print(f"{row.id:24s} {row.value:g} {row.unit} (bar: {row.bar or 'none'})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
