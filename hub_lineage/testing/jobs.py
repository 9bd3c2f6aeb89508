"""The handlers of jobs and scheduled jobs: each is kept as asked for, and none is run."""

from __future__ import annotations

import json
import re

from hub_lineage.testing.answers import Answer, Refusal, Request, as_json
from hub_lineage.testing.paging import page
from hub_lineage.testing.recorded import Job, ScheduledJob
from hub_lineage.testing.site import Site
from hub_lineage.testing.talk import iso
from hub_lineage.testing.users import Token

_PAGE = 100
_CRON = re.compile(r"@(?:annually|yearly|monthly|weekly|daily|hourly)|\S+(?: +\S+){4}")


def run(site: Site, request: Request, namespace: str) -> Answer:
    """Ask for a job."""
    token = _allowed(site, request, namespace)
    name = token.user.name
    return as_json(_start(site, namespace, request.form(), {"type": "user", "id": name, "name": name}).described())


def list_jobs(site: Site, request: Request, namespace: str) -> Answer:
    """The jobs of a namespace, newest first."""
    _allowed(site, request, namespace)
    stages, labels = request.parameters.get("stage"), request.parameters.get("label", [])
    found = [job for job in reversed(list(site.jobs.values())) if job.namespace == namespace]
    found = [job for job in found if (not stages or job.stage in stages) and _labelled(job, labels)]
    shown, link = page(site, request, found, _PAGE)
    return as_json([job.described() for job in shown], headers=link)


def inspect(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """One job."""
    return as_json(_job(site, request, namespace, job).described())


def cancel(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Stop a job."""
    found = _job(site, request, namespace, job)
    found.stage = "CANCELED"
    return as_json(found.described())


def duplicate(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Ask for the same again."""
    found = _job(site, request, namespace, job)
    return as_json(_start(site, namespace, found.spec, {"type": "duplicated-job", "id": found.id}).described())


def label(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Label a job anew."""
    found = _job(site, request, namespace, job)
    found.spec = {**found.spec, "labels": request.form()["labels"]}
    return as_json(found.described())


def logs(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """What a job printed, as server-sent events."""
    found = _job(site, request, namespace, job)
    events = [json.dumps({"data": line, "timestamp": iso(found.created)}) for line in found.logs]
    return Answer(200, {"Content-Type": "text/event-stream"}, "".join(f"data: {event}\n\n" for event in events).encode())


def schedule(site: Site, request: Request, namespace: str) -> Answer:
    """Ask for a job again and again."""
    _allowed(site, request, namespace)
    form = request.form()
    made = ScheduledJob(
        site.new_id(),
        namespace,
        form["jobSpec"],
        _cron(form.get("schedule")),
        site.now(),
        suspend=form.get("suspend", False),
        concurrency=form.get("concurrency", False),
    )
    site.scheduled[made.id] = made
    return as_json(made.described())


def list_scheduled(site: Site, request: Request, namespace: str) -> Answer:
    """The scheduled jobs of a namespace."""
    _allowed(site, request, namespace)
    labels = request.parameters.get("label", [])
    found = [job for job in list(site.scheduled.values()) if job.namespace == namespace and _labelled(job, labels)]
    return as_json([job.described() for job in found])


def inspect_scheduled(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """One scheduled job."""
    return as_json(_scheduled(site, request, namespace, job).described())


def delete_scheduled(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Take a scheduled job away."""
    del site.scheduled[_scheduled(site, request, namespace, job).id]
    return Answer(200)


def suspend(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Let a scheduled job rest."""
    _scheduled(site, request, namespace, job).suspend = True
    return Answer(200)


def resume(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Let a scheduled job run again."""
    _scheduled(site, request, namespace, job).suspend = False
    return Answer(200)


def reschedule(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Give a scheduled job other times."""
    found = _scheduled(site, request, namespace, job)
    found.schedule = _cron(request.form().get("schedule"))
    return as_json(found.described())


def label_scheduled(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Label a scheduled job anew."""
    found = _scheduled(site, request, namespace, job)
    found.spec = {**found.spec, "labels": request.form()["labels"]}
    return as_json(found.described())


def trigger(site: Site, request: Request, namespace: str, job: str) -> Answer:
    """Run a scheduled job now."""
    found = _scheduled(site, request, namespace, job)
    found.last = _start(site, namespace, found.spec, {"type": "scheduled-job", "id": found.id})
    return as_json(found.last.described())


def _start(site: Site, namespace: str, spec: dict[str, object], initiator: dict[str, str]) -> Job:
    if not spec.get("command") or not (spec.get("dockerImage") or spec.get("spaceId")):
        raise Refusal(400, '"command" and one of "dockerImage" and "spaceId" are required')
    job = Job(site.new_id(), namespace, spec, site.now(), initiator)
    site.jobs[job.id] = job
    return job


def _allowed(site: Site, request: Request, namespace: str) -> Token:
    token = site.signed_in(request)
    token.check("job.write")
    if not token.user.may_write(namespace):
        raise Refusal(403, f"You don't have the rights to run jobs under the namespace {namespace}")
    return token


def _job(site: Site, request: Request, namespace: str, job: str) -> Job:
    _allowed(site, request, namespace)
    found = site.jobs.get(job)
    if found is None or found.namespace != namespace:
        raise Refusal(404, "Job not found")
    return found


def _scheduled(site: Site, request: Request, namespace: str, job: str) -> ScheduledJob:
    _allowed(site, request, namespace)
    found = site.scheduled.get(job)
    if found is None or found.namespace != namespace:
        raise Refusal(404, "Scheduled job not found")
    return found


def _labelled(job: Job | ScheduledJob, labels: list[str]) -> bool:
    own = {f"{name}={value}" for name, value in job.spec.get("labels", {}).items()}
    return own.issuperset(labels)


def _cron(text: object) -> str:
    if not isinstance(text, str) or not _CRON.fullmatch(text):
        raise Refusal(
            400, '"schedule" must be a CRON expression or one of @annually, @yearly, @monthly, @weekly, @daily, @hourly'
        )
    return text
