"""Which way of deriving makes the answer, and which leaves it to the judge; and the whole path of a quantised copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter
from gguf.quants import quantize
from safetensors.numpy import save_file

from hub_lineage import derivation, trace
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.types import Fingerprint, Model, Parent

NOBODY = Model("child", None, Fingerprint("hl2", "x", 1, ()))


def way(method: str, probability: float) -> derivation.Way:
    made = Derivation("finetune", method, (Parent("a", None, "finetune", probability),), probability, 0.0, "Made of a.")
    return lambda _, models: made if models else None


def test_the_first_sure_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Model("a", None, NOBODY.fingerprint)
    monkeypatch.setattr(derivation, "WAYS", (way("unsure", 0.8), way("sure", 0.95), way("later", 0.99)))
    found = derivation.explain(NOBODY, [NOBODY, other])
    assert found is not None
    assert found.method == "sure"
    assert derivation.explain(NOBODY, [NOBODY]) is None  # nobody comes from itself
    monkeypatch.setattr(derivation, "WAYS", (way("unsure", 0.8),))
    assert derivation.explain(NOBODY, [other]) is None


def test_a_quantised_file_is_traced_to_its_source(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    source = {f"blk.{k}.ffn_up.weight": drawn.normal(0, 0.05, (96, 64)).astype(np.float32) for k in range(3)}
    sibling = {name: value + drawn.normal(0, 0.004, value.shape).astype(np.float32) for name, value in source.items()}
    for name, tensors in (("source", source), ("sibling", sibling)):
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
    writer = GGUFWriter(tmp_path / "child.gguf", "other")
    for name, value in source.items():
        writer.add_tensor(name, quantize(value, Kind.Q4_0), raw_dtype=Kind.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = trace(str(tmp_path / "child.gguf"), among=[str(tmp_path / "sibling"), str(tmp_path / "source")])
    assert found.verdict.kind == "parent"
    (parent,) = found.verdict.parents
    assert (Path(parent.id).name, parent.relation) == ("source", "quantized")
    assert found.candidates[0].id == parent.id
    assert found.candidates[0].relation == "quantized"
    assert sum(row.probability for row in found.candidates) + found.verdict.none_probability == pytest.approx(1.0, abs=0.02)
    (edge,) = (edge for edge in found.graph.edges if edge.child == found.child.id)
    assert (edge.parent, edge.relation) == (parent.id, "quantized")
