# /// script
# requires-python = ">=3.10"
# dependencies = ["hub-lineage"]
# ///
"""One scheduled crawl as a script for uv: fetches the registry from a dataset, crawls, puts it back.

hf jobs scheduled uv run --secrets HF_TOKEN @daily crawl_job.py -- --store ORG/REGISTRY -- --author ORG
"""

import sys

from hub_lineage.cli import main

if __name__ == "__main__":
    sys.exit(main(["schedule", "--now", *sys.argv[1:]]))
