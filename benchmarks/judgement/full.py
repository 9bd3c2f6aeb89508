"""Depth ``full`` on the zoo: ``--full benchmarks.judgement.full:judgement`` of ``bench_judgement`` names it.

A crowd is judged as one, as its fingerprints are. ``trace`` judges a child with its nearest two dozen kin, which is the same
where a family has no more; networks that a fingerprint holds whole, it doesn't read again, and nothing changes for them here.
"""

from __future__ import annotations

from benchmarks.cases import Crowd
from hub_lineage.family import gather
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import open_source
from hub_lineage.hub.reference import parse_reference
from hub_lineage.judge import Judgement, judge


def judgement(crowd: Crowd) -> Judgement:
    """What the judge that ships makes of a crowd whose models are read from their files at depth ``full``."""
    sources = [open_source(parse_reference(str(model.path))) for model in crowd.models]
    return judge(gather([read_fingerprint(source, full=True) for source in sources]))
