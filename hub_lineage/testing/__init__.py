"""A Hub on loopback and small models, for anyone's tests.

:class:`LoopbackHub` is a real HTTP server that the real client drives; :mod:`hub_lineage.testing.models` writes models to serve.
"""

from hub_lineage.testing.answers import Record as Record
from hub_lineage.testing.faults import Fault as Fault
from hub_lineage.testing.models import llama_shapes as llama_shapes
from hub_lineage.testing.models import sparse_model as sparse_model
from hub_lineage.testing.models import write_model as write_model
from hub_lineage.testing.repositories import Repository as Repository
from hub_lineage.testing.server import LoopbackHub as LoopbackHub
from hub_lineage.testing.users import SCOPES as SCOPES
from hub_lineage.testing.webhooks import deliver as deliver
