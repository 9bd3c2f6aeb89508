"""A zoo in figures: how many models of what, and how far children are from their parents."""

from __future__ import annotations

from collections import Counter
from typing import Any

BINS = ((-1.0, 0.3), (0.3, 0.7), (0.7, 0.95), (0.95, 0.999), (0.999, 1.1))


def cosine_bin(value: float) -> str:
    """The bin of cosines that a value falls into, as text."""
    low, high = next((low, high) for low, high in BINS if value < high)
    return f"<{high}" if low < 0 else f">{low}" if high > 1 else f"{low}-{high}"


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts by split, kind, regime, dtype, generation and bin of cosine."""
    edges = [row for row in rows if row["parent"] is not None]
    summary: dict[str, Any] = {
        "models": len(rows),
        "roots": sum(row["generation"] == 0 for row in rows),
        "families": len({row["family"] for row in rows}),
        "hidden": sum(row["hidden"] for row in rows),
        "bytes_parameters": sum(row["parameters"] for row in rows),
        "cosine": _counts(cosine_bin(row["cosine_to_parent"]) for row in edges),
    }
    for key in ("split", "kind", "regime", "dtype", "generation", "made_by"):
        summary[key] = _counts(str(row[key]) for row in rows)
    for key in ("split", "regime", "kind"):
        for value in sorted({row[key] for row in rows}):
            chosen = [row for row in rows if row[key] == value]
            summary[f"{key}={value}"] = {
                "models": len(chosen),
                "roots": sum(row["generation"] == 0 for row in chosen),
                "cosine": _counts(cosine_bin(row["cosine_to_parent"]) for row in chosen if row["parent"] is not None),
            }
    return summary


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def table(summary: dict[str, Any]) -> str:
    """The summary as text, one line a figure."""
    return "\n".join(f"{key:>22}  {_plain(value)}" for key, value in summary.items())


def _plain(value: Any) -> str:
    return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items()) if isinstance(value, dict) else str(value)
