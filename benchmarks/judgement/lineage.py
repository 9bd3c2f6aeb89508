"""What the table of truth says of any two models, hidden ones between them included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.zoo import ZooModel
from hub_lineage.types import Kinship


@dataclass(frozen=True, eq=False)
class Lineage:
    """All models of a zoo, those that aren't served included."""

    models: Sequence[ZooModel]

    @cached_property
    def by_id(self) -> dict[str, ZooModel]:
        """The models by name."""
        return {model.id: model for model in self.models}

    def ancestors(self, name: str) -> list[str]:
        """The line above a model, the parent first; a merge has no one line, so it ends there."""
        found = []
        while (parent := self.by_id[name].parent) is not None:
            found.append(parent)
            name = parent
        return found

    def origin(self, model: ZooModel) -> str:
        """The root whose initialisation a model's own root shares, or that root."""
        root = self.by_id[model.root]
        return root.twin_of_seed or root.id

    def kinship(self, child: str, candidate: str) -> Kinship | None:
        """What a candidate is to a child; None where a merge above one of them makes it two things at once."""
        one, other = self.by_id[child], self.by_id[candidate]
        if self.origin(one) != self.origin(other):
            return "unrelated"
        if one.root != other.root:
            return "shared_initialisation"
        above, below = self.ancestors(child), self.ancestors(candidate)
        if [child, *above][-1] != [candidate, *below][-1]:
            return None
        if candidate in above:
            return "parent" if above[0] == candidate else "ancestor"
        if child in below:
            return "descendant"
        return "sibling" if one.parent == other.parent else "cousin"

    def are_twins(self, one: ZooModel, other: ZooModel) -> bool:
        """Whether two models share an initialisation or a recipe, and neither comes from the other."""
        if one.id == other.id or one.id in self.ancestors(other.id) or other.id in self.ancestors(one.id):
            return False
        if one.root == one.id and other.root == other.id and self.origin(one) == self.origin(other):
            return True
        return one.recipe_group is not None and one.recipe_group == other.recipe_group
