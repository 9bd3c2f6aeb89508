"""Putting a model's parents on record: a pull request to its card."""

from hub_lineage.annotate.act import DAILY_CAP as DAILY_CAP
from hub_lineage.annotate.act import Annotation as Annotation
from hub_lineage.annotate.act import annotate as annotate
