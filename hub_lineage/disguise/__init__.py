"""Disguised weights, at depth ``full``: what was reordered, rescaled, folded, fused, split, transposed or renamed is undone.

Works on whole weights, given as names with values. Pure: it neither reads files nor knows what a fingerprint is.
"""

from hub_lineage.disguise.alignment import Alignment as Alignment
from hub_lineage.disguise.alignment import Part as Part
from hub_lineage.disguise.alignment import find as find
from hub_lineage.disguise.alignment import restored as restored
from hub_lineage.disguise.balance import Weights as Weights
from hub_lineage.disguise.noise import is_noise as is_noise
from hub_lineage.disguise.restoring import normal as normal
from hub_lineage.disguise.restoring import snapped as snapped
from hub_lineage.disguise.telling import WORDS as WORDS
from hub_lineage.disguise.telling import sentence as sentence
