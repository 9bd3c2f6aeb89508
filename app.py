"""The app as a Space starts it: ``python app.py``, with the registry's folder in ``HUB_LINEAGE_REGISTRY``."""

import os
from pathlib import Path

from hub_lineage.app import launch

if __name__ == "__main__":
    named = os.environ.get("HUB_LINEAGE_REGISTRY")
    served = launch(
        registry=Path(named) if named else None,
        port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        folders="SPACE_ID" not in os.environ,  # a visitor of a public Space may not read the folders of its machine
    )
    print(f"The app is at {served.address}", flush=True)  # noqa: T201 - a Space's log is its standard output
    served.wait()
