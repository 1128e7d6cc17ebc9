"""The server over sockets: uvicorn, Valkey and a worker as real processes."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.configuration.config import json_schema
from app.webhook import MAXIMUM_BYTES, signature_of
from tests.service import FAILING, HELD, HOPELESS, ONCE_LIMITED, SECRET, Service, pull_request, running, wait


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as service:
        wait(lambda: service.get("/readyz").status_code == 200, service)
        yield service


def test_a_push_is_accepted_and_reviewed(service: Service) -> None:
    answer = service.push(1)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "queued")
    wait(lambda: service.asked(number=1), service)


def test_the_same_delivery_twice_is_one_job(service: Service) -> None:
    assert service.push(2, delivery="twice").json()["outcome"] == "queued"
    wait(lambda: service.push(2, delivery="twice").json()["outcome"] == "done_already", service)
    assert len(service.asked("begun", number=2)) == 1


def test_pushes_during_a_review_are_one_more_review(service: Service) -> None:
    service.push(HELD)
    wait(lambda: service.asked("begun", number=HELD), service)
    for _ in range(4):
        service.push(HELD)
    assert len(service.asked("begun", number=HELD)) == 1, "one at a time"
    service.let_go(HELD)
    wait(lambda: len(service.asked(number=HELD)) == 2, service)
    wait(lambda: "mlstaff_queue_subjects 0.0" in service.get("/metrics").text, service)
    assert len(service.asked(number=HELD)) == 2


def test_what_is_not_ours_is_accepted_without_a_job(service: Service) -> None:
    answer = service.deliver("push", {"ref": "refs/heads/main"}, delivery="not ours")
    assert (answer.status_code, answer.json()["outcome"]) == (202, "ignored")


def test_a_button_of_the_check_run_reaches_the_reviewer(service: Service) -> None:
    run = {"id": 9, "head_sha": "c0ffee", "external_id": "8/0/", "pull_requests": []}
    pressed = {**pull_request("requested_action", 8), "check_run": run, "requested_action": {"identifier": "ignore"}}
    assert service.deliver("check_run", pressed).json()["outcome"] == "queued"
    wait(lambda: service.asked("act", number=8), service)
    assert [each["button"] for each in service.asked("act")] == ["ignore"]


def test_a_ping_is_answered(service: Service) -> None:
    answer = service.deliver("ping", {"zen": "Design for failure."})
    assert (answer.status_code, answer.json()["reason"]) == (200, "Design for failure.")


@pytest.mark.parametrize("signature", [None, "sha256=" + "0" * 64, signature_of(b"{}", "")])
def test_an_unsigned_delivery_is_refused(service: Service, signature: str | None) -> None:
    headers = {"X-GitHub-Event": "ping", "X-GitHub-Delivery": "unsigned"}
    if signature:
        headers["X-Hub-Signature-256"] = signature
    answer = httpx.post(f"{service.url}/webhook", content=b"{}", headers=headers, trust_env=False)
    assert answer.status_code == 401


def test_broken_json_is_refused(service: Service) -> None:
    answer = service.deliver("pull_request", [])  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert service.deliver("pull_request", {"action": "opened"}).status_code == 400


def test_a_body_that_says_it_is_too_large_is_not_read(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.putrequest("POST", "/webhook")
    connection.putheader("Content-Length", str(MAXIMUM_BYTES + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_that_becomes_too_large_is_refused(service: Service) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(MAXIMUM_BYTES // (1024 * 1024) + 1):
            yield b"x" * 1024 * 1024

    answer = httpx.post(f"{service.url}/webhook", content=body(), timeout=20, trust_env=False)
    assert answer.status_code == 413


def test_a_body_of_the_largest_size_is_read(service: Service) -> None:
    payload = pull_request("synchronize", 4)
    room = MAXIMUM_BYTES - len(json.dumps({**payload, "padding": ""}))
    answer = service.deliver("pull_request", {**payload, "padding": "x" * room})
    assert answer.status_code == 202
    wait(lambda: service.asked(number=4), service)


def test_a_put_back_job_is_done_when_its_time_has_come(service: Service) -> None:
    service.push(ONCE_LIMITED)
    wait(lambda: service.asked(number=ONCE_LIMITED), service)
    assert len(service.asked("begun", number=ONCE_LIMITED)) == 2


def test_a_failing_job_is_tried_again_and_its_log_holds_no_token(service: Service) -> None:
    service.push(FAILING, delivery="failing")
    wait(lambda: len(service.asked("begun", number=FAILING)) >= 2, service)
    (first, *_) = [line for line in service.lines() if line.get("event") == "failed"]
    assert first["delivery"] == "failing"
    assert "no luck with [redacted]" in first["exception"]
    assert "16C7e42F292c6912E7710c838347Ae178B4a" not in service.log().read_text()


def test_the_delivery_is_on_every_line_of_its_job(service: Service) -> None:
    service.push(HOPELESS, delivery="followed")

    def lines() -> list[str]:
        return [line["event"] for line in service.lines() if line.get("delivery") == "followed"]

    wait(lambda: "job" in lines(), service)
    assert lines() == ["webhook", "given up", "job"]


def test_no_secret_is_in_any_log(service: Service) -> None:
    service.deliver("ping", {"zen": SECRET})
    assert len(service.lines()) == len(service.log().read_text().splitlines()), "each line is JSON"
    assert SECRET not in service.log().read_text()


def test_health_readiness_and_metrics(service: Service) -> None:
    assert service.get("/healthz").json()["status"] == "ok"
    ready = service.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["workers"] == 1

    service.push(5)
    service.deliver("made_up_event", {})

    def metrics() -> str:
        return service.get("/metrics").text

    wait(lambda: 'mlstaff_jobs_total{kind="ReviewRequested",outcome="done",worker=' in metrics(), service)
    page = metrics()
    assert 'mlstaff_webhooks_total{event="pull_request",outcome="queued"}' in page
    assert 'event="other",outcome="ignored"' in page
    assert "made_up_event" not in page
    assert "mlstaff_workers 1.0" in page
    assert page.count("# TYPE mlstaff_jobs_total counter") == 1


def test_the_schema_of_the_configuration_is_served(service: Service) -> None:
    answer = service.get("/config.schema.json")
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.json() == json_schema()


def test_without_credentials_everything_but_the_webhook_works(tmp_path: Path) -> None:
    with running(tmp_path, MLSTAFF_WEBHOOK_SECRET="") as service:
        assert service.get("/healthz").status_code == 200
        answer = service.push(1)
        assert answer.status_code == 503
        assert "MLSTAFF_WEBHOOK_SECRET" in answer.json()["reason"]
        ready = service.get("/readyz")
        assert ready.status_code == 503
        assert "MLSTAFF_WEBHOOK_SECRET" in ready.json()["webhook"]
