"""Every figure of a trace stands beside a null of unrelated models, and its p-values hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hub_lineage import report
from hub_lineage.gathering import read_model
from hub_lineage.hub import open_source, parse_reference
from hub_lineage.phylogeny import forest
from hub_lineage.registry import Registry
from hub_lineage.testing import write_model
from hub_lineage.trace import trace
from hub_lineage.types import Model
from hub_lineage.weighing import weigh
from tests.simulated import Values, model_of, tree


def test_corrected_p_values_of_strangers_are_seldom_small() -> None:
    """In one question of twenty, at the most, is any of the strangers given less than .05, whatever the dtype."""
    strangers, lowest = 8, []
    for seed in range(90):
        dtype = ("F32", "BF16", "F16")[seed % 3]
        grown = tree([-1, 0, *[-1] * strangers], [1.0, 0.3, *[1.0] * strangers], 100 + seed, ((40, 30), (30, 40)))
        weighed = weigh([model_of(f"m{k}", grown[k], dtype) for k in (1, 0, *range(2, 2 + strangers))])
        judgement = weighed.judgement
        rows = report.candidates(weighed.models, weighed.family, judgement, forest(judgement), 100)
        values = [one.p_value for row in rows if row.id != "m0" for one in row.evidence if one.source == "correlation"]
        assert len(values) == strangers
        lowest.append(min(value for value in values if value is not None))
    found = np.array(lowest)
    assert np.mean(found < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(found))
    assert (found < 0.001).sum() <= 1


def written(folder: Path, model: Values, dtype: Any) -> Model:
    """The model as the registry would keep it, once it was stored in that dtype."""
    write_model(folder, {f"{k}.weight": tensor.astype(np.float32) for k, tensor in enumerate(model)}, dtype=dtype)
    return read_model(open_source(parse_reference(str(folder)), None))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("strangers", [0, 9])
def test_nulls_are_of_the_registry_s_strangers_else_of_turned_channels(tmp_path: Path, dtype: Any, strangers: int) -> None:
    """All rounded as the child and its kin are: unrelated values of sixteen bits are equal now and then."""
    grown = tree([-1, 0, *[-1] * strangers], [1.0, 0.01, *[1.0] * strangers], 6, ((90, 80), (80, 80)))
    known = [written(tmp_path / f"m{k}", model, np.float32 if k > 1 else dtype) for k, model in enumerate(grown)]
    with Registry.open(tmp_path / "registry", write=True) as registry:
        registry.put([known[0], *known[2:]])
    found = trace(known[1].id, registry=tmp_path / "registry")
    assert [row.kinship == "unrelated" for row in found.candidates] == [False, *[True] * strangers]
    source = f"{strangers} unrelated models of this shape" if strangers else "8 models with turned channels"
    nulls = {one.source: one.null for one in found.candidates[0].evidence}
    assert nulls.keys() == report.SHOWN.keys()
    assert {each and each.source for each in nulls.values()} == {source}
    equal = nulls["equal_values"]
    assert equal is not None
    assert (equal.mean > 0) == (dtype != np.float32)
