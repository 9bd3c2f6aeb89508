"""What a repository says of itself: never an edge, only a claim to be checked.

A declaration's ``id`` is a model's ID wherever the words can be read as one. What can't is kept as it was given, and
``where`` ends in why: ``(a local path)``, ``(an address elsewhere)``, ``(not an ID)``, ``(not on the Hub)``;
:func:`on_hub` leaves those out. Placeholders, empty words and the model itself are no declarations.
"""

from hub_lineage.read.declared.agreement import agreement as agreement
from hub_lineage.read.declared.agreement import on_hub as on_hub
from hub_lineage.read.declared.agreement import with_dead as with_dead
from hub_lineage.read.declared.reading import of_card as of_card
from hub_lineage.read.declared.reading import of_files as of_files
