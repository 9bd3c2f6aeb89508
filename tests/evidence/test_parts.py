"""What networks of different architecture share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence.null import p_value
from hub_lineage.evidence.parts import shared_part
from hub_lineage.fingerprint import first_run
from hub_lineage.types import Floats
from tests.stacks import LANGUAGE, VISION, fingerprint, headed, stack, tuned
from tests.strategies import SELDOM, seeds

SOURCE = fingerprint(headed(stack(0, range(12)), 0))


@given(kept=st.lists(st.integers(0, 11), min_size=3, max_size=11, unique=True), step=st.floats(0.0, 1.0), seed=seeds)
@SELDOM
def test_a_network_cut_in_depth_shares_all_its_blocks(kept: list[int], step: float, seed: int) -> None:
    cut = fingerprint(headed(tuned(stack(0, kept), step, seed), 1))
    assert cut.architecture != SOURCE.architecture
    part = shared_part(cut, SOURCE)
    assert part is not None
    assert (part.shared, part.blocks, part.whole) == (len(kept), len(kept), 12)
    assert part.correlation == pytest.approx(1 / np.sqrt(1 + step**2), abs=0.06)
    assert p_value(part.correlation, part.null) < 1e-6
    back = shared_part(SOURCE, cut)
    assert back is not None
    assert (back.shared, back.blocks, back.whole) == (len(kept), 12, len(kept))


@given(seed=st.integers(1, 2**31), layers=st.integers(3, 20))
@SELDOM
def test_strangers_share_nothing(seed: int, layers: int) -> None:
    assert shared_part(fingerprint(stack(seed, range(layers))), SOURCE) is None


def test_blocks_put_in_from_elsewhere_are_counted_alone() -> None:
    mixed = fingerprint(stack(0, [2, 3, 5]) | stack(9, range(4), prefix="more.layers"))
    part = shared_part(mixed, SOURCE)
    assert part is not None
    assert (part.shared, part.blocks, part.whole) == (3, 7, 12)


def test_a_tower_is_found_in_a_large_model_of_which_few_tensors_are_sampled() -> None:
    wide = {name: tuple(8 * size for size in shape) for name, shape in LANGUAGE.items()}
    whole = stack(5, range(20), wide, "language_model.layers") | stack(6, range(24), VISION, "vision_tower.encoder.layers")
    model, tower = fingerprint(whole), fingerprint(stack(6, range(24), VISION, "encoder.layers"))
    stranger = fingerprint(stack(7, range(24), VISION, "encoder.layers"))
    assert (32, 128) in model.partial or (128, 32) in model.partial
    part = shared_part(tower, model)
    assert part is not None
    assert 2 <= part.shared <= part.blocks == part.whole == 24
    assert part.correlation > 0.99
    assert shared_part(stranger, model) is None


def test_constants_that_many_networks_hold_are_no_shared_weights() -> None:
    masks = {f"model.layers.{i}.mask": np.tril(np.ones((40, 40), np.float32)) for i in range(12)}
    one, other = (fingerprint(stack(seed, range(depth)) | masks) for seed, depth in ((1, 12), (2, 12)))
    assert one.blocks[0].key == other.blocks[0].key
    assert shared_part(one, other) is None
    nothing = {name: np.zeros_like(value) for name, value in stack(0, range(5)).items()}
    assert shared_part(fingerprint(nothing), SOURCE) is None


def test_without_a_common_kind_of_block_there_is_no_part() -> None:
    assert shared_part(fingerprint(stack(0, range(12), VISION)), SOURCE) is None
    assert shared_part(fingerprint({"x.weight": np.ones((30, 30), np.float32)}), SOURCE) is None


def test_the_null_is_what_strangers_give() -> None:
    """The likest of turned channels are as like as the likest of networks that share nothing."""
    part = shared_part(fingerprint(stack(0, range(0, 12, 2))), SOURCE)
    assert part is not None
    strangers = []
    for seed in range(1, 40):
        other = fingerprint(stack(seed, range(6)))
        theirs: dict[tuple[int, ...], list[Floats]] = {}
        for sample in SOURCE.samples:
            theirs.setdefault(sample.shape, []).append(first_run(sample))
        likest = [max(np.corrcoef(first_run(s), their)[0, 1] for their in theirs[s.shape]) for s in other.samples]
        strangers.append(float(np.mean(likest)))
    assert part.null.mean == pytest.approx(np.mean(strangers), abs=0.01)
    assert part.null.sd == pytest.approx(np.std(strangers), rel=0.5)
