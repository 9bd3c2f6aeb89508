"""A writer to be killed: ``python -m tests.registry.writing FOLDER FIRST`` puts one batch after another, for ever.

Prints ``ready`` before it opens the folder and each batch's number once its put has returned.
"""

from __future__ import annotations

import itertools
import sys

from hub_lineage.registry import Registry
from hub_lineage.types import Model
from tests.registry.models import numbered

SIZE = 6
"""Models of a batch."""


def batch(number: int) -> list[Model]:
    """The models of one batch: some new IDs, and one ID that all batches revise."""
    fresh = [numbered(SIZE * number + i, size=20_000, architecture=f"key-{i % 2}") for i in range(SIZE - 1)]
    return [*fresh, numbered(-1, revision=f"r{number}", size=20_000)]


def main(folder: str, first: int) -> None:
    print("ready", flush=True)  # noqa: T201 - the parent listens
    with Registry.open(folder, write=True) as registry:
        for number in itertools.count(first):
            registry.put(batch(number))
            print(number, flush=True)  # noqa: T201 - the parent listens


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
