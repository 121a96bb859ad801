"""Amazon Bedrock: `OpenAI(provider=bedrock(region="us-east-1"))`.

    mantle     https://bedrock-mantle.{region}.api.aws/openai/v1
    runtime    https://bedrock-runtime.{region}.amazonaws.com/openai/v1, elsewhere in other partitions

https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from ...kernel.errors import OpenAIError
from ...kernel.flow import Call
from ...kernel.http import Headers
from ...kernel.omit import NotGiven, not_given
from .aws import NO_CREDENTIALS, NO_REGION, AwsIdentity, AwsSigner, open_session, region_of
from .provider import CloudProvider, Route, Signer, Token, origin

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.http import Request

__all__ = ("AwsCredentialsProvider", "BedrockEndpoint", "BedrockTokenProvider", "bedrock")

BedrockEndpoint: TypeAlias = Literal["mantle", "runtime"]
BedrockTokenProvider: TypeAlias = Callable[[], "str | Awaitable[str]"]
AwsCredentialsProvider: TypeAlias = Callable[[], object]
"""Gives an object with `access_key`, `secret_key` and `token`, or one of botocore's."""

SERVICES: Final[dict[BedrockEndpoint, str]] = {"mantle": "bedrock-mantle", "runtime": "bedrock"}
"""What the endpoints are called in a signature."""
_REGION: Final = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]+)+-\d+")
_MANTLE_DOMAIN: Final = "api.aws"
_DOMAINS: Final = {
    "cn-": ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "eusc-": ("amazonaws.eu", "api.amazonwebservices.eu"),
    "us-iso-": ("c2s.ic.gov", "api.aws.ic.gov"),
    "us-isob-": ("sc2s.sgov.gov", "api.aws.scloud"),
    "eu-isoe-": ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    "us-isof-": ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    "": ("amazonaws.com", "api.aws"),
}
"""The domains of a partition, by how its regions begin; those of the second kind speak IPv6 too."""


def _domains(region: str) -> tuple[str, str]:
    return next(domains for begin, domains in _DOMAINS.items() if region.startswith(begin))


def place_of(url: str) -> tuple[BedrockEndpoint, str] | None:
    """The endpoint and the region of an address of Amazon's own; `None` for any other."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    service, _, rest = host.partition(".")
    region, _, domain = rest.partition(".")
    if not _REGION.fullmatch(region):
        return None
    if service == "bedrock-mantle" and domain == _MANTLE_DOMAIN:
        return "mantle", region
    if service in ("bedrock-runtime", "bedrock-runtime-fips") and domain in _domains(region):
        return "runtime", region
    return None


def _default_url(endpoint: BedrockEndpoint, region: str) -> str:
    domain = _domains(region)[0] if endpoint == "runtime" else _MANTLE_DOMAIN
    return f"https://bedrock-{endpoint}.{region}.{domain}/openai/v1"


def _api_root(url: str) -> str:
    """An address without what follows the root of the API: people copy that of `/responses`."""
    parts = urlsplit(url)
    path = re.sub(r"/responses(?:/.*)?$", "", parts.path.rstrip("/"))
    return urlunsplit(parts._replace(path=path or "/"))


def _check_region(region: str | None) -> None:
    if region is not None and not _REGION.fullmatch(region):
        raise OpenAIError(f"The `region` of Bedrock is invalid: it was {region!r}, and is one such as us-east-1")


def _check_place(url: str, endpoint: BedrockEndpoint, region: str | None) -> None:
    place = place_of(url)
    if place is None:
        return
    if urlsplit(url).scheme != "https":
        raise OpenAIError("Amazon's own addresses are asked by HTTPS")
    if place[0] != endpoint:
        raise OpenAIError(
            f"The host is of the {place[0]} endpoint, and does not match the selected `{endpoint}`: give "
            f"endpoint={place[0]!r}"
        )
    if region is not None and place[1] != region:
        raise OpenAIError(
            f"The endpoint region {place[1]!r} of the address does not match the region {region!r} that was given"
        )


def _check_headers(request: Request) -> None:
    if request.headers.get("authorization") is not None:
        raise OpenAIError("Bedrock says who is asking: a custom `Authorization` header cannot be given beside it")


class _Bearer(Signer):
    """A token, asked for before each attempt."""

    def __init__(self, function: Callable[[], Any], base_url: str) -> None:
        self._function, self._origin = function, origin(base_url)

    def signed(self, request: Request, timeout: Any) -> Flow[Request]:
        _check_headers(request)
        if origin(request.origin) != self._origin:
            raise OpenAIError("A token for Bedrock is not sent to an origin other than the provider's own URL")
        try:
            token = yield Token(self._function, "A coroutine function for tokens of Bedrock needs AsyncOpenAI")
        except OpenAIError:
            raise
        except Exception as error:
            raise OpenAIError("A bearer token for Bedrock cannot be had") from error
        if not isinstance(token, str) or not token.strip():
            raise OpenAIError("The function for tokens of Bedrock has to give text that is not empty")
        return request._replace(headers=request.headers.replaced({"authorization": f"Bearer {token}"}))


class _Sigv4(Signer):
    """A signature over each attempt."""

    def __init__(self, identity: AwsIdentity, endpoint: BedrockEndpoint, region: str, url: str, session: Any) -> None:
        self._endpoint: BedrockEndpoint = endpoint
        self._identity, self._region = identity, region
        self._origin, self._session = origin(url), session
        self._signer: AwsSigner | None = None

    def signed(self, request: Request, timeout: Any) -> Flow[Request]:
        _check_headers(request)
        if origin(request.origin) != self._origin:
            raise OpenAIError("Nothing is signed for an origin other than the provider's own URL")
        _check_place(request.origin, self._endpoint, self._region)
        body = request.body
        if not isinstance(body, bytes):
            if not body.replayable:
                raise OpenAIError(
                    "A signature needs a replayable request body: read it into memory first, or ask with a bearer token"
                )
            body = yield Call(body.read)
        headers = yield Call(self._sign, request, body)
        return request._replace(headers=Headers.of(headers), body=body)

    def _sign(self, request: Request, body: bytes) -> list[tuple[str, str]]:
        # On a worker thread where there is an event loop: credentials may come from a file or over a network.
        signer = self._signer
        if signer is None:
            signer = self._signer = AwsSigner(
                self._identity, region=self._region, service=SERVICES[self._endpoint], session=self._session
            )
        return signer.sign(request.method, request.url, request.headers.pairs, body)


def _environment_token() -> str:
    token = os.environ.get("AWS_BEARER_TOKEN_BEDROCK")
    if not token:
        raise OpenAIError(NO_CREDENTIALS)
    return token


class _Where(NamedTuple):
    endpoint: BedrockEndpoint
    region: str | None
    base_url: str | None


class BedrockProvider(CloudProvider):
    """Amazon Bedrock with one way of saying who asks: a function that gives a token, or an identity of AWS."""

    __slots__ = ("_identity", "_token", "_where")
    name = "bedrock"

    def __init__(self, where: _Where, token: Callable[[], Any] | None, identity: AwsIdentity) -> None:
        self._where, self._token, self._identity = where, token, identity

    def _route(self) -> Route:
        endpoint, region, url = self._where
        if self._token is not None:
            if url is None and region is None:
                raise OpenAIError(NO_REGION)
            url = url or _default_url(endpoint, region or "")
            return Route(url, _Bearer(self._token, url), True, region)
        session: Any = None
        if region is None:
            session = open_session(self._identity.profile)
            region = region_of(session)
            _check_region(region)
        url = url or _default_url(endpoint, region)
        _check_place(url, endpoint, region)
        # A signature holds for the address it was made for.
        return Route(url, _Sigv4(self._identity, endpoint, region, url, session), False, region)


def bedrock(
    *,
    endpoint: BedrockEndpoint | None = None,
    region: str | None = None,
    base_url: str | NotGiven | None = not_given,
    api_key: str | NotGiven | None = not_given,
    token_provider: BedrockTokenProvider | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    profile: str | None = None,
    credential_provider: AwsCredentialsProvider | None = None,
) -> CloudProvider:
    """The API on Amazon Bedrock.

    - `endpoint`: `mantle` or `runtime`; the one `base_url` is of, or else `mantle`.
    - `region`: such as `us-east-1`; or `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile's.
    - `base_url`: the whole address, in place of the region's; or `AWS_BEDROCK_BASE_URL`. `None` ignores that.

    Who asks is one of: a bearer token, as `api_key` or from `token_provider`, which is called before each attempt
    and may be a coroutine function in `AsyncOpenAI`; or requests signed with `access_key_id` and
    `secret_access_key` (and `session_token`), with a `profile` of AWS, or with what `credential_provider` gives.
    Without any, `AWS_BEARER_TOKEN_BEDROCK`, unless `api_key` is `None`, or else AWS's own chain of credentials.
    Signing needs `antiphon[bedrock]`.

    Raises `OpenAIError` for what contradicts itself.
    """
    if endpoint is not None and endpoint not in SERVICES:
        raise OpenAIError(f"The `endpoint` of Bedrock is `mantle` or `runtime`; it was {endpoint!r}")
    region = _filled("region", region)
    _check_region(region)
    url = _configured_url(base_url)
    place = None if url is None else place_of(url)
    chosen: BedrockEndpoint = endpoint or ("mantle" if place is None else place[0])
    profile = _filled("profile", profile)
    _check_keys(access_key_id, secret_access_key, session_token)
    key: Any = None if isinstance(api_key, NotGiven) else api_key
    if key is not None and not (isinstance(key, str) and key.strip()):
        raise OpenAIError("The bearer credential of Bedrock must not be empty")
    if key is not None and token_provider is not None:
        raise OpenAIError("`api_key` and `token_provider` are two ways to a bearer token of Bedrock: give one")
    ways = [key or token_provider, access_key_id, profile, credential_provider]
    if sum(way is not None for way in ways) > 1:
        raise OpenAIError(
            "Who asks Bedrock is ambiguous: give a bearer token, static keys, a profile or a credential provider, one"
        )
    token: Callable[[], Any] | None = token_provider
    if key is not None:
        token = lambda: key  # noqa: E731
    elif isinstance(api_key, NotGiven) and not any(ways) and os.environ.get("AWS_BEARER_TOKEN_BEDROCK"):
        token = _environment_token
    if region is None and (url is None or token is None):
        region = (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "").strip() or None
        _check_region(region)
    if url is not None:
        _check_place(url, chosen, region)
    identity = AwsIdentity(profile, access_key_id, secret_access_key, session_token, credential_provider)
    return BedrockProvider(_Where(chosen, region, url), token, identity)


def _filled(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    if not value.strip():
        raise OpenAIError(f"The `{name}` of Bedrock must not be empty")
    return value.strip()


def _configured_url(base_url: str | NotGiven | None) -> str | None:
    if isinstance(base_url, NotGiven):
        url = os.environ.get("AWS_BEDROCK_BASE_URL", "").strip()
        return _api_root(url) if url else None
    if base_url is None:
        return None
    if not str(base_url).strip():
        raise OpenAIError("The `base_url` of Bedrock must not be empty")
    return _api_root(str(base_url))


def _check_keys(access_key_id: str | None, secret_access_key: str | None, session_token: str | None) -> None:
    if (access_key_id is None) != (secret_access_key is None) or (session_token is not None and access_key_id is None):
        raise OpenAIError(
            "Static keys of AWS require both `access_key_id` and `secret_access_key`; a `session_token` is given with "
            "both"
        )
    pair = {"access_key_id": access_key_id, "secret_access_key": secret_access_key, "session_token": session_token}
    for name, value in pair.items():
        if value is not None and not value.strip():
            raise OpenAIError(f"`{name}` must not be empty where static keys of AWS are given")
