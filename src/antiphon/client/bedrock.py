"""`BedrockOpenAI` and `AsyncBedrockOpenAI`: Amazon Bedrock as a client of its own, whose settings may be changed.

`OpenAI(provider=bedrock(...))` does the same and is what new code uses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias

from ..kernel.errors import OpenAIError
from ..kernel.omit import NotGiven, Omit, not_given
from .base import DEFAULT_MAX_RETRIES, BaseClient
from .client import AsyncOpenAI, OpenAI
from .clouds.bedrock import AwsCredentialsProvider, bedrock, place_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ..kernel.operation import AnyOperation
    from ..kernel.options import Timeout
    from ..transports import Transportable
    from .clouds.provider import CloudProvider
    from .credentials import Credential
    from .hooks import Hooked

__all__ = ("AsyncBedrockOpenAI", "BedrockOpenAI")

BedrockTokenProvider: TypeAlias = Callable[[], str]
AsyncBedrockTokenProvider: TypeAlias = Callable[[], "str | Awaitable[str]"]

_NOT_SETTINGS: Final = ("self", "__class__", "provider", "data_residency", "admin_api_key", "workload_identity")
"""Names in a `copy` that the copy is not made with."""
_AWS: Final = {
    "aws_profile": "profile",
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "aws_credentials_provider": "credential_provider",
}
"""Our arguments, and what `bedrock` calls them."""


class _Who(NamedTuple):
    """Who asks, where that is not `api_key`, and whether it was one in the beginning."""

    token_provider: Callable[[], Any] | None
    aws: dict[str, Any]
    bearer: bool

    def __repr__(self) -> str:
        return "_Who(...)"


class _Where(NamedTuple):
    """What was said of the place that is asked."""

    region_is_given: bool
    """Rather than found in the environment, or the profile."""
    url_is_derived: bool
    """From the region."""


def _who(api_key: object, token_provider: Callable[[], Any] | None, aws: dict[str, Any]) -> tuple[str, _Who]:
    """The bearer token, where there is one, and the rest of who asks."""
    if callable(api_key):
        raise OpenAIError("A function for tokens of Bedrock is given as `bedrock_token_provider`, not as `api_key`")
    if api_key == "":
        raise OpenAIError("`api_key` must not be empty")
    given = {name: value for name, value in aws.items() if value is not None}
    if (api_key is not None) + (token_provider is not None) + bool(given) > 1:
        raise OpenAIError(
            "Who asks Bedrock is ambiguous: give `api_key`, `bedrock_token_provider` or credentials of AWS, one of them"
        )
    key: Any = api_key
    if key is None and token_provider is None and not given:
        # Taken down now, unlike that of `bedrock`, which looks before each attempt.
        key = os.environ.get("AWS_BEARER_TOKEN_BEDROCK")
    return key or "", _Who(token_provider, given, bool(key))


def _provider(who: _Who, key: str, region: str | None, base_url: str | NotGiven | None) -> CloudProvider:
    return bedrock(
        region=region,
        base_url=base_url,
        api_key=key or None,
        token_provider=who.token_provider,
        **who.aws,
    )


def _url(base_url: str | None) -> str | NotGiven | None:
    """An address as `bedrock` takes it: here an empty one ignores the environment."""
    return not_given if base_url is None else str(base_url).strip() or None


class _Bedrock(BaseClient):
    """What both clients of Bedrock do differently: who asks, and where, is looked at before each call."""

    _who: _Who
    _where: _Where
    _stale: bool
    """Whether something was changed since the route was found."""
    aws_region: str | None

    def _is_bedrock(self, who: _Who, key: str, region: str | None, base_url: str | None) -> None:
        route = self._route
        assert route is not None
        place = place_of(self._base_url)
        said = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        url = os.environ.get("AWS_BEDROCK_BASE_URL") if base_url is None else str(base_url)
        vars(self).update(
            _who=who,
            _where=_Where(bool(region and region.strip()), not (url or "").strip()),
            _stale=False,
            api_key=key,
            aws_region=said.strip() or route.region or (None if place is None else place[1]),
        )

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if "_where" not in vars(self):
            return
        where = self._where
        if name == "base_url":
            vars(self).update(_where=where._replace(url_is_derived=False), _stale=True)
        elif name == "api_key":
            vars(self).update(api_key=value or "", _stale=True)
        elif name == "aws_region":
            vars(self).update(_where=where._replace(region_is_given=value is not None), _stale=True)
            if where.url_is_derived and value is not None:
                super().__setattr__("base_url", bedrock(region=value, base_url=None, api_key="any")._route().base_url)

    def _identity(self) -> tuple[_Who, str]:
        """Who asks now, and with what token."""
        who = self._who
        if who.token_provider is not None or not (who.bearer or self.api_key):
            return who, ""
        if not self.api_key:
            raise OpenAIError("The bearer credential of Bedrock must not be empty")
        return who._replace(aws={}), self.api_key

    def _signer(self) -> Credential:
        """What proves who is asking, found anew where that, or the place, has changed."""
        if self._stale:
            who, key = self._identity()
            # A token is good anywhere: its region is compared with the address only where somebody said one.
            loose = bool(key or who.token_provider) and not self._where.region_is_given
            route = _provider(who, key, None if loose else self.aws_region, self._base_url)._route()
            vars(self).update(_route=route, _credential=route.signer, _stale=False)
            if self.aws_region is None:
                vars(self)["aws_region"] = route.region
        assert self._credential is not None
        return self._credential

    def _token(self, operation: AnyOperation) -> Credential | None:
        return self._signer()

    def _copy(self, changes: dict[str, Any]) -> Self:
        identified = any(changes[name] is not None for name in ("api_key", "bedrock_token_provider", *_AWS))
        region, url = changes["aws_region"], changes["base_url"]
        placed = region is not None or url is not None
        if not identified and not placed:
            self._signer()
        copied = type(self)(**self._copied(changes))
        where = copied._where._replace(region_is_given=region is not None or self._where.region_is_given)
        vars(copied)["_where"] = where
        if not identified and not placed:
            # The same in every respect, whatever the environment says by now.
            same = ("_who", "_where", "_stale", "_route", "_credential", "api_key", "aws_region")
            vars(copied).update({name: vars(self)[name] for name in same})
        return copied

    def _copied(self, changes: dict[str, Any]) -> dict[str, Any]:
        key, token_provider = changes.pop("api_key"), changes.pop("bedrock_token_provider")
        aws = {name: changes.pop(name) for name in _AWS}
        url, region = changes.pop("base_url"), changes.pop("aws_region")
        arguments = super()._copied(changes)
        arguments.pop("provider", None)
        who = self._identified(key, token_provider, aws)
        arguments |= who | self._placed(region, url, who)
        arguments.setdefault("http_client", arguments.pop("transport", None))
        # A class of somebody's that is derived from ours may know fewer arguments.
        return {name: value for name, value in arguments.items() if name == "timeout" or value not in (None, ())}

    def _identified(self, key: Any, token_provider: Any, aws: dict[str, Any]) -> dict[str, Any]:
        """Who the copy asks as: what is given, or else whoever this client asks as."""
        if key is None and token_provider is None and all(value is None for value in aws.values()):
            who, key = self._identity()
            token_provider, aws = who.token_provider, {ours: who.aws.get(theirs) for ours, theirs in _AWS.items()}
        return {"api_key": key or None, "bedrock_token_provider": token_provider, **aws}

    def _placed(self, region: str | None, url: str | None, who: dict[str, Any]) -> dict[str, Any]:
        """Where the copy asks. An empty address stands for that of the region."""
        where = self._where
        fresh = self.aws_region if region is None else region
        if region is None and not where.region_is_given:
            bearer = who["api_key"] is not None or who["bedrock_token_provider"] is not None
            elsewhere = not where.url_is_derived if url is None else bool(url.strip())
            if who["aws_profile"] is not None or (bearer and elsewhere):
                fresh = None
        if url is None:
            url = "" if where.url_is_derived else self._base_url
        return {"aws_region": fresh, "base_url": url}


def _refuse(provider: object, data_residency: object, admin_api_key: object, workload_identity: object) -> None:
    """What a client of OpenAI can be given and one of Bedrock cannot."""
    if not isinstance(provider, NotGiven):
        raise OpenAIError("`provider` is an option of `OpenAI`; a client of Bedrock is one already")
    if data_residency is not None:
        raise OpenAIError("`data_residency` is an address of OpenAI; a client of Bedrock has `aws_region`")
    if admin_api_key is not None or workload_identity is not None:
        raise OpenAIError("A client of Bedrock asks with a bearer token or with credentials of AWS, and nothing else")


class BedrockOpenAI(_Bedrock, OpenAI):
    """The OpenAI API as Amazon Bedrock serves it. Calls block until they are answered.

    - `aws_region`: or `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile's.
    - `base_url`: the whole address in place of the region's, or `AWS_BEDROCK_BASE_URL`; an empty one ignores that.
    - `api_key`, `bedrock_token_provider`, or credentials of AWS: `aws_access_key_id` and `aws_secret_access_key`
      (and `aws_session_token`), `aws_profile`, `aws_credentials_provider`. One of them; without any,
      `AWS_BEARER_TOKEN_BEDROCK` or AWS's own chain of credentials. Signing needs `antiphon[bedrock]`.

    The rest is as for `OpenAI`. `api_key`, `aws_region` and `base_url` may be assigned, and hold for the calls that
    follow. Raises `OpenAIError` for what is missing or contradicts itself.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        bedrock_token_provider: BedrockTokenProvider | None = None,
        aws_region: str | None = None,
        aws_profile: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        aws_credentials_provider: AwsCredentialsProvider | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        base_url: str | None = None,
        websocket_base_url: str | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str | Omit] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: Transportable | None = None,
        transport: Transportable | None = None,
        hooks: Hooked | None = None,
        _enforce_credentials: bool = True,
    ) -> None:
        key, who = _who(
            api_key,
            bedrock_token_provider,
            {
                "profile": aws_profile,
                "access_key_id": aws_access_key_id,
                "secret_access_key": aws_secret_access_key,
                "session_token": aws_session_token,
                "credential_provider": aws_credentials_provider,
            },
        )
        super().__init__(
            provider=_provider(who, key, aws_region, _url(base_url)),
            organization=organization,
            project=project,
            webhook_secret=webhook_secret,
            websocket_base_url=websocket_base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            http_client=http_client,
            transport=transport,
            hooks=hooks,
        )
        self._is_bedrock(who, key, aws_region, base_url)

    def copy(  # type: ignore[override]
        self,
        *,
        api_key: str | None = None,
        admin_api_key: str | None = None,
        workload_identity: Mapping[str, Any] | None = None,
        provider: object = not_given,
        bedrock_token_provider: BedrockTokenProvider | None = None,
        aws_region: str | None = None,
        aws_profile: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        aws_credentials_provider: AwsCredentialsProvider | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        websocket_base_url: str | None = None,
        base_url: str | NotGiven | None = not_given,
        data_residency: object = None,
        timeout: float | Timeout | None | NotGiven = not_given,
        max_retries: int | NotGiven = not_given,
        default_headers: Mapping[str, str | Omit] | None = None,
        set_default_headers: Mapping[str, str | Omit] | None = None,
        default_query: Mapping[str, object] | None = None,
        set_default_query: Mapping[str, object] | None = None,
        http_client: Transportable | None = None,
        transport: Transportable | None = None,
        hooks: Hooked | None = None,
    ) -> Self:
        """A client with some settings changed, over the same connections. See `OpenAI.copy`.

        Another way to ask takes the place of the one there is; another region changes the address, where that
        follows from the region, and `base_url=""` has it follow again.
        """
        _refuse(provider, data_residency, admin_api_key, workload_identity)
        base_url = None if isinstance(base_url, NotGiven) else base_url
        changes = {name: value for name, value in locals().items() if name not in _NOT_SETTINGS}
        return self._copy(changes)

    with_options = copy  # type: ignore[assignment]


class AsyncBedrockOpenAI(_Bedrock, AsyncOpenAI):
    """The OpenAI API as Amazon Bedrock serves it, its calls coroutines.

    The arguments are those of `BedrockOpenAI`, but that `bedrock_token_provider` may be a coroutine function.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        bedrock_token_provider: AsyncBedrockTokenProvider | None = None,
        aws_region: str | None = None,
        aws_profile: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        aws_credentials_provider: AwsCredentialsProvider | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        base_url: str | None = None,
        websocket_base_url: str | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str | Omit] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: Transportable | None = None,
        transport: Transportable | None = None,
        hooks: Hooked | None = None,
        _enforce_credentials: bool = True,
    ) -> None:
        key, who = _who(
            api_key,
            bedrock_token_provider,
            {
                "profile": aws_profile,
                "access_key_id": aws_access_key_id,
                "secret_access_key": aws_secret_access_key,
                "session_token": aws_session_token,
                "credential_provider": aws_credentials_provider,
            },
        )
        super().__init__(
            provider=_provider(who, key, aws_region, _url(base_url)),
            organization=organization,
            project=project,
            webhook_secret=webhook_secret,
            websocket_base_url=websocket_base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            http_client=http_client,
            transport=transport,
            hooks=hooks,
        )
        self._is_bedrock(who, key, aws_region, base_url)

    def copy(  # type: ignore[override]
        self,
        *,
        api_key: str | None = None,
        admin_api_key: str | None = None,
        workload_identity: Mapping[str, Any] | None = None,
        provider: object = not_given,
        bedrock_token_provider: AsyncBedrockTokenProvider | None = None,
        aws_region: str | None = None,
        aws_profile: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        aws_credentials_provider: AwsCredentialsProvider | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        websocket_base_url: str | None = None,
        base_url: str | NotGiven | None = not_given,
        data_residency: object = None,
        timeout: float | Timeout | None | NotGiven = not_given,
        max_retries: int | NotGiven = not_given,
        default_headers: Mapping[str, str | Omit] | None = None,
        set_default_headers: Mapping[str, str | Omit] | None = None,
        default_query: Mapping[str, object] | None = None,
        set_default_query: Mapping[str, object] | None = None,
        http_client: Transportable | None = None,
        transport: Transportable | None = None,
        hooks: Hooked | None = None,
    ) -> Self:
        """A client with some settings changed, over the same connections. See `OpenAI.copy`.

        Another way to ask takes the place of the one there is; another region changes the address, where that
        follows from the region, and `base_url=""` has it follow again.
        """
        _refuse(provider, data_residency, admin_api_key, workload_identity)
        base_url = None if isinstance(base_url, NotGiven) else base_url
        changes = {name: value for name, value in locals().items() if name not in _NOT_SETTINGS}
        return self._copy(changes)

    with_options = copy  # type: ignore[assignment]
