"""What can be seen without asking anybody: the settings, the key, addresses, certificates, proxies, folders"""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from app.doctor.line import Line, fail, ok, warn
from app.github.auth import AppKey
from app.settings import Settings

SHORTEST_SECRET = 16
_GITHUB = "GitHub URL"


def at_home(settings: Settings) -> list[Line]:
    """The lines of this host."""
    parts = (_app_id, _key, _secret, _github_url, _ca_bundle, _proxy, _public_url, _data_folder, _defaults)
    return [line for part in parts for line in part(settings)]


def _app_id(settings: Settings) -> Iterator[Line]:
    if settings.app_id is None:
        yield fail(
            "App id", "MLSTAFF_APP_ID is not set.", "Set it to the number beside “App ID” in the App's settings."
        )
    else:
        yield ok("App id", f"{settings.app_id}")


def _key(settings: Settings) -> Iterator[Line]:
    """Whether it is an RSA private key, whatever form it is given in."""
    try:
        settings.private_key_pem  # noqa: B018 - it raises
        AppKey(settings.model_copy(update={"app_id": settings.app_id or 1}))
    except ValueError as error:
        todo = (
            "Generate one in the App's settings, and give its path, the PEM (newlines as they are or as \\n) or base64."
        )
        yield fail("private key", f"{error}.", todo)
        return
    file = settings.private_key_file
    if file is None:
        yield ok("private key", "an RSA key, given as it is")
    elif file.stat().st_mode & 0o077:
        todo = f"chmod 600 {file}"
        yield warn("private key", f"an RSA key in {file}, which other accounts of this host may read", todo)
    else:
        yield ok("private key", f"an RSA key in {file}")


def _secret(settings: Settings) -> Iterator[Line]:
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    todo = "Make one with `openssl rand -hex 32`, and set it here and in the App's settings."
    if not secret:
        yield fail("webhook secret", "MLSTAFF_WEBHOOK_SECRET is not set: every delivery is refused.", todo)
    elif len(secret) < SHORTEST_SECRET or secret != secret.strip():
        yield warn("webhook secret", "It is short, or begins or ends with a space.", todo)
    else:
        yield ok("webhook secret", f"{len(secret)} characters")


def _github_url(settings: Settings) -> Iterator[Line]:
    url = urlsplit(settings.github_url.rstrip("/"))
    host, path = url.hostname or "", url.path
    is_here = host in ("localhost", "127.0.0.1", "::1")
    if not host or url.scheme not in ("http", "https"):
        yield fail(_GITHUB, f"{settings.github_url} is no address.", "https://api.github.com, or https://HOST/api/v3")
    elif host in ("github.com", "www.github.com"):
        yield fail(_GITHUB, f"{settings.github_url} is the site, not its API.", "Leave MLSTAFF_GITHUB_URL unset.")
    elif host == "api.github.com" or (host.startswith("api.") and host.endswith(".ghe.com")):
        if path:
            yield fail(_GITHUB, f"{settings.github_url} has a path.", f"Set MLSTAFF_GITHUB_URL to https://{host}")
        else:
            yield ok(_GITHUB, settings.github_url)
    elif path != "/api/v3" and not is_here:
        todo = f"For Enterprise Server, set MLSTAFF_GITHUB_URL to {url.scheme}://{url.netloc.rpartition('@')[2]}/api/v3"
        yield fail(_GITHUB, f"{host} is asked under {path or '/'}, where Enterprise Server has no API.", todo)
    elif url.scheme == "http" and not is_here:
        yield warn(_GITHUB, "Tokens go over the network in the clear.", f"Use https://{url.netloc}{path}")
    else:
        yield ok(_GITHUB, settings.github_url)


def _ca_bundle(settings: Settings) -> Iterator[Line]:
    file, name = settings.ca_bundle, "CA bundle"
    if file is None:
        return
    try:
        count = len(ssl.create_default_context(cafile=file).get_ca_certs())
    except ssl.SSLError:
        yield fail(
            name, f"{file} holds no PEM certificates.", "It takes the authority's certificate, not a key or DER."
        )
    except OSError as error:
        yield fail(name, f"{file} cannot be read: {error.strerror}.", "Correct MLSTAFF_CA_BUNDLE.")
    else:
        yield ok(name, f"{file}: {count} authorities")


def _proxy(settings: Settings) -> Iterator[Line]:
    """The one that the standard variables (HTTPS_PROXY, NO_PROXY, …) lead to."""
    url = urlsplit(settings.github_url)
    proxy = getproxies().get(url.scheme)
    if proxy is None or proxy_bypass(url.hostname or ""):
        return
    there = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    yield ok("proxy", f"{url.hostname} is reached through {there.hostname}:{there.port or 80}")


def _public_url(settings: Settings) -> Iterator[Line]:
    url = urlsplit(settings.public_url)
    if not settings.public_url:
        todo = "Set MLSTAFF_PUBLIC_URL to this server's address as people and GitHub reach it."
        yield warn("public URL", "MLSTAFF_PUBLIC_URL is not set: rules in comments are no links.", todo)
    elif url.scheme not in ("http", "https") or not url.hostname:
        yield fail("public URL", f"{settings.public_url} is no address.", "Such as https://mlstaff.example.com")
    else:
        yield ok("public URL", settings.public_url)


def _data_folder(settings: Settings) -> Iterator[Line]:
    """Only where the store is our own."""
    if settings.redis_url is not None:
        return
    folder = settings.data_dir.resolve()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield ok("data folder", str(folder))
    else:
        yield fail("data folder", f"{there} cannot be written to.", "Correct MLSTAFF_DATA_DIR, or the folder's owner.")


def _defaults(settings: Settings) -> Iterator[Line]:
    file: Path | None = settings.defaults_file
    if file is not None:
        yield ok("defaults file", f"{file}; `mlstaff config {file}` validates it")
