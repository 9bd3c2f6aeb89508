"""What the webhook of watched authors leads to: each model named is crawled once it has been quiet for a while."""  # noqa: INP001 - a Space's folder is no package

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, final

Outcome = Literal["queued", "ignored", "full"]
MAIN = "refs/heads/main"
_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)


def changed_model(payload: dict[str, Any], authors: frozenset[str]) -> str | None:
    """The model whose main branch has a new commit, by a watched author; None for whatever else a webhook tells.

    Pull requests and discussions have scopes or branches of their own and so are no news, those of this project included.
    """
    event, repo, refs = payload.get("event"), payload.get("repo"), payload.get("updatedRefs")
    if not (isinstance(event, dict) and isinstance(repo, dict)) or repo.get("type") != "model":
        return None
    name, scope, action = repo.get("name"), event.get("scope"), event.get("action")
    if not isinstance(name, str) or not _ID.fullmatch(name) or name.partition("/")[0] not in authors:
        return None
    if action == "create" and scope == "repo":
        return name
    if action != "update" or scope != "repo.content" or not isinstance(refs, list):
        return None
    return name if any(isinstance(ref, dict) and ref.get("ref") == MAIN and ref.get("newSha") for ref in refs) else None


@final
class Watch:
    """A bounded queue of models that are worked on, several at a time, when nothing new was heard of them for a while.

    Args:
        work: Called with some models, in one thread; what it raises is told and doesn't stop the watch.
        quiet: Seconds without news after which a model is due.
        patience: Seconds after which a model is due even where news never stops.
        most: How many models may wait.
        tell: Called with a sentence where work went wrong.
    """

    def __init__(
        self,
        work: Callable[[Sequence[str]], None],
        *,
        quiet: float = 120.0,
        patience: float = 3600.0,
        most: int = 500,
        tell: Callable[[str], None] = print,
    ) -> None:
        self._work, self._quiet, self._patience, self._most, self._tell = work, quiet, patience, most, tell
        self._waiting: dict[str, tuple[float, float]] = {}  # when it was first and last heard of
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def add(self, model: str) -> Outcome:
        """Note news of a model."""
        with self._changed:
            if model not in self._waiting and len(self._waiting) >= self._most:
                return "full"
            now = time.monotonic()
            self._waiting[model] = (self._waiting.get(model, (now, now))[0], now)
            self._changed.notify()
            return "queued"

    def close(self) -> None:
        """Stop when the work under way is done; what still waits is dropped, and a scheduled crawl finds it."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while models := self._due():
            self._attempt(models)

    def _attempt(self, models: Sequence[str]) -> None:
        try:
            self._work(models)
        except Exception as error:  # noqa: BLE001 - one bad piece of work must not end the watch
            self._tell(f"Not done: {', '.join(models)}: {type(error).__name__}: {error}")

    def _due(self) -> list[str]:
        """Waits for models that are due; none when the watch is closed."""
        with self._changed:
            while self._open:
                now = time.monotonic()
                times = {name: self._due_at(*heard) for name, heard in self._waiting.items()}
                due = [name for name, moment in times.items() if moment <= now]
                if due:
                    for name in due:
                        del self._waiting[name]
                    return due
                self._changed.wait(min(times.values()) - now if times else None)
            return []

    def _due_at(self, first: float, last: float) -> float:
        return min(first + self._patience, last + self._quiet)
