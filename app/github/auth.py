"""Who we are to GitHub: the App by a signed JWT, an installation by a token that lasts an hour

Tokens are kept in memory only.
https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from github import Auth, Consts, GithubIntegration
from github.Requester import Requester
from jwt.exceptions import InvalidKeyError

from app.events import GiveUp, RetryLater
from app.github.counting import counted, operation_of
from app.github.weather import THE_APP, Answer, Limits, check_status, is_limit
from app.settings import Settings

#: Every request has so long for the connection, and between two parts of the answer.
TIMEOUT = 20
#: A token that ends sooner than this is not begun with.
MARGIN = 300.0
#: The operator has to mend this; the job is kept.
KEY_REFUSED = 300.0
API_VERSION = "2022-11-28"

# At DEBUG, PyGithub logs the bodies of answers, and an installation token is one.
logging.getLogger("github").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Token:
    """An installation token; `ends` is in seconds since 1970 by GitHub's clock."""

    text: str = field(repr=False)
    ends: float
    permissions: Mapping[str, str]


class Bearer(Auth.Auth):
    """The token of the request that is under way; each thread has its own."""

    def __init__(self) -> None:
        self.current = ""

    @property
    def token_type(self) -> str:
        """How the header begins."""
        return "Bearer"

    @property
    def token(self) -> str:
        """What the header holds."""
        return self.current


def requester(settings: Settings, auth: Auth.Auth) -> Requester:
    """PyGithub's connection: no retries and no pauses of its own, because both would sleep in a thread.

    One requester serves one thread at a time: its connection object keeps the request that is under way.
    """
    return Requester(auth=auth, **_connection(settings))


def _connection(settings: Settings) -> dict[str, Any]:
    return {
        "base_url": settings.github_url.rstrip("/"),
        "timeout": TIMEOUT,
        "user_agent": "mlstaff",
        "per_page": 100,
        "verify": str(settings.ca_bundle) if settings.ca_bundle else True,
        "retry": 0,
        "pool_size": 1,
        "seconds_between_requests": None,
        "seconds_between_writes": None,
        "api_version": API_VERSION,
    }


class AppKey:
    """Signs as the App. When GitHub finds fault with the times of a JWT, its own clock is taken over."""

    def __init__(self, settings: Settings) -> None:
        if settings.app_id is None:
            raise ValueError("MLSTAFF_APP_ID is not set")
        self._drift = 0.0
        self._sign = Auth.AppAuth.create_jwt_sign(settings.private_key_pem, Consts.DEFAULT_JWT_ALGORITHM)
        self.auth = Auth.AppAuth(settings.app_id, sign_func=self._signed)
        try:
            self.auth.create_jwt()
        except (InvalidKeyError, ValueError, TypeError, AttributeError):  # the last for a public key
            raise ValueError(_no_key(settings.private_key_pem)) from None

    def now(self) -> float:
        """GitHub's time, as far as we know."""
        return time.time() + self._drift

    def _signed(self, claims: dict[str, Any]) -> str | bytes:
        drift = int(self._drift)
        return self._sign({**claims, "iat": claims["iat"] + drift, "exp": claims["exp"] + drift})

    def learns_time(self, answer: Answer) -> bool:
        """Whether a 401 was about our clock, which then is set right."""
        said = answer.message.lower()
        if answer.status != 401 or not any(word in said for word in ("'iat'", "'exp'", "expiration", "issued at")):
            return False
        drift = answer.time - time.time()
        is_news = abs(drift - self._drift) > 2
        self._drift = drift
        return is_news


def _no_key(pem: str) -> str:
    """What a PEM is that is no key for us; says nothing of what is inside."""
    for sign, what in (
        ("OPENSSH PRIVATE KEY", "is an SSH key"),
        ("ENCRYPTED", "is encrypted with a password"),
        ("PUBLIC KEY", "is a public key"),
        ("CERTIFICATE", "is a certificate"),
        ("EC PRIVATE KEY", "is a key for elliptic curves"),
    ):
        if sign in pem:
            return f"MLSTAFF_PRIVATE_KEY {what}; GitHub takes the RSA private key that it generated"
    if "-----END" not in pem:
        return "MLSTAFF_PRIVATE_KEY is a PEM without an end: it was cut off"
    return "MLSTAFF_PRIVATE_KEY is a PEM, but no RSA private key"


class Tokens:
    """Calls as the App, and installation tokens: asked for once an hour and shared by all threads."""

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self.key = AppKey(settings)
        self._limits = limits
        self._integration = GithubIntegration(auth=self.key.auth, **_connection(settings))
        self._connection = threading.Lock()
        self._asking = threading.Lock()
        self._tokens: dict[int, Token] = {}

    def close(self) -> None:
        """Close the connection."""
        self._integration.close()

    def as_app(self, method: str, path: str, body: Any = None) -> Answer:
        """One call with the App's JWT; once more when our clock was wrong.

        Raises:
            Limited: the App has reached one of GitHub's limits, and is silent for as long as GitHub says.
        """
        with self._connection:
            self._limits.check(THE_APP)
            answer = self._once(method, path, body)
            if self.key.learns_time(answer):
                answer = self._once(method, path, body)
        if is_limit(answer):
            raise self._limits.struck(THE_APP, answer)
        self._limits.succeeded(THE_APP)
        return answer

    def _once(self, method: str, path: str, body: Any) -> Answer:
        with counted(operation_of(method, path)) as count:
            return count(Answer(*self._integration.requester.requestJson(method, path, input=body)))

    def token(self, installation_id: int) -> Token:
        """A token that is good for some minutes at least.

        Raises:
            GiveUp: the installation is suspended or gone.
            RetryLater: GitHub gives none now, or does not accept the App's key.
        """
        known = self._good(installation_id)
        if known is not None:
            return known
        with self._asking:
            known = self._good(installation_id)
            if known is None:
                known = self._tokens[installation_id] = self._new(installation_id)
            return known

    def _good(self, installation_id: int) -> Token | None:
        known = self._tokens.get(installation_id)
        return known if known is not None and known.ends - self.key.now() > MARGIN else None

    def forget(self, installation_id: int, token: Token) -> None:
        """GitHub no longer takes this token."""
        with self._asking:
            if self._tokens.get(installation_id) is token:
                del self._tokens[installation_id]

    def _new(self, installation_id: int) -> Token:
        answer = self.as_app("POST", f"/app/installations/{installation_id}/access_tokens", {})
        if answer.status == 404:
            raise GiveUp(f"installation {installation_id} is gone, or not of this App")
        if answer.status == 401:
            raise RetryLater(KEY_REFUSED, f"GitHub does not accept the App's id and key: {answer.message}")
        check_status(answer)
        given = answer.json()
        ends = datetime.fromisoformat(given["expires_at"]).timestamp()
        return Token(given["token"], ends, given.get("permissions") or {})
