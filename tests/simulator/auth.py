"""Who calls: the App by its JWT, an installation by its token, a person by theirs

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.simulator.errors import Refusal
from tests.simulator.model import Account, Clock, Installation, iso
from tests.simulator.world import World

TOKEN_LIFETIME = 3600.0
#: A JWT may live ten minutes; the drift that is forgiven is the sixty seconds GitHub advises for `iat`.
LONGEST_JWT, DRIFT = 600, 60


@dataclass(frozen=True)
class Caller:
    """Who a request is from, and what their token allows."""

    account: Account | None = None
    installation: Installation | None = None
    is_app: bool = False
    permissions: dict[str, str] = field(default_factory=dict)
    repositories: frozenset[int] | None = None

    def covers(self, repository: int) -> bool:
        """Whether a token that was narrowed to some repositories is good for this one."""
        return self.repositories is None or repository in self.repositories

    @property
    def bucket(self) -> str:
        """Whose rate limit is used."""
        if self.installation is not None:
            return f"installation {self.installation.id}"
        return "app" if self.is_app else (self.account.login if self.account else "nobody")


@dataclass(frozen=True)
class Token:
    """An installation token that was given out."""

    text: str
    expires: float
    caller: Caller


def new_keys() -> tuple[str, str]:
    """A private key and its public key, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class Tokens:
    """Gives out installation tokens and knows whose a token is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tokens: dict[str, Token] = {}
        self._people: dict[str, Account] = {}
        self.lifetime = TOKEN_LIFETIME

    def issue(self, installation: Installation, permissions: dict[str, str], only: frozenset[int] | None) -> Token:
        """A token in the long form: `ghs_<app>_<jwt>`, of no fixed length."""
        now = self._world.clock.now()
        claims = {
            "iat": int(now),
            "exp": int(now + self.lifetime),
            "ins": installation.id,
            "n": len(self._tokens),
        }
        secret = hashlib.sha256(self._world.app.webhook_secret.encode()).hexdigest()
        text = f"ghs_{self._world.app.id}_{jwt.encode(claims, secret, algorithm='HS256')}"
        caller = Caller(self._world.app.bot, installation, permissions=permissions, repositories=only)
        token = self._tokens[text] = Token(text, now + self.lifetime, caller)
        return token

    def revoke(self, text: str | None = None) -> None:
        """Make one token worthless, or all of them."""
        for each in [text] if text is not None else list(self._tokens):
            self._tokens.pop(each, None)

    def person(self, account: Account) -> str:
        """A personal token of an account."""
        text = f"ghp_{hashlib.sha256(account.login.encode()).hexdigest()[:36]}"
        self._people[text] = account
        return text

    def caller(self, authorization: str | None) -> Caller:
        """Whose the `Authorization` header is; 401 for a wrong one, nobody for none."""
        if not authorization:
            return Caller()
        text = authorization.split(" ", 1)[-1].strip()
        if text.count(".") == 2 and not text.startswith("ghs_"):
            return self._app(text)
        token = self._tokens.get(text)
        if token is not None and token.expires > self._world.clock.now():
            return self._installation(token)
        if text in self._people:
            return Caller(self._people[text])
        raise Refusal(401, "Bad credentials")

    def _installation(self, token: Token) -> Caller:
        installation = token.caller.installation
        assert installation is not None
        if installation.deleted:
            raise Refusal(401, "Bad credentials")
        if installation.suspended_at is not None:
            raise Refusal(403, "This installation has been suspended")
        return token.caller

    def _app(self, text: str) -> Caller:
        claims = _claims(text, self._world.app.public_key)
        _check_times(claims, self._world.clock)
        if str(claims.get("iss")) not in (str(self._world.app.id), self._world.app.client_id):
            raise Refusal(401, "Integration must generate a public key")
        return Caller(is_app=True)


def token_answer(token: Token, names: dict[str, Any]) -> dict[str, Any]:
    """What `POST /app/installations/{id}/access_tokens` answers."""
    return {
        "token": token.text,
        "expires_at": iso(token.expires),
        "permissions": token.caller.permissions,
        **names,
    }


def _claims(text: str, public_key: str) -> dict[str, Any]:
    options = {
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
        "verify_aud": False,
        "verify_iss": False,
    }
    try:
        return jwt.decode(text, public_key, algorithms=["RS256"], options=options)  # type: ignore[arg-type]
    except jwt.InvalidTokenError as error:
        raise Refusal(401, "A JSON web token could not be decoded") from error


def _check_times(claims: dict[str, Any], clock: Clock) -> None:
    now, issued, expires = clock.now(), claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or issued > now + DRIFT:
        raise Refusal(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        )
    if not isinstance(expires, int | float) or expires <= now:
        raise Refusal(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
            "assertion expires",
        )
    if expires > now + LONGEST_JWT or expires - issued > LONGEST_JWT + DRIFT:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
