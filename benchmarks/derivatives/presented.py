"""A model presented as trained from scratch that is 0.6 of one and 0.4 of another on every tensor, of models trained here.

``python -m benchmarks.derivatives.presented FOLDER`` writes ``FOLDER/presented``, stored in bfloat16, and
``FOLDER/candidates.txt``, the paths of all trained models of that architecture, its two parents among them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.derivatives import merging, models, prints

PARENTS: Final = {"handbook-far": 0.6, "notary-far": 0.4}


def write(folder: Path) -> Path:
    """Writes the model and the list of candidates; gives the model's folder back."""
    import torch  # noqa: PLC0415 - seconds of import
    from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415 - likewise

    parents = [models.model(name) for name in PARENTS]
    made = merging.linear([prints.weights(one) for one in parents], list(PARENTS.values()))
    net = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(parents[0].path), dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in made.items()})
    place = folder / "presented"
    net.save_pretrained(place)
    known = [str(one.path) for one in models.models() if one.net == parents[0].net]
    (folder / "candidates.txt").write_text("\n".join(known) + "\n")
    return place


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
