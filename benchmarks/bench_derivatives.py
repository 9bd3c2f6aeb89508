"""Derived models told from what they were made of; ``benchmarks/results/derivatives.json``.

``python -m benchmarks.bench_derivatives``
"""

from __future__ import annotations

import sys

from benchmarks import results_file
from benchmarks.derivatives import adapters, parts, quantised


def main() -> int:
    """Measures, prints and stores every row."""
    figures = [*quantised.rows(), *adapters.rows(), *parts.rows()]
    for figure in figures:
        print(f"{figure.id:44} {figure.value:10.4g} {figure.bar:8} {figure.note}", file=sys.stderr)
    results_file.write("derivatives", "make bench-derivatives", figures)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
