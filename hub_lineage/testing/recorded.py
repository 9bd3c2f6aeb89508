"""What the loopback Hub only keeps a record of: jobs, scheduled jobs and webhooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hub_lineage.testing.talk import iso

Stage = Literal["COMPLETED", "CANCELED", "ERROR", "DELETED", "SCHEDULING", "RUNNING"]


@dataclass
class Job:
    """A job that was asked for; a test sets ``stage`` and ``logs`` as if something had run it."""

    id: str
    namespace: str
    spec: dict[str, Any]
    created: datetime
    initiator: dict[str, str]
    stage: Stage = "RUNNING"
    logs: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """The job as the Hub tells it: never with the values of its secrets."""
        finished = self.stage not in {"SCHEDULING", "RUNNING"}
        return {
            **described_spec(self.spec),
            "id": self.id,
            "createdAt": iso(self.created),
            "startedAt": iso(self.created),
            "finishedAt": iso(self.created) if finished else None,
            "status": {"stage": self.stage, "message": None},
            "durations": {"schedulingSecs": 0, "runningSecs": 0, "totalSecs": 0},
            "owner": owner(self.namespace),
            "initiator": self.initiator,
        }


@dataclass
class ScheduledJob:
    """A job to be run again and again."""

    id: str
    namespace: str
    spec: dict[str, Any]
    schedule: str
    created: datetime
    suspend: bool = False
    concurrency: bool = False
    last: Job | None = None

    def described(self) -> dict[str, Any]:
        """The scheduled job as the Hub tells it."""
        last = self.last and {"id": self.last.id, "at": iso(self.last.created)}
        return {
            "id": self.id,
            "createdAt": iso(self.created),
            "jobSpec": described_spec(self.spec),
            "schedule": self.schedule,
            "suspend": self.suspend,
            "concurrency": self.concurrency,
            "status": {"lastJob": last, "nextJobRunAt": None},
            "owner": owner(self.namespace),
        }


@dataclass
class Webhook:
    """A webhook of a user: it calls an address or starts a job."""

    id: str
    user: str
    watched: list[dict[str, str]]
    domains: list[str]
    url: str | None = None
    secret: str | None = None
    job: dict[str, Any] | None = None
    disabled: bool = False

    def described(self) -> dict[str, Any]:
        """The webhook as the Hub tells it."""
        told = {"id": self.id, "watched": self.watched, "domains": self.domains, "url": self.url, "secret": self.secret}
        return {**told, "job": self.job, "disabled": self.disabled}

    def watches(self, repo_id: str, kind: str) -> bool:
        """Whether a repository is among those watched, itself or by its owner."""
        names = {kind: repo_id, "user": repo_id.partition("/")[0], "org": repo_id.partition("/")[0]}
        return any(names.get(item["type"]) == item["name"] for item in self.watched)


def described_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """A job's specification as the Hub tells it."""
    told = {name: value for name, value in spec.items() if name not in {"timeoutSeconds", "attempts"}}
    if "secrets" in spec:
        told["secrets"] = dict.fromkeys(spec["secrets"], "")
    if "timeoutSeconds" in spec:
        told["timeout"] = spec["timeoutSeconds"]
    if "attempts" in spec:
        told["retry"] = spec["attempts"] - 1
    return told


def owner(namespace: str) -> dict[str, str]:
    """The owner of a job."""
    return {"id": namespace, "name": namespace, "type": "user"}
