"""Google Vertex AI: `OpenAI(provider=vertex(project="my-project", location="global"))`.

    https://aiplatform.googleapis.com/v1/projects/{project}/locations/global/publishers/openai/v1
    https://{location}-aiplatform.googleapis.com/v1/…

Who asks is a token of the caller's, or the credentials google-auth finds: `antiphon[vertex]`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from ...kernel.errors import APITimeoutError, OpenAIError
from ...kernel.flow import Step, World
from ...kernel.loops import in_trio
from ...kernel.options import Timeout
from .provider import CloudProvider, Route, Signer, Token, origin

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from ...kernel.flow import Flow
    from ...kernel.http import Request

__all__ = ("VertexTokenProvider", "vertex")

VertexTokenProvider: TypeAlias = Callable[[], "str | Awaitable[str]"]

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_PROJECT: Final = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.:-]*")
"""Old projects are of a domain, `example.com:project`; a path segment of dots alone is none."""
_LOCATION: Final = re.compile(r"[a-z0-9-]+")
_OWNED: Final = ("authorization", "api-key", "openai-organization", "openai-project")
_MISSING = "Google's credentials need `pip install antiphon[vertex]`; or give `token_provider`"


class _Vertex(Signer):
    """Google's headers for each attempt."""

    def __init__(self, base_url: str) -> None:
        self._origin = origin(base_url)

    def signed(self, request: Request, timeout: Any) -> Flow[Request]:
        if origin(request.origin) != self._origin:
            raise OpenAIError("Credentials for Vertex are not sent outside the configured origin")
        for name in _OWNED:
            if request.headers.get(name) is not None:
                raise OpenAIError(
                    f"Vertex owns authentication: the header `{name}` is not sent there. Leave out what is of OpenAI "
                    "projects, organizations and keys"
                )
        added = yield from self._headers(request, timeout if isinstance(timeout, Timeout) else Timeout(timeout))
        return request._replace(headers=request.headers.replaced(added))

    def _headers(self, request: Request, timeout: Timeout) -> Flow[dict[str, str]]:
        raise NotImplementedError


class _Tokens(_Vertex):
    """The caller's own tokens."""

    def __init__(self, base_url: str, function: Callable[[], Any]) -> None:
        super().__init__(base_url)
        self._function = function

    def _headers(self, request: Request, timeout: Timeout) -> Flow[dict[str, str]]:
        try:
            token = yield _TimelyToken(self._function, timeout.read)
        except TimeoutError:
            raise APITimeoutError(request) from None
        except OpenAIError:
            raise
        except Exception:
            # What went wrong may quote what is secret.
            raise OpenAIError("The token provider for Vertex failed") from None
        if not isinstance(token, str) or not token.strip() or any(not 33 <= ord(each) <= 126 for each in token):
            raise OpenAIError("The token provider for Vertex has to give a token that can stand in a header")
        return {"authorization": f"Bearer {token}"}


class _TimelyToken(Token):
    """A token that has to be there in time, where time can be kept: in an event loop."""

    __slots__ = ("seconds",)

    def __init__(self, function: Callable[[], Any], seconds: float | None) -> None:
        super().__init__(function, "A coroutine function for tokens of Vertex needs AsyncOpenAI")
        self.seconds = seconds

    async def aperform(self, world: World) -> Any:
        begun = time.monotonic()
        if in_trio():
            import trio

            with trio.fail_after(float("inf") if self.seconds is None else self.seconds):
                token = await super().aperform(world)
        else:
            import asyncio

            async with asyncio.timeout(self.seconds):
                token = await super().aperform(world)
        # A function that blocks is not interrupted; that it was late is seen when it is done.
        if self.seconds is not None and time.monotonic() - begun >= self.seconds:
            raise TimeoutError
        return token


class _InThread(Step["dict[str, str]"]):
    """Call what blocks; whoever waits in an event loop may give up, and leaves it to its thread."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], dict[str, str]]) -> None:
        self.function = function

    def perform(self, world: World) -> dict[str, str]:
        return self.function()

    async def aperform(self, world: World) -> dict[str, str]:
        if in_trio():
            import trio

            return await trio.to_thread.run_sync(self.function, abandon_on_cancel=True)
        import asyncio

        return await asyncio.to_thread(self.function)


class _Google(_Vertex):
    """The credentials of google-auth: those given, or those the machine has. They are kept, and renewed, by it."""

    def __init__(self, base_url: str, credentials: Any) -> None:
        super().__init__(base_url)
        self._given = credentials
        self._found: Any = None
        self._turn = Lock()

    def _headers(self, request: Request, timeout: Timeout) -> Flow[dict[str, str]]:
        added: dict[str, str] = yield _InThread(lambda: self._asked(request, timeout))
        return added

    def _asked(self, request: Request, timeout: Timeout) -> dict[str, str]:
        if not self._turn.acquire(timeout=-1 if timeout.pool is None else max(0.0, timeout.pool)):
            raise APITimeoutError(request)
        try:
            return self._from_google(request, timeout)
        except OpenAIError:
            raise
        except Exception:
            # What went wrong may quote requests and private keys.
            raise OpenAIError(
                "Google refused or lost the credentials for Vertex: look at the application default credentials, the "
                "access to the project and when they end"
            ) from None
        finally:
            self._turn.release()

    def _from_google(self, request: Request, timeout: Timeout) -> dict[str, str]:
        try:
            requests: Any = import_module("requests")
            auth: Any = import_module("google.auth")
            kinds: Any = import_module("google.auth.credentials")
            carrier: Any = import_module("google.auth.transport.requests")
        except ImportError as error:
            raise OpenAIError(_MISSING) from error
        with requests.Session() as session:
            ask = _bounded(carrier, requests, session, request, timeout)
            if self._found is None:
                if self._given is None:
                    self._found, _ = auth.default(scopes=_SCOPES, request=ask)
                else:
                    self._found = kinds.with_scopes_if_required(self._given, scopes=_SCOPES)
            added: dict[str, str] = {}
            self._found.before_request(ask, request.method, request.url, added)
        return added


def _bounded(carrier: Any, requests: Any, session: Any, request: Request, timeout: Timeout) -> Any:
    """What google-auth asks its servers with: within the times of the call it is for."""

    class Bounded(carrier.Request):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().__call__(*args, **{**kwargs, "timeout": (timeout.connect, timeout.read)})
            except Exception as error:
                if isinstance(error.__cause__, requests.exceptions.Timeout):
                    raise APITimeoutError(request) from None
                raise

    return Bounded(session)


class VertexProvider(CloudProvider):
    """Google Vertex AI, with the caller's tokens or with Google's credentials."""

    __slots__ = ("_base_url", "_credentials", "_token")
    name = "vertex"

    def __init__(self, base_url: str, token: Callable[[], Any] | None, credentials: Any) -> None:
        self._base_url, self._token, self._credentials = base_url, token, credentials

    def _route(self) -> Route:
        url = self._base_url
        signer = _Google(url, self._credentials) if self._token is None else _Tokens(url, self._token)
        return Route(url, signer, False)


def vertex(
    *,
    project: str | None = None,
    location: str | None = None,
    base_url: str | None = None,
    token_provider: VertexTokenProvider | None = None,
    credentials: Credentials | None = None,
) -> CloudProvider:
    """The Responses API on Google Vertex AI.

    - `project`: the project's id; or `GOOGLE_CLOUD_PROJECT`.
    - `location`: such as `us-east5` or `global`; or `GOOGLE_CLOUD_LOCATION`.
    - `base_url`: the whole address up to `/responses`, in place of both.
    - `token_provider`: called for a token before each attempt; in `AsyncOpenAI` it may be a coroutine function, and
      should not block.
    - `credentials`: of google-auth. Without either, the machine's own (application default credentials), which need
      `antiphon[vertex]`.

    Redirects are not followed. Raises `OpenAIError` for what is missing or contradicts itself.
    """
    if token_provider is not None and credentials is not None:
        raise OpenAIError("`credentials` and `token_provider` say the same thing: give only one")
    if base_url is None:
        base_url = _address(
            project or os.environ.get("GOOGLE_CLOUD_PROJECT"), location or os.environ.get("GOOGLE_CLOUD_LOCATION")
        )
    url = str(base_url)
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    beside = parts.username or parts.password or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not host or beside:
        raise OpenAIError("The base_url of Vertex is an HTTP(S) address without credentials, query or fragment")
    if parts.scheme != "https" and (host == "googleapis.com" or host.endswith(".googleapis.com")):
        raise OpenAIError("Google's own addresses are asked by HTTPS")
    return VertexProvider(url, token_provider, credentials)


def _address(project: str | None, location: str | None) -> str:
    if not project or not _PROJECT.fullmatch(project):
        raise OpenAIError("Vertex needs a project ID: give `project` or set GOOGLE_CLOUD_PROJECT")
    if not location or not _LOCATION.fullmatch(location):
        raise OpenAIError("Vertex needs a location: give `location` or set GOOGLE_CLOUD_LOCATION")
    host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1/projects/{project}/locations/{location}/publishers/openai/v1"
