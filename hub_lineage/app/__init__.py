"""The app: the same answer as the command line's, in a browser."""

import os

# Read when gradio is imported: the app tells nobody that it runs.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from hub_lineage.app.desk import Desk as Desk
from hub_lineage.app.desk import Tracer as Tracer
from hub_lineage.app.page import build as build
from hub_lineage.app.serve import launch as launch
