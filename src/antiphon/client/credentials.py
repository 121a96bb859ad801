"""What proves who is asking, where that is found anew before each attempt: a function, a workload's identity."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..kernel.errors import APIConnectionError, OAuthError, OpenAIError
from ..kernel.flow import Await, Call, Send, Step, World
from ..kernel.http import Headers, Request, Response
from ..kernel.options import Timeout

if TYPE_CHECKING:
    from ..kernel.flow import Flow

__all__ = ("Called", "Credential", "WorkloadIdentityAuth")


class Credential:
    """The value of one header, found for each attempt."""

    header = "authorization"
    signs = False
    """Whether it proves a whole request rather than being a header, as a `clouds.provider.Signer` does."""

    def value(self) -> Flow[str | None]:
        """What the header says; `None` where it stays as it is."""
        raise NotImplementedError

    def refused(self, value: str) -> bool:
        """The server answered 401: whether another value may be had, so that the request is sent once more."""
        return False


class Called(Credential):
    """A function that gives the key, or a coroutine of it."""

    def __init__(self, function: Callable[[], Any], *, header: str = "authorization", prefix: str = "Bearer ") -> None:
        self.function = function
        self.header = header
        self.prefix = prefix

    def value(self) -> Flow[str | None]:
        """What the function gives. Raises `TypeError` where that is no key."""
        token = self.function()
        if hasattr(token, "__await__"):
            token = yield Await(token)
        if not token:
            raise TypeError("Could not resolve authentication method: the function given as `api_key` gave no key.")
        return f"{self.prefix}{token}"


EXCHANGE_URL = "https://auth.openai.com/oauth/token"
MTLS_EXCHANGE_URL = "https://mtls.auth.openai.com/oauth/token"
REFRESH_BUFFER = 1200.0
"""Seconds before its end that a token is replaced, unless the caller says otherwise; half its life at most."""

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_SUBJECTS = {"jwt": "urn:ietf:params:oauth:token-type:jwt", "id": "urn:ietf:params:oauth:token-type:id_token"}
_X509_SUBJECT = "urn:openai:params:oauth:token-type:x509"
_TIMEOUT = Timeout(10.0)


class WorkloadIdentityAuth(Credential):
    """Tokens of the API for a workload that some platform vouches for (OAuth 2.0 token exchange, RFC 8693).

    A token is kept until `refresh_buffer_seconds` before its end. Callers that need a new one at the same time get
    the same. A token the API answers 401 to is forgotten. Where the exchange fails in passing (no connection, 429,
    5xx) and the old token still holds, it goes on being used.

    The exchange goes to `token_exchange_url` of the identity where it has one. It is sent with the client's own
    transport: a client certificate that is the subject (`type: "x509"`) is the transport's.
    """

    def __init__(self, identity: Mapping[str, Any]) -> None:
        import time

        self.identity = dict(identity)
        self._x509 = identity.get("type") == "x509"
        missing = [name for name in ("identity_provider_id", "service_account_id") if name not in identity]
        if not self._x509 and "provider" not in identity:
            missing.append("provider")
        if missing:
            raise OpenAIError(f"`workload_identity` has no {' and no '.join(missing)}")
        self._url = identity.get("token_exchange_url") or (MTLS_EXCHANGE_URL if self._x509 else EXCHANGE_URL)
        self._clock = time.monotonic
        self._turn, self._process = Lock(), os.getpid()
        self._token: str | None = None
        self._ends = 0.0
        self._refreshes = 0.0

    def value(self) -> Flow[str | None]:
        token = self._token
        if token is None or self._clock() >= self._refreshes:
            turn = self._own_turn()
            yield _Turn(turn)
            try:
                token = self._token
                if token is None or self._clock() >= self._refreshes:
                    token = yield from self._renewed()
            finally:
                turn.release()
        return f"Bearer {token}"

    def _own_turn(self) -> Lock:
        if self._process != os.getpid():
            self._turn, self._process = Lock(), os.getpid()  # the thread that held it stayed with the parent
        return self._turn

    def refused(self, value: str) -> bool:
        if value == f"Bearer {self._token}":
            self._token = None
        return True

    def _renewed(self) -> Flow[str]:
        try:
            token, lives = yield from self._exchanged()
        except (APIConnectionError, _Passing):
            if self._token is None or self._clock() >= self._ends:
                raise
            return self._token
        now = self._clock()
        buffer = min(float(self.identity.get("refresh_buffer_seconds", REFRESH_BUFFER)), lives / 2)
        self._token, self._ends, self._refreshes = token, now + lives, now + max(lives - buffer, 0.0)
        return token

    def _exchanged(self) -> Flow[tuple[str, float]]:
        from .encoding import to_json

        subject = yield from self._subject()
        body = {
            "grant_type": _GRANT,
            **subject,
            "identity_provider_id": self.identity["identity_provider_id"],
            "service_account_id": self.identity["service_account_id"],
        }
        scheme, _, rest = self._url.partition("://")
        authority, _, path = rest.partition("/")
        headers = Headers({"content-type": "application/json", "accept": "application/json"})
        request = Request("POST", f"/{path}", "", headers, to_json(body), f"{scheme}://{authority}")
        response: Response = yield Send(request, _TIMEOUT)
        return _token_of(response)

    def _subject(self) -> Flow[dict[str, str]]:
        if self._x509:
            return {"subject_token_type": _X509_SUBJECT}
        provider = self.identity["provider"]
        kind = _SUBJECTS.get(provider["token_type"])
        if kind is None:
            raise OpenAIError(
                f"a subject token is of the type {' or '.join(map(repr, _SUBJECTS))}, not {provider['token_type']!r}"
            )
        token = yield Call(provider["get_token"])
        if hasattr(token, "__await__"):
            token = yield Await(token)
        if not token:
            raise OpenAIError("the provider of the workload's identity gave an empty token")
        return {"subject_token": token, "subject_token_type": kind}


class _Passing(OpenAIError):
    """The exchange failed, and may not the next time."""


def _token_of(response: Response) -> tuple[str, float]:
    """The token of an exchange and the seconds it lives."""
    status = response.status
    try:
        body: Any = response.json()
    except ValueError:
        body = None
    if status in (400, 401, 403):
        said = body.get("error_description") or body.get("error") if isinstance(body, dict) else None
        message = f"The token exchange was refused: {status}" + (f" - {said}" if isinstance(said, str) else "")
        raise OAuthError(message, response=response, body=body)
    if not 200 <= status < 300:
        kind = _Passing if status in (408, 409, 429) or status >= 500 else OpenAIError
        raise kind(f"The token exchange failed with status {status}")
    token = body.get("access_token") if isinstance(body, dict) else None
    if not isinstance(token, str) or not token:
        raise OpenAIError("The token exchange answered without an access_token")
    lives: Any = body.get("expires_in")
    if isinstance(lives, bool) or not isinstance(lives, (int, float)) or lives != lives or lives <= 0:
        raise OpenAIError("The token exchange answered without the seconds the token lives (expires_in)")
    return token, float(lives)


class _Turn(Step[None]):
    """Wait until a lock is ours. In an event loop it is asked for again and again, so that nothing is held up."""

    __slots__ = ("lock",)

    def __init__(self, lock: Lock) -> None:
        self.lock = lock

    def perform(self, world: World) -> None:
        self.lock.acquire()

    async def aperform(self, world: World) -> None:
        from ..kernel.loops import sleep

        while not self.lock.acquire(blocking=False):
            await sleep(0.002)  # the lock may be held by a thread, which wakes nobody here
