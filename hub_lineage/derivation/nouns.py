"""What the ways of deriving tell: how a child was made, and where each of its tensors came from."""

from __future__ import annotations

from dataclasses import dataclass

from hub_lineage.types import Null, Parent, Relation


@dataclass(frozen=True, slots=True)
class Layer:
    """Where one tensor of a child came from: the models by ID with their coefficients, and the share of it unexplained.

    ``unexplained`` is the squared norm of what is left over that of the tensor, centred; 1 where it came from none of them.
    """

    tensor: str
    shape: tuple[int, ...]
    origins: tuple[tuple[str, float], ...]
    unexplained: float


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a child was made out of known models, where the weights show it to within rounding.

    ``method`` says how, in one word (``Q4_K``, ``pruned``, ``lora``, ``hybrid``, ``passthrough``);
    ``unexplained`` is the squared norm of what is left over that of the child's difference from its nearest parent or, where
    it has one parent, over that of the child; ``null`` is what models that it wasn't made of leave. ``summary`` is a sentence.
    """

    relation: Relation
    method: str
    parents: tuple[Parent, ...]
    probability: float
    unexplained: float
    summary: str
    null: Null | None = None
    layers: tuple[Layer, ...] = ()
