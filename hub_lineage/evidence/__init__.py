"""Evidence, one file a source; each turns a family into figures for every ordered pair and knows no other source."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hub_lineage.evidence import asymmetry, correlation, growth, identity, independence, shrinkage, sites, spectra, tree
from hub_lineage.family import Family, Matrix

SOURCES: tuple[Callable[[Family], dict[str, Matrix]], ...] = (
    correlation.cues,
    independence.cues,
    tree.cues,
    identity.cues,
    asymmetry.cues,
    growth.cues,
    sites.cues,
    spectra.cues,
    shrinkage.cues,
)
"""The sources in the order in which their cues stand."""
SPREAD: tuple[Callable[[Family], dict[str, Matrix]], ...] = (correlation.cues, independence.cues, tree.cues)
"""The sources that read the geometry of :attr:`Family.spread` as well, by names that begin with ``spread_``; but for ranks,
since branches of that tree tie in truth and not in arithmetic."""
DIGITS = 9
"""Decimals of a cue, well above the noise of double precision."""


def measure(family: Family) -> dict[str, Matrix]:
    """All cues of a family by name, each of shape [K, K]: child in the row, candidate in the column.

    They are rounded: what is left of a zero by arithmetic depends on the order of the models, which must tell nothing.
    """
    found: dict[str, Matrix] = {}
    with np.errstate(divide="ignore", invalid="ignore"):  # a family of one has no nearest member
        for source in SOURCES:
            found |= source(family)
        for source in SPREAD:
            found |= {f"spread_{name}": value for name, value in source(family.spread).items() if not name.endswith("rank")}
    return {name: _settled(value) for name, value in found.items()}


def _settled(value: Matrix) -> Matrix:
    finite: Matrix = np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0)
    return finite.round(DIGITS)
