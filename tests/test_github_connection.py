"""How GitHub is reached: authorities of one's own, proxies, and nothing but the configured address"""

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from app.doctor.examination import far_away
from app.doctor.line import Mark
from app.events import RetryLater
from app.github.connection import graphql_of
from tests.bot import BROKEN_LOOP, LOOP, Bot, repository_with
from tests.simulator import OpenedPullRequest, Simulator

_PLAIN = serialization.NoEncryption()


class Authority:
    """A certificate authority that nobody knows, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The company's own authority")])
        self._certificate = self._signed(self._name, self._key, is_authority=True)
        self.file = self._write("authority.pem", self._certificate)

    def server(self) -> tuple[Path, Path]:
        """The files of a certificate for the loopback and of its key."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "github.example.org")])
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, _PLAIN)
        (self._folder / "server.key").write_bytes(private)
        return self._write("server.pem", self._signed(name, key, is_authority=False)), self._folder / "server.key"

    def _signed(self, name: x509.Name, key: rsa.RSAPrivateKey, *, is_authority: bool) -> x509.Certificate:
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = (
            builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        builder = builder.add_extension(loopback, critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        (self._folder / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return self._folder / name


class Proxy:
    """Passes bytes on to where `CONNECT` says; `asked` are the heads of the requests it had."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=[self._listener.accept()[0]], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.asked.append(head.decode())
        host, _, port = head.split()[1].decode().partition(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=_pass_on, args=[server, client], daemon=True).start()
        _pass_on(client, server)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def enterprise(authority: Authority) -> Iterator[Simulator]:
    """An Enterprise Server whose certificate is from an authority of its company."""
    with Simulator(tls=authority.server()) as simulator:
        yield simulator


@pytest.fixture
def pull(enterprise: Simulator) -> OpenedPullRequest:
    return repository_with(enterprise, train=LOOP).open_pull_request({"train.py": BROKEN_LOOP})


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that the environment names."""
    made = Proxy()
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://ada:lovelace@{made.address}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    yield made
    made.close()


def doctor_says(bot: Bot) -> dict[str, tuple[Mark, str]]:
    """The doctor's lines about what is far away."""
    return {each.name: (each.mark, each.todo) for each in asyncio.run(far_away(bot.settings))}


def test_a_whole_review_on_enterprise_server_with_an_authority_of_its_own(
    enterprise: Simulator, authority: Authority, pull: OpenedPullRequest
) -> None:
    calls = Bot(enterprise, github_url=f"{enterprise.url}/api/v3", ca_bundle=authority.file).review(pull)
    assert len(pull.state()["comments"]) == 1
    assert len(calls) == 5


def test_an_authority_that_is_not_named_is_not_trusted_and_the_job_is_kept(
    enterprise: Simulator, pull: OpenedPullRequest, tmp_path: Path
) -> None:
    for other in (None, Authority(tmp_path).file):
        bot = Bot(enterprise, github_url=f"{enterprise.url}/api/v3", ca_bundle=other)
        with pytest.raises(RetryLater, match="SSLError"):
            bot.review(pull)
        mark, todo = doctor_says(bot)["GitHub"]
        assert mark is Mark.FAIL
        assert "MLSTAFF_CA_BUNDLE" in todo
    assert enterprise.calls == []


def test_a_whole_review_through_a_proxy(
    enterprise: Simulator, authority: Authority, pull: OpenedPullRequest, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"github_url": f"{enterprise.url}/api/v3", "ca_bundle": authority.file}
    Bot(enterprise, **given).review(pull)
    assert len(pull.state()["comments"]) == 1
    place = enterprise.url.removeprefix("https://")
    assert {head.rpartition(" HTTP/")[0].split(" HTTP/")[0] for head in proxy.asked} == {f"CONNECT {place}"}
    password = base64.b64encode(b"ada:lovelace").decode()
    assert all(password in head for head in proxy.asked)
    before = len(proxy.asked)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    pull.push({"train.py": BROKEN_LOOP + "\n"})
    Bot(enterprise, **given).review(pull)
    assert len(proxy.asked) == before, "what NO_PROXY names is reached without it"


def test_a_proxy_that_is_away_keeps_the_job_and_is_named(
    enterprise: Simulator, authority: Authority, pull: OpenedPullRequest, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    bot = Bot(enterprise, github_url=f"{enterprise.url}/api/v3", ca_bundle=authority.file)
    with pytest.raises(RetryLater, match="ProxyError"):
        bot.review(pull)
    mark, todo = doctor_says(bot)["GitHub"]
    assert mark is Mark.FAIL
    assert "HTTPS_PROXY" in todo
    assert enterprise.calls == []


@pytest.mark.parametrize(
    ("address", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://api.octo.ghe.com/", "https://api.octo.ghe.com/graphql"),
        ("https://github.example.com/api/v3", "https://github.example.com/api/graphql"),
        ("https://github.example.com:8443/api/v3/", "https://github.example.com:8443/api/graphql"),
    ],
)
def test_where_graphql_is(address: str, graphql: str) -> None:
    assert graphql_of(address) == graphql
