"""Who might be the parent: the models worth judging, out of many of one architecture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub_lineage.fingerprint import short_vector
from hub_lineage.types import Fingerprint, Model

MOST_JUDGED = 48
"""Models that are judged together at the most; a family's cost grows with the cube of its size."""
NOISE = 4.5 / 32
"""Short fingerprints of strangers correlate less than this: their standard deviation is 1/32."""


def shortlist(child: Fingerprint, models: Sequence[Model], most: int = MOST_JUDGED) -> tuple[list[Model], list[Model]]:
    """The models to judge with the child, the likest first, and the rest; all of the child's architecture.

    Few are all judged. Of many, those are that resemble the child by short fingerprint more than strangers do; the rest
    are strangers as far as that can tell.
    """
    if len(models) <= most:
        return list(models), []
    vectors = np.stack([short_vector(model.fingerprint) for model in models]).astype(np.float32)
    likeness = vectors @ short_vector(child).astype(np.float32)
    order = [int(k) for k in np.argsort(-likeness, kind="stable")]
    chosen = [k for k in order[:most] if likeness[k] > NOISE] or order[:1]
    taken = set(chosen)
    return [models[k] for k in chosen], [models[k] for k in order if k not in taken]
