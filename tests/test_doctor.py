"""The doctor sees what would keep a pull request from being reviewed, says what to do, and shows no secret."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner

from app.cli import cli
from app.doctor import line as lines_module
from app.doctor.at_home import at_home
from app.doctor.examination import examined, unusable
from app.doctor.line import Line, Mark, exit_status
from app.doctor.needs import EVENTS, PERMISSIONS
from app.logs import Redaction
from app.settings import Settings
from app.store import Store
from tests.service import valkey
from tests.simulator import InstalledApp, Simulator, faults
from tests.simulator.auth import new_keys

SECRET = "a secret of some length"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def github() -> Iterator[Simulator]:
    with Simulator() as simulator:
        simulator.repository("octo-org/vision", files={"train.py": "x = 1\n"})
        simulator.webhooks.settle()
        simulator.webhooks.deliveries.clear()
        simulator.connect("https://mlstaff.example.com/webhook")
        yield simulator


def plain(**given: Any) -> Settings:
    """The defaults but for these."""
    return Settings(**given)


def settings_of(github: Simulator, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "app_id": github.app.id,
        "private_key": SecretStr(github.app.private_key),
        "webhook_secret": SecretStr(SECRET),
        "github_url": github.url,
        "public_url": "https://mlstaff.example.com",
    }
    return Settings(**{**given, **changes})


def look(github: Simulator, **changes: Any) -> dict[str, list[Line]]:
    """The lines, by their names."""
    found: dict[str, list[Line]] = {}
    for each in asyncio.run(examined(settings_of(github, **changes))):
        found.setdefault(each.name, []).append(each)
    return found


def only(found: dict[str, list[Line]], name: str, mark: Mark, *words: str) -> None:
    """Whether one line of this name has this mark and says these words, and every trouble what to do."""
    matching = [each for each in found[name] if each.mark is mark and all(w in each.words + each.todo for w in words)]
    assert len(matching) == 1, found[name]
    assert all(bool(each.todo) == (each.mark is not Mark.OK) for lines in found.values() for each in lines)


def test_a_connected_app_is_well(github: Simulator, url: str) -> None:
    found = look(github, redis_url=SecretStr(url))
    marks = {name: {each.mark for each in lines} for name, lines in found.items()}
    assert {name for name, mark in marks.items() if mark != {Mark.OK}} == {"deliveries"}, "GitHub has sent none yet"
    only(found, "installation octo-org", Mark.OK, "1 repositories", "5000")
    only(found, "store: durable", Mark.OK)
    only(found, "App", Mark.OK, "mlstaff", str(github.app.id))
    assert exit_status(each for lines in found.values() for each in lines) == 0


def _pem(key: Any, form: Any, secret: str = "") -> str:
    hidden = serialization.BestAvailableEncryption(secret.encode()) if secret else serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, form, hidden).decode())


def test_every_form_of_a_private_key_is_taken(github: Simulator, tmp_path: Path) -> None:
    pem = github.app.private_key
    file = tmp_path / "key.pem"
    file.write_text(pem)
    file.chmod(0o600)
    forms = [
        pem,
        pem.replace("\n", "\\n"),
        pem.replace("\n", "\r\n"),
        pem.replace("\n", " "),
        base64.b64encode(pem.encode()).decode(),
        str(file),
    ]
    for form in forms:
        only(look(github, private_key=SecretStr(form)), "private key", Mark.OK)
    file.chmod(0o644)
    only(look(github, private_key=SecretStr(str(file))), "private key", Mark.WARN, "chmod 600")


def test_what_is_wrong_with_a_private_key_is_said_and_no_key_is_shown(github: Simulator, tmp_path: Path) -> None:
    pem, public = new_keys()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    formats = serialization.PrivateFormat
    (tmp_path / "empty.pem").write_text("nothing")
    wrong = {
        public: "public key",
        _pem(key, formats.OpenSSH): "SSH",
        _pem(key, formats.PKCS8, "password"): "password",
        _pem(ec.generate_private_key(ec.SECP256R1()), formats.TraditionalOpenSSL): "elliptic",
        pem[:800]: "cut off",
        str(tmp_path / "none.pem"): "No such file",
        str(tmp_path / "empty.pem"): "holds no PEM",
        "MIIEpAIBAAKCAQEA" * 3: "neither",
    }
    for form, word in wrong.items():
        found = look(github, private_key=SecretStr(form))
        only(found, "private key", Mark.FAIL, word)
        assert "App" not in found, "there is nothing to ask with"
        said = str(found)
        assert not any(part in said for part in (pem[100:130], "MIIEpAIBAAKCAQEA"))


@pytest.mark.parametrize(
    ("address", "mark", "todo"),
    [
        ("https://api.github.com", Mark.OK, ""),
        ("https://api.octo.ghe.com", Mark.OK, ""),
        ("https://github.example.com/api/v3/", Mark.OK, ""),
        ("https://github.com", Mark.FAIL, "unset"),
        ("https://api.github.com/api/v3", Mark.FAIL, "https://api.github.com"),
        ("https://github.example.com", Mark.FAIL, "https://github.example.com/api/v3"),
        ("https://github.example.com/api/graphql", Mark.FAIL, "https://github.example.com/api/v3"),
        ("http://github.example.com/api/v3", Mark.WARN, "https://github.example.com/api/v3"),
        ("github.example.com", Mark.FAIL, "https://"),
    ],
)
def test_the_shapes_of_github_s_address(address: str, mark: Mark, todo: str) -> None:
    (found,) = [each for each in at_home(plain(github_url=address)) if each.name == "GitHub URL"]
    assert found.mark is mark
    assert todo in found.todo


def test_a_proxy_is_named_without_its_password(github: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://ada:lovelace@proxy.example.com:3128")
    found = [each for each in at_home(plain()) if each.name == "proxy"]
    assert [each.words for each in found] == ["api.github.com is reached through proxy.example.com:3128"]
    monkeypatch.setenv("no_proxy", "api.github.com")
    assert [each for each in at_home(plain()) if each.name == "proxy"] == []


def test_certificates_that_are_none_are_named(github: Simulator, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    only(look(github, ca_bundle=tmp_path / "ca.pem"), "CA bundle", Mark.FAIL, "no PEM")
    only(look(github, ca_bundle=tmp_path / "none.pem"), "CA bundle", Mark.FAIL, "No such file")


def test_a_host_that_is_not_reached_says_what_to_look_at(github: Simulator) -> None:
    only(look(github, github_url="http://127.0.0.1:1"), "GitHub", Mark.FAIL, "MLSTAFF_GITHUB_URL", "DNS")


@pytest.mark.parametrize("drift", [-600, 600])
def test_a_clock_that_is_wrong_is_named_though_it_is_mended(github: Simulator, drift: int) -> None:
    github.clock.advance(drift)
    found = look(github)
    only(found, "clock", Mark.WARN, "NTP", "behind" if drift > 0 else "ahead")
    only(found, "App", Mark.OK)


def test_credentials_that_github_does_not_take(github: Simulator) -> None:
    only(look(github, private_key=SecretStr(new_keys()[0])), "App", Mark.FAIL, "401", "private key")
    only(look(github, app_id=github.app.id + 1), "App", Mark.FAIL, "401")


def test_permissions_and_events_that_are_missing_are_named_with_what_is_lost(github: Simulator) -> None:
    github.app.permissions.update(checks="read")
    del github.app.permissions["issues"], github.app.permissions["merge_queues"]
    github.app.events[:] = [each for each in github.app.events if each not in ("issue_comment", "pull_request")]
    found = look(github)
    only(found, "App: permissions", Mark.FAIL, "checks: write", "issues: write")
    only(found, "App: permissions", Mark.WARN, "merge_queues: read")
    only(found, "App: events", Mark.WARN, "conversation")
    only(found, "App: events", Mark.FAIL, "no pull request")


def test_the_webhook_s_address_is_compared(github: Simulator) -> None:
    github.connect("https://elsewhere.example.com/webhook")
    only(look(github), "webhook", Mark.WARN, "elsewhere.example.com", "mlstaff.example.com/webhook")
    github.app.webhook_url = None
    only(look(github), "webhook", Mark.FAIL, "https://mlstaff.example.com/webhook")


def test_deliveries_that_failed_are_told(github: Simulator) -> None:
    github.connect("http://127.0.0.1:1/webhook")
    github.repository("octo-org/another").open_pull_request({"a.py": "x = 1\n"})
    github.webhooks.settle()
    only(look(github), "deliveries", Mark.FAIL, "failed", "the last one too")


def test_each_installation_is_looked_at(github: Simulator) -> None:
    github.installation_on("octo-org").suspend()
    github.repository("other-org/models", files={"a.py": "x = 1\n"})
    github.installation_on("other-org").installation.permissions["pull_requests"] = "read"
    empty: InstalledApp = github.installation("empty-org")
    found = look(github)
    only(found, "installation octo-org", Mark.WARN, "suspended")
    only(found, "installation other-org", Mark.FAIL, "pull_requests: write", "accept")
    only(found, f"installation {empty.installation.account.login}", Mark.WARN, "no repository")


def test_a_limit_that_is_nearly_used_up_is_told(github: Simulator) -> None:
    github.limits.primary = 10
    with github.installation_on("octo-org").client() as client:
        for _ in range(9):
            client.get("/rate_limit")
            client.get("/installation/repositories")
    only(look(github), "installation octo-org", Mark.WARN, "0 of 10 calls")


def test_trouble_with_github_is_a_line_and_no_crash(github: Simulator) -> None:
    github.faults.script("GET", "^/app$", faults.server_error(502))
    only(look(github), "App", Mark.FAIL, "502")
    github.faults.script("GET", "hook/config", faults.server_error(404))
    only(look(github), "webhook", Mark.FAIL, "active")
    github.faults.script("GET", "/app/installations$", faults.secondary_limit(429, 5))
    only(look(github), "installations", Mark.WARN, "rate limit")


def of_store(github: Simulator, url: str, body: Callable[[Store], Awaitable[None]]) -> dict[str, list[Line]]:
    async def prepare() -> None:
        async with Store(url) as store:
            await body(store)

    asyncio.run(prepare())
    return look(github, redis_url=SecretStr(url))


def test_a_store_that_may_lose_what_was_accepted_is_named(github: Simulator, tmp_path: Path) -> None:
    async def everysec(store: Store) -> None:
        await store.redis.config_set("appendfsync", "everysec")

    async def memory(store: Store) -> None:
        await store.redis.config_set("appendonly", "no", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")

    with valkey(tmp_path / "store") as url:
        only(of_store(github, url, everysec), "store: durable", Mark.WARN, "everysec", "appendfsync always")
        found = of_store(github, url, memory)
    only(found, "store: durable", Mark.FAIL, "append-only")
    only(found, "store: eviction", Mark.FAIL, "allkeys-lru", "noeviction")


def test_a_store_that_is_away_is_named_without_its_password(github: Simulator) -> None:
    found = look(github, redis_url=SecretStr("redis://:hunter22@127.0.0.1:1/0"))
    only(found, "store", Mark.FAIL, "127.0.0.1:1")
    assert "hunter22" not in str(found)
    only(look(github, redis_url=SecretStr("nonsense")), "store", Mark.FAIL, "redis://HOST")


def test_the_command_prints_lines_and_json_and_fails_where_something_does(
    github: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "APP_ID": str(github.app.id),
        "PRIVATE_KEY": github.app.private_key,
        "GITHUB_URL": github.url,
        "DATA_DIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(f"MLSTAFF_{name}", value)
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 1
    assert "fail  webhook secret" in result.stdout
    assert "→" in result.stdout
    monkeypatch.setenv("MLSTAFF_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("MLSTAFF_PUBLIC_URL", "https://mlstaff.example.com")
    result = CliRunner().invoke(cli, ["doctor", "--json"])
    assert result.exit_code == 0
    assert {each["mark"] for each in json.loads(result.stdout)} == {"ok", "warn"}
    monkeypatch.setenv("MLSTAFF_PORT", "hunter22")
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 1
    assert "MLSTAFF_PORT" in result.stdout
    assert "hunter22" not in result.stdout


def test_no_secret_is_printed_whatever_is_in_a_line() -> None:
    settings = plain(webhook_secret=SecretStr(SECRET))
    shown = lines_module.as_text(
        [lines_module.fail("x", f"it said {SECRET} and ghs_16C7e42F292c", "")], Redaction.of(settings)
    )
    assert SECRET not in shown
    assert "ghs_" not in shown


def test_a_setting_that_is_none_is_named_by_its_name() -> None:
    with pytest.raises(ValidationError) as error:
        plain(recovery_seconds="hunter22")
    (found,) = unusable(error.value)
    assert found.name == "MLSTAFF_RECOVERY_SECONDS"
    assert "hunter22" not in str(found)


def test_the_manifest_asks_for_what_is_needed_and_nothing_more() -> None:
    manifest = json.loads((Path(__file__).parent.parent / "deploy/github-app.json").read_text())
    assert manifest["default_permissions"] == PERMISSIONS
    assert sorted(manifest["default_events"]) == sorted(EVENTS)
