"""Figures to ``benchmarks/results/NAME.json`` and from there to ``benchmarks/RESULTS.md``.

``python -m benchmarks.results_file`` writes the page anew.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent / "RESULTS.md"


@dataclass(frozen=True)
class Figure:
    """One row: what was measured, its value, its bar where there is one, and what others reach in the same run.

    ``interval`` is where the value lies in 95 % of bootstrap draws, where it was drawn anew.
    """

    id: str
    value: float
    unit: str
    bar: str = ""
    baselines: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    interval: tuple[float, float] | None = None


def machine() -> str:
    """The machine in words, without its name."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {gib:.0f} GiB, no GPU, Python {platform.python_version()}"


def write(name: str, command: str, figures: Sequence[Figure]) -> Path:
    """Stores the figures of one run and renews the page."""
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    rows = [{**_stored(figure), "command": command, "date": when, "machine": machine()} for figure in figures]
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(rows, indent=1) + "\n")
    PAGE.write_text(page())
    return path


def _stored(figure: Figure) -> dict[str, object]:
    """The row as a plain object; figures that were not drawn anew have no interval in it."""
    row = asdict(figure)
    if row["interval"] is None:
        del row["interval"]
    return row


def page() -> str:
    """The page made of all stored figures."""
    parts = [
        "# Results",
        "",
        "Made from `benchmarks/results/` by `python -m benchmarks.results_file`; each command makes its own rows anew.",
        "Intervals in brackets hold 95 % of bootstrap draws.",
        "",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        rows = json.loads(path.read_text())
        commands = sorted({row["command"] for row in rows})
        parts += [f"## {path.stem}", "", f"`{'`, `'.join(commands)}`, {rows[0]['date']}, {rows[0]['machine']}", ""]
        parts += ["| figure | value | bar | beside it |", "|---|---|---|---|"]
        parts += [_line(row) for row in rows] + [""]
    return "\n".join(parts)


def _line(row: Mapping[str, object]) -> str:
    baselines = row.get("baselines") or {}
    beside = ", ".join(f"{name} {_number(value)}" for name, value in baselines.items()) if isinstance(baselines, Mapping) else ""
    said = "; ".join(part for part in (beside, str(row.get("note") or "")) if part)
    value = f"{_number(row['value'])} {row['unit']}{_between(row.get('interval'))}"
    return f"| {row['id']} | {value} | {row.get('bar') or ''} | {said} |"


def _between(interval: object) -> str:
    return f" ({' to '.join(_number(end) for end in interval)})" if isinstance(interval, Sequence) else ""


def _number(value: object) -> str:
    if isinstance(value, (int, float)):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


if __name__ == "__main__":
    PAGE.write_text(page())
