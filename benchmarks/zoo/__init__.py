"""A zoo of really trained small models whose lineages are known: ``build`` makes it, ``load_truth`` reads it."""

from benchmarks.zoo.truth import ZooModel as ZooModel
from benchmarks.zoo.truth import load_truth as load_truth

__all__ = ["ZooModel", "build", "load_truth"]


def __getattr__(name: str) -> object:
    """``build`` is looked up only where it is used: it needs torch, which readers of the truth don't."""
    if name == "build":
        from benchmarks.zoo.build import build

        return build
    raise AttributeError(name)
