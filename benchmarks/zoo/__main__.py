"""``python -m benchmarks.zoo --size full|grown|... --out DIR --seed N`` builds a zoo and prints its summary."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.zoo import build
from benchmarks.zoo.plan import EFFORT
from benchmarks.zoo.summary import table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("--size", choices=tuple(EFFORT), default="full")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/cache/zoo"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes, of one core each")
    options = parser.parse_args()
    folder = build(options.out, size=options.size, seed=options.seed, workers=options.workers)
    print(table(json.loads((folder / "summary.json").read_text())))


if __name__ == "__main__":
    main()
