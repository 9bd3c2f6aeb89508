"""A source that reads through another one, and says of it what that one says."""

from __future__ import annotations

from typing import Any

from hub_lineage.types import Cost, Reference, RepoFile, Source


class Behind:
    """All of a source but its reads, taken from the source behind; a derived class adds ``read``."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def reference(self) -> Reference:
        """What was opened."""
        return self._source.reference

    @property
    def revision(self) -> str | None:
        """The commit that all reads come from."""
        return self._source.revision

    @property
    def files(self) -> tuple[RepoFile, ...]:
        """Every file at that commit."""
        return self._source.files

    @property
    def card(self) -> dict[str, Any]:
        """What the Hub's API says of the model."""
        return self._source.card

    def cost(self) -> Cost:
        """What was asked of the source behind."""
        return self._source.cost()
