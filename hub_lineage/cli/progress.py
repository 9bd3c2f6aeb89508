"""Progress on stderr: one line that rewrites itself in a terminal, nothing where stderr is piped."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hub_lineage.types import Progress
from hub_lineage.words import one_line

INTERVAL = 0.08  # seconds between two rewritings; a terminal shows no more


@contextmanager
def progress() -> Iterator[Progress | None]:
    """Gives a callback that names the step at hand, or None where nobody watches; wipes its line at the end."""
    if not sys.stderr.isatty():
        yield None
        return
    shown = _Line()
    try:
        yield shown
    finally:
        shown.wipe()


class _Line:
    """The line that is rewritten."""

    def __init__(self) -> None:
        self._step = ""
        self._at = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step == self._step and done < total and now - self._at < INTERVAL:
            return
        self._step, self._at = step, now
        self._write(words(step, done, total))

    def wipe(self) -> None:
        """Leaves the line empty."""
        self._write("")

    @staticmethod
    def _write(text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[2K{text[:width]}")
        sys.stderr.flush()


def words(step: str, done: int, total: int) -> str:
    """A step in words: ``Reading ranges: 3 of 12``; without a number where there is nothing to count."""
    count = f": {done} of {total}" if total > 1 else (f": {done}" if done else " ...")
    return one_line(step) + count
