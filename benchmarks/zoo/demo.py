"""Trains the models that the demonstration serves, and writes them as repositories into the package.

``python -m benchmarks.zoo.demo`` makes ``hub_lineage/demo/models`` anew from its seed: two minutes on two cores. Some cards
declare their parent, one declares the wrong one, most say nothing; two models come from a revision that isn't there.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from benchmarks.zoo.breeding import train_all
from benchmarks.zoo.data import Task
from benchmarks.zoo.family import Family, Planned
from benchmarks.zoo.nets import VARIANTS
from benchmarks.zoo.recipes import Recipe

OUT = Path("hub_lineage/demo/models")
SEED = 7
VARIANT = "cnn-d"
OTHER_VARIANT = "mlp-d"
CLOTHES = Task("fashion")


@dataclass(frozen=True)
class Shown:
    """A repository of the demonstration: whose weights it serves, what its card declares, whether it is an example."""

    id: str
    weights: str
    month: int
    declares: str | None = None
    example: bool = False


def tuned(lr: float, steps: int, decay: float = 0.0) -> Recipe:
    """A recipe of fine-tuning by AdamW."""
    return Recipe("adamw", lr, decay, steps, 40, "constant")


def planned() -> dict[str, Planned]:
    """The lineages, by the names that are used here."""
    family = Family(Random(SEED), VARIANTS[VARIANT], "deep", "clothes", 1.0)
    family.dtype = "F16"
    made: dict[str, Planned] = {"base": family.root(CLOTHES, steps=2500)}

    def child(name: str, parent: str, task: Task, recipe: Recipe) -> None:
        made[name] = family.child(made[parent], task, recipe)

    child("inverted", "base", replace(CLOTHES, invert=True), tuned(0.004, 600))
    child("tilted", "base", replace(CLOTHES, rotation=90), tuned(0.004, 600, 0.01))
    child("noisy", "base", replace(CLOTHES, noise=0.6), tuned(0.002, 600))
    child("noisy-again", "base", replace(CLOTHES, noise=0.6).like(1), tuned(0.002, 600))
    child("inverted-noisy", "inverted", replace(CLOTHES, invert=True, noise=0.6), tuned(0.0024, 500))
    child("inverted-shoes", "inverted", replace(CLOTHES, invert=True, classes=(2, 4, 5, 7, 9)), tuned(0.002, 400))
    child(
        "inverted-noisy-shoes",
        "inverted-noisy",
        replace(CLOTHES, invert=True, noise=0.6, classes=(2, 4, 5, 7, 9)),
        tuned(0.0016, 400),
    )
    child("inverted-noisy-late", "inverted-noisy", replace(CLOTHES, invert=True, noise=1.0), tuned(0.0012, 400))
    child("hidden", "tilted", replace(CLOTHES, rotation=180), tuned(0.004, 600))
    child("upside-down", "hidden", replace(CLOTHES, rotation=180, noise=0.3), tuned(0.0016, 400))
    child("upside-down-shirts", "hidden", replace(CLOTHES, rotation=180, classes=(0, 2, 3, 4, 6)), tuned(0.002, 400))
    stranger = Family(Random(SEED + 1), VARIANTS[VARIANT], "deep", "stranger", 1.0)
    stranger.dtype = "F16"
    made["stranger"] = stranger.root(CLOTHES, steps=900)
    made["stranger-inverted"] = stranger.child(made["stranger"], replace(CLOTHES, invert=True), tuned(0.004, 400))
    plain = Family(Random(SEED + 2), VARIANTS[OTHER_VARIANT], "deep", "plain", 1.0)
    plain.dtype = "F16"
    made["plain"] = plain.root(CLOTHES, steps=600)
    return made


SHOWN = (
    Shown("loom/garments", "base", 1),
    Shown("loom/garments-inverted", "inverted", 2, declares="loom/garments"),
    Shown("loom/garments-tilted", "tilted", 2, declares="loom/garments"),
    Shown("mira/noisy-garments", "noisy", 3),
    Shown("tom/grainy-garments", "noisy-again", 4),
    Shown("mira/negatives", "inverted-noisy", 5, example=True),
    Shown("ada/shoe-negatives", "inverted-shoes", 5, declares="needle/outfits"),
    Shown("ada/grainy-shoe-negatives", "inverted-noisy-shoes", 7, example=True),
    Shown("zoe/late-negatives", "inverted-noisy-late", 8, declares="mira/negatives"),
    Shown("kim/upside-down", "upside-down", 6, example=True),
    Shown("kim/upside-down-shirts", "upside-down-shirts", 7),
    Shown("needle/outfits", "stranger", 2, example=True),
    Shown("needle/outfits-inverted", "stranger-inverted", 4),
    Shown("copy/garments-mirror", "base", 9, example=True),
    Shown("plain/outfits-mlp", "plain", 3),
)


def write(made: dict[str, Planned], weights: Path, out: Path) -> None:
    """One folder a repository, and their index; what was there before goes."""
    shutil.rmtree(out, ignore_errors=True)
    index = []
    for shown in SHOWN:
        folder = out / shown.id.replace("/", "__")
        folder.mkdir(parents=True)
        shutil.copyfile(weights / f"{made[shown.weights].id.replace('/', '_')}.safetensors", folder / "model.safetensors")
        (folder / "config.json").write_text(
            json.dumps({"model_type": "small-cnn", "architectures": [made[shown.weights].variant]}) + "\n"
        )
        (folder / "README.md").write_text(card(shown))
        entry = {"id": shown.id, "created_at": f"2026-{shown.month:02d}-01T12:00:00.000Z", "downloads": 1000 // shown.month}
        index.append(entry | ({"example": True} if shown.example else {}))
    index.sort(key=lambda entry: entry["id"] != "ada/grainy-shoe-negatives")  # the first example is traced in the terminal
    (out / "index.json").write_text(json.dumps(index, indent=1) + "\n")


def card(shown: Shown) -> str:
    """A card as people write them."""
    declared = f"base_model: {shown.declares}\nbase_model_relation: finetune\n" if shown.declares else ""
    front = f"---\nlicense: apache-2.0\ntags:\n- image-classification\n{declared}---\n"
    return f"{front}\n# {shown.id.partition('/')[2]}\n\nTells pictures of clothes apart.\n"


def _flat(name: str) -> str:
    return name.replace("/", "_")


def main() -> None:
    """Trains and writes."""
    made = planned()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models").mkdir()
        flat = [replace(m, id=_flat(m.id), parent=m.parent and _flat(m.parent), root=_flat(m.root)) for m in made.values()]
        for row in train_all(folder, flat, 2):
            print(row["id"], row["cosine_to_parent"], row["score"])
        write(made, folder / "models", OUT)


if __name__ == "__main__":
    main()
