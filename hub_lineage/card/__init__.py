"""Model cards: a README edited as text, and what an answer gives to write there; pure."""

from hub_lineage.card.editing import BEGIN as BEGIN
from hub_lineage.card.editing import END as END
from hub_lineage.card.editing import LONGEST as LONGEST
from hub_lineage.card.editing import contradicts as contradicts
from hub_lineage.card.editing import diff as diff
from hub_lineage.card.editing import differs_in_figures_alone as differs_in_figures_alone
from hub_lineage.card.editing import edit as edit
from hub_lineage.card.editing import minimal as minimal
from hub_lineage.card.editing import opted_out as opted_out
from hub_lineage.card.editing import text_of as text_of
from hub_lineage.card.section import MARK as MARK
from hub_lineage.card.section import TITLE as TITLE
from hub_lineage.card.section import Finding as Finding
from hub_lineage.card.section import description as description
from hub_lineage.card.section import finding as finding
from hub_lineage.card.section import section as section
