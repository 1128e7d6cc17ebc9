"""The bot's processes are started, watched and killed; proved with a stand-in that does the least a bot can do"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator import Simulator
from tests.simulator.__main__ import main
from tests.simulator.bot import APART, Bot, NotReady
from tests.simulator.run import TookTooLong, Trial, run

STAND_IN = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from github import Auth, GithubIntegration

key = Path(os.environ["MLSTAFF_PRIVATE_KEY"]).read_text()
auth = Auth.AppAuth(int(os.environ["MLSTAFF_APP_ID"]), key)
integration = GithubIntegration(auth=auth, base_url=os.environ["MLSTAFF_GITHUB_URL"], seconds_between_writes=0)

def handle(event, payload):
    api = integration.get_github_for_installation(payload["installation"]["id"])
    repository = api.get_repo(payload["repository"]["full_name"])
    if event == "pull_request":
        pull = repository.get_pull(payload["number"])
        check = repository.create_check_run("mlstaff", pull.head.sha, status="in_progress")
        if "SILENT" in os.environ:
            return
        pull.create_review(body="seen", event="COMMENT", comments=[{"path": "a.py", "line": 1, "body": "look"}])
        check.edit(conclusion="neutral", output={"title": "t", "summary": "s"})
    if event == "issue_comment" and payload["action"] == "created":
        repository.get_issue(payload["issue"]["number"]).get_comment(payload["comment"]["id"]).create_reaction("rocket")

class Handler(BaseHTTPRequestHandler):
    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()
    def do_GET(self):
        self.answer(200)
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer(202)
        handle(self.headers["X-GitHub-Event"], body)

print(sys.argv[1], "REDIS_URL" in os.environ, flush=True)
if sys.argv[1] == "worker":
    time.sleep(600)
if "BROKEN" in os.environ:
    sys.exit("cannot start")
ThreadingHTTPServer((os.environ["MLSTAFF_HOST"], int(os.environ["MLSTAFF_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return [sys.executable, str(script)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A local repository with two commits."""
    folder = tmp_path / "project"
    folder.mkdir()
    who = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
    subprocess.run(["git", "-C", str(folder), "init", "-q"], check=True)
    for text in ("one\n", "two\n"):
        (folder / "a.py").write_text(text)
        subprocess.run(["git", "-C", str(folder), "add", "a.py"], check=True)
        subprocess.run(["git", "-C", str(folder), *who, "commit", "-qm", text], check=True)
    return folder


def test_a_trial_ends_with_what_github_shows(program: list[str], project: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    trial = Trial(project, "HEAD~1", "HEAD", comment="/mlstaff review", record=record, timeout=30, program=program)
    shown = run(trial, tmp_path / "bot")
    assert (shown["check_run"]["name"], shown["check_run"]["conclusion"]) == ("mlstaff", "neutral")
    assert [each["body"] for each in shown["reviews"]] == ["seen"]
    (comment,) = shown["comments"]
    wanted = {"path": "a.py", "line": 1, "start_line": None, "side": "RIGHT", "body": "look"}
    assert {name: comment[name] for name in wanted} == wanted
    assert [(each["subject"], each["content"]) for each in shown["reactions"]] == [("issue_comment", "rocket")]
    assert shown["api_calls"] == sum(shown["api_calls_by_route"].values()) > 4
    assert len(record.read_text().splitlines()) > shown["api_calls"]
    assert (tmp_path / "bot" / "web.log").read_text().startswith("web True\n")


def test_a_silent_bot_is_named_with_its_log(
    program: list[str], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "silent.py"
    wrapper.write_text(f"import os; os.environ['SILENT'] = '1'\n{STAND_IN}")
    trial = Trial(project, "HEAD~1", "HEAD", timeout=1.5, apart=False, program=[program[0], str(wrapper)])
    with pytest.raises(TookTooLong, match=r"(?s)the check run was not completed within 2 s.*serve False"):
        run(trial, tmp_path / "bot")


def test_a_bot_that_does_not_start_is_named_with_its_log(program: list[str], tmp_path: Path) -> None:
    with Simulator() as github:
        bot = Bot(github, tmp_path / "bot", program=program, environment={"BROKEN": "1"})
        with pytest.raises(NotReady, match=r"(?s)serve ended.*cannot start"), bot:
            pass


def test_processes_are_killed_and_started_again(program: list[str], tmp_path: Path) -> None:
    with Simulator() as github, Bot(github, tmp_path / "bot", processes=APART, program=program) as bot:
        pull = github.repository("octo-org/train", files={"a.py": "1\n"}).open_pull_request({"a.py": "2\n"})
        github.webhooks.settle()
        bot.kill("web")
        assert not bot.is_ready()
        pull.comment("lost", author="maintainer")
        github.webhooks.settle()
        assert github.deliveries[-1].status == "failed to connect to host"
        bot.start("web")
        bot.wait_until_ready()
        bot.restart("valkey")
        bot.start("worker-2")
        pull.comment("taken", author="maintainer")
        github.webhooks.settle()
        assert github.deliveries[-1].status_code == 202
        assert bot.log("web").count("web True\n") == 2
        assert bot.terminate("worker-2") != 0
    assert not bot.is_ready()


def test_the_command_says_what_is_wrong(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--git", str(project), "--base", "nowhere", "--head", "HEAD"]) == 2
    assert main(["run", "--git", str(tmp_path), "--base", "HEAD", "--head", "HEAD"]) == 2
    assert "no revision nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["run"])
