"""Jobs, scheduled jobs and webhooks by the real client: all are kept on record."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from huggingface_hub import HfApi, WebhookPayload, errors

from hub_lineage.testing import LoopbackHub, deliver

SPEC: dict[str, Any] = {"image": "python:3.12", "command": ["python", "-c", "print()"]}


class Receiver(http.server.HTTPServer):
    """What a webhook calls: it keeps every call and answers as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        self.calls: list[tuple[str | None, dict[str, Any]]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/webhooks/push"


class Call(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append((self.headers["X-Webhook-Secret"], body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_job_s_life(ann: HfApi, served: LoopbackHub) -> None:
    job = ann.run_job(**SPEC, env={"A": "1"}, secrets={"HF_TOKEN": "hf_ann"}, timeout="2h", attempts=3, labels={"for": "lineage"})
    assert (job.status.stage, job.docker_image, job.owner.name, job.retry) == ("RUNNING", "python:3.12", "ann", 2)
    assert (job.environment, job.secrets) == ({"A": "1"}, {"HF_TOKEN": ""})
    kept = served.site.jobs[job.id]
    assert (kept.spec["secrets"], kept.spec["timeoutSeconds"]) == ({"HF_TOKEN": "hf_ann"}, 7200)
    assert [one.id for one in ann.list_jobs(status="running", labels={"for": "lineage"}, namespace="ann")] == [job.id]
    kept.logs.append("Hello")
    kept.stage = "COMPLETED"
    assert list(ann.fetch_job_logs(job_id=job.id)) == ["Hello"]
    assert ann.inspect_job(job_id=job.id).status.stage == "COMPLETED"
    again = ann.rerun_job(job_id=job.id)
    assert (again.command, again.initiator and again.initiator.type) == (job.command, "duplicated-job")
    assert ann.update_job_labels(job_id=again.id, labels={"a": "b"}).labels == {"a": "b"}
    ann.cancel_job(job_id=again.id)
    assert ann.inspect_job(job_id=again.id).status.stage == "CANCELED"
    assert list(ann.list_jobs(status="RUNNING", namespace="ann")) == []
    with pytest.raises(errors.JobNotFoundError):
        ann.inspect_job(job_id="nowhere")


def test_a_scheduled_job_s_life(ann: HfApi) -> None:
    made = ann.create_scheduled_job(**SPEC, schedule="@daily", labels={"for": "lineage"})
    assert (made.schedule, made.suspend, made.job_spec.docker_image) == ("@daily", False, "python:3.12")
    name = made.id
    ann.suspend_scheduled_job(scheduled_job_id=name)
    assert ann.inspect_scheduled_job(scheduled_job_id=name).suspend
    ann.resume_scheduled_job(scheduled_job_id=name)
    assert ann.update_scheduled_job_schedule(scheduled_job_id=name, schedule="0 6 * * *").schedule == "0 6 * * *"
    assert [(one.id, one.suspend) for one in ann.list_scheduled_jobs(labels={"for": "lineage"})] == [(name, False)]
    run = ann.trigger_scheduled_job(scheduled_job_id=name)
    assert run.initiator is not None
    last = ann.inspect_scheduled_job(scheduled_job_id=name).status.last_job
    assert (run.initiator.id, last and last.id) == (name, run.id)
    assert ann.update_scheduled_job_labels(scheduled_job_id=name, labels={"a": "b"}).job_spec.labels == {"a": "b"}
    ann.delete_scheduled_job(scheduled_job_id=name)
    assert ann.list_scheduled_jobs() == []
    with pytest.raises(errors.JobNotFoundError):
        ann.inspect_scheduled_job(scheduled_job_id=name)


@pytest.mark.filterwarnings("ignore:.*is experimental:UserWarning")
def test_a_script_at_an_address_is_scheduled(ann: HfApi) -> None:
    made = ann.create_scheduled_uv_job("https://example.org/crawl.py", script_args=["--limit", "5"], schedule="@hourly")
    assert made.job_spec.command == ["uv", "run", "https://example.org/crawl.py", "--limit", "5"]


def test_what_is_refused_of_jobs(ann: HfApi, bob: HfApi) -> None:
    with pytest.raises(errors.BadRequestError, match="CRON"):
        ann.create_scheduled_job(**SPEC, schedule="now and then")
    with pytest.raises(errors.BadRequestError, match="required"):
        ann.run_job(image="python:3.12", command=[])
    with pytest.raises(errors.HfHubHTTPError, match=r"job\.write"):
        bob.run_job(**SPEC)
    with pytest.raises(errors.HfHubHTTPError, match="rights to run jobs"):
        ann.run_job(**SPEC, namespace="other")


def test_a_webhook_s_life(ann: HfApi, bob: HfApi) -> None:
    made = ann.create_webhook(
        url="https://example.org/hook", watched=[{"type": "org", "name": "org"}], domains=["repo"], secret="s"
    )
    assert (made.url, made.secret, made.disabled, made.watched[0].name) == ("https://example.org/hook", "s", False, "org")
    assert ann.disable_webhook(made.id).disabled
    assert not ann.enable_webhook(made.id).disabled
    changed = ann.update_webhook(made.id, url="https://example.org/other", secret="t")
    assert (changed.url, changed.secret, changed.watched) == ("https://example.org/other", "t", made.watched)
    assert ann.list_webhooks() == [ann.get_webhook(made.id)]
    ann.delete_webhook(made.id)
    assert ann.list_webhooks() == []
    with pytest.raises(errors.HfHubHTTPError, match="Webhook not found"):
        ann.get_webhook(made.id)
    with pytest.raises(errors.HfHubHTTPError, match=r"user\.webhooks\.write"):
        bob.create_webhook(url="https://example.org/hook", watched=[{"type": "user", "name": "bob"}])


def test_a_webhook_may_start_a_job(ann: HfApi) -> None:
    job = ann.run_job(**SPEC)
    made = ann.create_webhook(job_id=job.id, watched=[{"type": "user", "name": "ann"}])
    assert made.url is None
    assert made.job is not None
    assert made.job.command == SPEC["command"]


def test_webhooks_call_with_their_secret(ann: HfApi, served: LoopbackHub, receiver: Receiver) -> None:
    ann.create_webhook(url=receiver.url, watched=[{"type": "model", "name": "org/name"}], secret="s3cret", domains=["repo"])
    made = ann.upload_file(repo_id="org/name", path_or_fileobj=b"x", path_in_repo="x.txt")
    assert served.notify("org/name") == [200]
    ((secret, body),) = receiver.calls
    payload = WebhookPayload.model_validate(body)
    assert (secret, payload.event.action, payload.event.scope) == ("s3cret", "update", "repo.content")
    assert (payload.repo.name, payload.repo.type) == ("org/name", "model")
    assert payload.updatedRefs is not None
    assert (payload.updatedRefs[0].ref, payload.updatedRefs[0].newSha) == ("refs/heads/main", made.oid)
    assert body["repo"]["headSha"] == made.oid


def test_only_those_that_watch_are_called(ann: HfApi, served: LoopbackHub, receiver: Receiver) -> None:
    served.add_repo("else/name", files={"a.txt": "a"})
    made = ann.create_webhook(url=receiver.url, watched=[{"type": "org", "name": "org"}], domains=["repo"])
    assert served.notify("else/name") == []
    assert served.notify("org/name", action="create", scope="discussion") == []
    receiver.status = 403
    assert served.notify("org/name") == [403]
    ann.disable_webhook(made.id)
    assert served.notify("org/name") == []


def test_a_payload_may_be_sent_by_hand(receiver: Receiver) -> None:
    assert deliver(receiver.url, {"event": {}}, None) == 200
    assert receiver.calls == [(None, {"event": {}})]
