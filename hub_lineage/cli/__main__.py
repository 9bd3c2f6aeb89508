"""``python -m hub_lineage.cli`` is ``hub-lineage``."""

import sys

from hub_lineage.cli import main

if __name__ == "__main__":
    sys.exit(main())
