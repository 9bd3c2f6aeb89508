"""Every figure about judgement: the right parent, or an honest "not here", on one zoo or several.

``python -m benchmarks.bench_judgement --zoo ZOO ...`` measures what ships on the test split, which nothing was fitted or
chosen on, and writes ``benchmarks/results/judgement.json``, the table of confusions beside it, and the reliability diagram.
``--split validation`` prints the same figures of that split and writes nothing. Each zoo is one seed.

``--left-out KIND=JUDGE`` and ``--left-out-regime REGIME=JUDGE`` name judges that were fitted without one kind of network or
one regime; without them their rows are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import isfinite
from pathlib import Path

from benchmarks import read_cost, results_file
from benchmarks.judgement import dates, families, kinship, left_out, places, reliability, statements
from benchmarks.judgement.baselines import FIRST_JUDGE, rules
from benchmarks.judgement.diagram import reliability as drawn
from benchmarks.judgement.places import FullDepth
from benchmarks.judgement.reliability import Odds
from benchmarks.judgement.scenes import Scene, is_hub, judge_at, orphans, scenes
from benchmarks.results_file import Figure
from hub_lineage.judge import Judge

SPLITS = ("test", "validation")
CONFUSIONS = results_file.RESULTS / "judgement_kinship.csv"
DIAGRAM = Path(__file__).parents[1] / "docs" / "reliability.svg"


@dataclass(frozen=True, eq=False)
class Asked:
    """What is measured: on which zoos and split, and under which judges."""

    zoos: Sequence[Path]
    split: str = "test"
    fitted: Judge | None = None  # the one that ships, where none is given
    full: FullDepth | None = None
    without_kind: Mapping[str, Judge] = field(default_factory=dict)
    without_regime: Mapping[str, Judge] = field(default_factory=dict)
    first: Path | None = FIRST_JUDGE
    timed: bool = True


@dataclass(frozen=True, eq=False)
class Answer:
    """All figures, what wasn't measured and why, the table of confusions, and the reliability diagram."""

    figures: list[Figure]
    missing: list[str]
    confusions: str
    diagram: str


def answer(asked: Asked) -> Answer:
    """Every row, from crowds that are judged once."""
    found = scenes(asked.zoos, asked.split, asked.fitted)
    if not found:
        raise SystemExit(f"There is no model of the {asked.split} split in {', '.join(map(str, asked.zoos))}.")
    gone = [orphan for scene in found for orphan in orphans(scene, asked.fitted)]
    table = kinship.confusions(found)
    cases = places.seen(found, rules(asked.fitted, asked.first))
    optional, missing = _optional(asked, found)
    rows = [
        *places.figures(cases),
        *dates.figures(found),
        *statements.stated(found, gone),
        *statements.direction_figures(found, asked.fitted),
        *statements.unrelated_figures(asked.zoos, asked.split, found, asked.fitted),
        *kinship.figures(table),
        *reliability.figures(found, gone, left_out.regimes(found, asked.without_regime)),
        *optional,
    ]
    panels = {
        "Leading candidate": _by_regime(reliability.leading(found, gone)),
        "None of them": _by_regime(reliability.none(found, gone)),
    }
    missing += [f"{row.id}: there is no such case" for row in rows if not isfinite(row.value)]
    rows = [row for row in rows if isfinite(row.value)]
    return Answer(_in_order(rows), missing, kinship.as_csv(table), drawn(panels))


def _optional(asked: Asked, found: Sequence[Scene]) -> tuple[list[Figure], list[str]]:
    """The rows that need more than a zoo and a judge, and a word about each that can't be measured."""
    rows = {
        "judge.parent_first_full: nothing reads at depth full, name it with --full MODULE:FUNCTION": (
            [] if asked.full is None else places.full_figures(found, asked.full)
        ),
        "judge.parent_first_new_architecture: name judges fitted without a kind with --left-out KIND=JUDGE": (
            left_out.architectures(found, asked.without_kind)
        ),
        "judge.twin_parent: no model has a twin in sight": statements.twin_figures(found),
        f"judge.tree_edges: no whole family has {families.FEWEST} to {families.MOST} served members": (
            families.figures(found, asked.fitted, asked.first)
        ),
        "judge.trace_seconds: it is measured under the judge that ships alone": _seconds() if asked.timed else [],
    }
    measured = [figure for found_rows in rows.values() for figure in found_rows]
    return measured, [why for why, found_rows in rows.items() if not found_rows]


def _seconds() -> list[Figure]:
    return [replace(read_cost.among_a_thousand(), id="judge.trace_seconds", bar="<= 1.5")]


def _by_regime(odds: Odds) -> dict[str, Odds]:
    return {"first regime": odds.of(lambda model: not is_hub(model)), "second regime": odds.of(is_hub)}


def _in_order(rows: Sequence[Figure]) -> list[Figure]:
    """Figures that have a bar first, then the others as they come."""
    return sorted(rows, key=lambda figure: not figure.bar)


def store(found: Answer) -> None:
    """Writes the results, the table of confusions beside them, and the diagram."""
    results_file.write("judgement", "make bench-judgement", found.figures)
    CONFUSIONS.write_text(found.confusions)
    DIAGRAM.write_text(found.diagram)


def _named(pair: str) -> tuple[str, Judge]:
    """``NAME=PATH`` as a name and the judge that lies there."""
    name, _, path = pair.partition("=")
    if not path:
        raise argparse.ArgumentTypeError(f"{pair!r} is not NAME=PATH")
    return name, judge_at(Path(path))


def _function(name: str) -> FullDepth:
    """``MODULE:FUNCTION`` as that function."""
    module, _, attribute = name.partition(":")
    found: FullDepth = getattr(import_module(module), attribute)
    return found


def options(arguments: Sequence[str] | None = None) -> Asked:
    """The command line as what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, nargs="+", default=[Path("benchmarks/cache/zoo")], help="one folder a seed")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--judge", type=Path, help="another judge than the one that ships; nothing is written")
    parser.add_argument("--first-judge", type=Path, default=FIRST_JUDGE, help="the judge of the earliest verdicts")
    parser.add_argument("--full", type=_function, help="MODULE:FUNCTION, from a crowd to its judgement at depth full")
    parser.add_argument("--left-out", type=_named, nargs="*", default=[], metavar="KIND=JUDGE")
    parser.add_argument("--left-out-regime", type=_named, nargs="*", default=[], metavar="REGIME=JUDGE")
    given = parser.parse_args(arguments)
    return Asked(
        zoos=given.zoo,
        split=given.split,
        fitted=given.judge and judge_at(given.judge),
        full=given.full,
        without_kind=dict(given.left_out),
        without_regime=dict(given.left_out_regime),
        first=given.first_judge,
        timed=given.judge is None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; for what ships, on the test split, it writes the results too."""
    asked = options(arguments)
    found = answer(asked)
    for figure in found.figures:
        between = "" if figure.interval is None else f"{figure.interval[0]:.3f} to {figure.interval[1]:.3f}"
        beside = ", ".join(f"{name} {value:.3f}" for name, value in figure.baselines.items())
        print(f"{figure.id:44s} {figure.value:8.4g} {between:16s} {figure.bar:16s} {beside}; {figure.note}")
    for why in found.missing:
        print(f"Left out: {why}.", file=sys.stderr)
    if asked.split == "test" and asked.fitted is None:
        store(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
