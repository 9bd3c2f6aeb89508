"""What stands behind the page: a question in, an answer or a failure in words out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from hub_lineage.errors import LineageError, UsageError
from hub_lineage.hub import Hub, parse_reference
from hub_lineage.types import SCHEMA, Node, Progress, Trace

_LOG = logging.getLogger(__name__)


class Tracer(Protocol):
    """What answers; :func:`hub_lineage.trace.trace` is one."""

    def __call__(
        self, child: str, *, registry: Path | None, hub: Hub, counted: Sequence[str], progress: Progress | None
    ) -> Trace:
        """The answer about ``child``, the soft evidence ``counted``; raises a LineageError where there is none."""
        ...


@dataclass(frozen=True)
class Desk:
    """What the page asks: a tracer, with its Hub and registry."""

    tracer: Tracer
    hub: Hub
    registry: Path | None = None
    folders: bool = True  # whether a visitor may name folders of this machine

    def answer(
        self, text: str, progress: Progress | None = None, counted: Sequence[str] = ()
    ) -> tuple[Trace | LineageError, str | None]:
        """The trace or the failure, and how the words given were understood."""
        note = None
        try:
            reference = parse_reference(text)
            note = reference.note
            if reference.local and not self.folders:
                return UsageError("Folders can't be read here.", "Give the ID of a model on the Hub."), note
            return self.tracer(text, registry=self.registry, hub=self.hub, counted=counted, progress=progress), note
        except LineageError as failure:
            return failure, note
        except Exception as failure:  # noqa: BLE001 - a visitor gets words, whatever happens
            _LOG.exception("A trace failed in a way that was not foreseen")
            return LineageError(
                f"Something went wrong that was not foreseen: {type(failure).__name__}.",
                "The log of the app says where.",
            ), note

    def as_object(self, model: str) -> dict[str, Any]:
        """The parents and ancestry of a model, or why there are none, as an object of schema hub-lineage/1."""
        found, _ = self.answer(model)
        if isinstance(found, LineageError):
            return {"schema": SCHEMA, "error": {"code": found.code, "message": found.message, "hint": found.hint}}
        return found.to_dict()

    def address(self, node: Node) -> str | None:
        """The page of a model on the Hub; None for a folder."""
        return f"{self.hub.endpoint}/{quote(node.id)}" if node.revision else None
