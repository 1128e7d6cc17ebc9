"""How GitHub is reached: authorities of one's own, and nothing but the configured address"""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from app.github.connection import GitHub
from app.settings import Settings
from tests.simulator.auth import new_keys


class Enterprise(BaseHTTPRequestHandler):
    """Answers everything with an empty object, and remembers what was asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def enterprise(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """A server behind a certificate that nobody knows: its address, the certificate, the paths asked for."""
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, tmp_path / "key.pem")
    handler = type("Handler", (Enterprise,), {"asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/api/v3", certificate, handler.asked  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def _certificate(folder: Path) -> Path:
    """A certificate for the loopback that signs itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "github.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    (folder / "key.pem").write_bytes(private)
    (folder / "certificate.pem").write_bytes(made.public_bytes(encoding))
    return folder / "certificate.pem"


def settings_of(url: str) -> Settings:
    """Settings with some key."""
    given: dict[str, Any] = {"app_id": 1, "private_key": SecretStr(new_keys()[0]), "github_url": url}
    return Settings(**given)


def ask(settings: Settings) -> int:
    """The status of one call as the App."""

    async def once() -> int:
        github = GitHub(settings)
        try:
            return (await github.as_app("GET", "/app")).status
        finally:
            await github.close()

    return asyncio.run(once())


def test_an_authority_of_one_s_own_is_trusted_when_it_is_named_and_only_then(
    enterprise: tuple[str, Path, list[str]],
) -> None:
    url, certificate, asked = enterprise
    settings = settings_of(url)
    with pytest.raises(Exception, match="SSLError"):
        ask(settings)
    assert asked == []
    assert ask(settings.model_copy(update={"ca_bundle": certificate})) == 200
    assert asked == ["/api/v3/app"]


def test_a_proxy_of_the_environment_is_used(
    enterprise: tuple[str, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, certificate, asked = enterprise
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    settings = settings_of(url).model_copy(update={"ca_bundle": certificate})
    with pytest.raises(Exception, match="ProxyError"):
        ask(settings)
    assert asked == []
