"""`AzureOpenAI` and `AsyncAzureOpenAI`: the API as Azure serves it.

    address       {azure_endpoint}/openai/…?api-version=…, with /deployments/{name} before what a deployment answers
    who asks      `api-key`, or `Authorization: Bearer` with a token of Microsoft Entra ID

https://learn.microsoft.com/en-us/azure/ai-services/openai/reference
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias
from urllib.parse import quote

from ..kernel.errors import OpenAIError
from ..kernel.omit import NotGiven, Omit, not_given
from ..kernel.operation import SEGMENT
from .base import DEFAULT_MAX_RETRIES, BaseClient
from .client import AsyncOpenAI, OpenAI
from .credentials import Called

if TYPE_CHECKING:
    from ..kernel.http import Headers
    from ..kernel.operation import AnyOperation, Bound
    from ..kernel.options import Timeout
    from ..kernel.websocket import Dial
    from ..transports import Transportable
    from .credentials import Credential
    from .hooks import Hooked
    from .plan import Plan, Prepared

__all__ = ("AsyncAzureOpenAI", "AzureOpenAI", "MutuallyExclusiveAuthError")

AzureADTokenProvider: TypeAlias = Callable[[], str]
AsyncAzureADTokenProvider: TypeAlias = Callable[[], str] | Callable[[], Awaitable[str]]

_DEPLOYED: Final = frozenset(
    (
        "/completions",
        "/chat/completions",
        "/embeddings",
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/speech",
        "/images/generations",
        "/images/edits",
    )
)
"""What a deployment of a model answers; the rest is asked of the resource itself."""

_AUTH: Final = ("api_key", "azure_ad_token", "azure_ad_token_provider")


class MutuallyExclusiveAuthError(OpenAIError):
    """More than one way to say who is asking."""

    def __init__(self) -> None:
        super().__init__("`api_key`, `azure_ad_token` and `azure_ad_token_provider` say the same thing: give one")


def _checked(token: object) -> str:
    if not isinstance(token, str) or not token:
        raise ValueError("`azure_ad_token_provider` has to give a token that is not empty")
    return token


class _EntraToken(Called):
    """A function that gives a token of Microsoft Entra ID."""

    def value(self) -> Any:
        from ..kernel.flow import Await

        token = self.function()
        if hasattr(token, "__await__"):
            token = yield Await(token)
        return f"Bearer {_checked(token)}"


def _who(api_key: Any, token: str | None, provider: Any) -> tuple[Any, str | None, Any]:
    """Who asks: what was given, or else what the environment says."""
    if sum(each is not None for each in (api_key, token, provider)) > 1:
        raise MutuallyExclusiveAuthError
    if api_key is not None or token is not None or provider is not None:
        return api_key, token, provider
    token = os.environ.get("AZURE_OPENAI_AD_TOKEN")
    return (os.environ.get("AZURE_OPENAI_API_KEY"), None, None) if token is None else (None, token, None)


def _deployment(name: object) -> str:
    """The part of an address that leads to a deployment."""
    text = str(name)
    if text in (".", ".."):
        raise ValueError(f"a deployment cannot be {text!r}: that is a dot-segment, which leads elsewhere in an address")
    return f"/deployments/{quote(text, safe=SEGMENT)}"


def _where(base_url: str | None, endpoint: str | None, deployment: str | None) -> tuple[str, str | None]:
    """The base address, and the endpoint it was made of."""
    if base_url is not None:
        if endpoint is not None:
            raise ValueError("`base_url` and `azure_endpoint` are both addresses: give one")
        return str(base_url), None
    endpoint = endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
    if endpoint is None:
        raise ValueError("Azure needs an address: give `azure_endpoint` or `base_url`, or set AZURE_OPENAI_ENDPOINT")
    place = "" if deployment is None else _deployment(deployment)
    return f"{endpoint.rstrip('/')}/openai{place}", endpoint


class _Azure(BaseClient):
    """What both clients of Azure do differently."""

    _api_version: str
    _azure_ad_token: str | None
    _azure_ad_token_provider: Callable[[], Any] | None
    _azure_endpoint: str | None
    _azure_deployment: str | None

    def _is_azure(
        self, version: str, token: str | None, provider: Any, endpoint: str | None, deployment: str | None
    ) -> None:
        credential: Credential | None = None
        if provider is not None:
            credential = _EntraToken(provider)
        elif self._api_key_provider is not None:
            credential = Called(self._api_key_provider, header="api-key", prefix="")
        vars(self).update(
            _api_version=version,
            _azure_ad_token=token,
            _azure_ad_token_provider=provider,
            _azure_endpoint=endpoint,
            _azure_deployment=None if endpoint is None else deployment,
            _credential=credential,
        )

    def _auth(self, operation: AnyOperation) -> dict[str, str | Omit]:
        if self._azure_ad_token is not None:
            return {"authorization": f"Bearer {self._azure_ad_token}"}
        return {"api-key": self.api_key} if self.api_key else {}

    def _token(self, operation: AnyOperation) -> Credential | None:
        credential = self._credential
        return None if credential is None or credential.header in self._custom_headers else credential

    def _check_credentials(self, operation: AnyOperation, explicit: frozenset[str], base: Headers) -> None:
        known = "api-key" in explicit or base.get("api-key") is not None or self._token(operation) is not None
        if known or any(isinstance(self._custom_headers.get(name), Omit) for name in ("authorization", "api-key")):
            return
        raise TypeError(
            f"Could not resolve authentication method: {operation.name}() needs `api_key`, `azure_ad_token` or "
            "`azure_ad_token_provider`, or an `Authorization` or `api-key` header of your own, or one left out."
        )

    def _prepare(self, plan: Plan, bound: Bound) -> Prepared:
        prepared = super()._prepare(plan, bound)
        origin, path = self._place(bound.path, bound.body)
        return prepared._replace(request=prepared.request._replace(path=path, origin=origin))

    def _place(self, path: str, body: object) -> tuple[str, str]:
        if path in _DEPLOYED:
            model = body.get("model") if isinstance(body, Mapping) else None
            deployed = model is None or "/deployments" in self._prefix
            return self._origin, f"{self._prefix}{'' if deployed else _deployment(model)}{path}"
        if self._azure_endpoint is None or self._azure_deployment is None:
            return self._origin, self._prefix + path
        scheme, _, rest = self._azure_endpoint.rstrip("/").partition("://")
        authority, slash, place = rest.partition("/")
        return f"{scheme}://{authority}", f"{slash}{place}/openai{path}"

    def _dialed(self, dial: Dial) -> tuple[str, Dial]:
        base = self._base_url if self._azure_endpoint is None else f"{self._azure_endpoint.rstrip('/')}/openai"
        base = self.websocket_base_url or base
        if dial.path != "/realtime":
            return base, dial
        # A deployment is what answers here, whatever model it is of.
        model = dial.query.get("model")
        if not model:
            raise OpenAIError("Azure needs `model`, or the deployment, to begin a realtime connection")
        fixed = {"api-version": self._api_version, "deployment": self._azure_deployment or model}
        return base, dial._replace(query={}, fixed_query={**dial.fixed_query, **fixed})

    def _sending(self, made: Any) -> Any:
        from ..transports.redirects import redirecting

        return redirecting(made)

    def _copied(self, changes: dict[str, Any]) -> dict[str, Any]:
        arguments = super()._copied(changes)
        arguments.pop("workload_identity", None)
        arguments.setdefault("api_version", self._api_version)
        current = {
            "api_key": self._api_key_provider or self.api_key or None,
            "azure_ad_token": self._azure_ad_token,
            "azure_ad_token_provider": self._azure_ad_token_provider,
        }
        changed = any(changes.get(name) is not None for name in _AUTH)
        return arguments | ({name: changes.get(name) for name in _AUTH} if changed else current)

    def _share(self, copied: BaseClient) -> None:
        if copied._base_url == self._base_url:
            vars(copied).update(_azure_endpoint=self._azure_endpoint, _azure_deployment=self._azure_deployment)


def _version(given: str | None) -> str:
    version = given or os.environ.get("OPENAI_API_VERSION")
    if version is None:
        raise ValueError("Azure needs to know the version of its API: give `api_version` or set OPENAI_API_VERSION")
    return version


_MISSING = (
    "Missing credentials: give `api_key`, `azure_ad_token` or `azure_ad_token_provider`, or set AZURE_OPENAI_API_KEY "
    "or AZURE_OPENAI_AD_TOKEN."
)


class AzureOpenAI(_Azure, OpenAI):
    """The OpenAI API as Azure serves it. Calls block until they are answered.

    - `azure_endpoint`: the resource, such as `https://my-resource.openai.azure.com`; or `AZURE_OPENAI_ENDPOINT`.
    - `azure_deployment`: the deployment that is asked. Without one, the `model` of each call names it.
    - `base_url`: the whole address, in place of both.
    - `api_version`: such as `2024-10-21`; or `OPENAI_API_VERSION`.
    - `api_key`, `azure_ad_token` or `azure_ad_token_provider`, one of them: a key, a token of Microsoft Entra ID, a
      function called for a token before every attempt. Without any, `AZURE_OPENAI_AD_TOKEN` or `AZURE_OPENAI_API_KEY`.

    The rest is as for `OpenAI`. Raises `OpenAIError` where there is no credential or more than one, `ValueError`
    where there is no address or no version.
    """

    def __init__(
        self,
        *,
        api_version: str | None = None,
        azure_endpoint: str | None = None,
        azure_deployment: str | None = None,
        api_key: str | Callable[[], str] | None = None,
        admin_api_key: str | None = None,
        azure_ad_token: str | None = None,
        azure_ad_token_provider: AzureADTokenProvider | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        websocket_base_url: str | None = None,
        base_url: str | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str | Omit] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: Transportable | None = None,
        transport: Transportable | None = None,
        hooks: Hooked | None = None,
        _enforce_credentials: bool = True,
    ) -> None:
        key, token, provider = _who(api_key, azure_ad_token, azure_ad_token_provider)
        if _enforce_credentials and key is None and token is None and provider is None:
            raise OpenAIError(_MISSING)
        version = _version(api_version)
        url, endpoint = _where(base_url, azure_endpoint, azure_deployment)
        super().__init__(
            api_key=key or "",
            admin_api_key=admin_api_key,
            organization=organization,
            project=project,
            webhook_secret=webhook_secret,
            websocket_base_url=websocket_base_url,
            base_url=url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query={**(default_query or {}), "api-version": version},
            http_client=http_client,
            transport=transport,
            hooks=hooks,
            _enforce_credentials=False,
        )
        self._is_azure(version, token, provider, endpoint, azure_deployment)

    def copy(  # type: ignore[override]
        self,
        *,
        api_key: str | Callable[[], str] | None = None,
        admin_api_key: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        websocket_base_url: str | None = None,
        api_version: str | None = None,
        azure_ad_token: str | None = None,
        azure_ad_token_provider: AzureADTokenProvider | None = None,
        base_url: str | None = None,
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
        """A client with some settings changed, over the same connections. See `OpenAI.copy`."""
        changes = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        copied = type(self)(**self._copied(changes))
        self._share(copied)
        return copied

    with_options = copy  # type: ignore[assignment]


class AsyncAzureOpenAI(_Azure, AsyncOpenAI):
    """The OpenAI API as Azure serves it, its calls coroutines.

    The arguments are those of `AzureOpenAI`, but that functions for keys and tokens may be coroutine functions.
    """

    def __init__(
        self,
        *,
        api_version: str | None = None,
        azure_endpoint: str | None = None,
        azure_deployment: str | None = None,
        api_key: str | Callable[[], Awaitable[str]] | Callable[[], str] | None = None,
        admin_api_key: str | None = None,
        azure_ad_token: str | None = None,
        azure_ad_token_provider: AsyncAzureADTokenProvider | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        websocket_base_url: str | None = None,
        base_url: str | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str | Omit] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: Transportable | None = None,
        transport: Transportable | None = None,
        hooks: Hooked | None = None,
        _enforce_credentials: bool = True,
    ) -> None:
        key, token, provider = _who(api_key, azure_ad_token, azure_ad_token_provider)
        if _enforce_credentials and key is None and token is None and provider is None:
            raise OpenAIError(_MISSING)
        version = _version(api_version)
        url, endpoint = _where(base_url, azure_endpoint, azure_deployment)
        super().__init__(
            api_key=key or "",
            admin_api_key=admin_api_key,
            organization=organization,
            project=project,
            webhook_secret=webhook_secret,
            websocket_base_url=websocket_base_url,
            base_url=url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query={**(default_query or {}), "api-version": version},
            http_client=http_client,
            transport=transport,
            hooks=hooks,
            _enforce_credentials=False,
        )
        self._is_azure(version, token, provider, endpoint, azure_deployment)

    def copy(  # type: ignore[override]
        self,
        *,
        api_key: str | Callable[[], Awaitable[str]] | Callable[[], str] | None = None,
        admin_api_key: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        websocket_base_url: str | None = None,
        api_version: str | None = None,
        azure_ad_token: str | None = None,
        azure_ad_token_provider: AsyncAzureADTokenProvider | None = None,
        base_url: str | None = None,
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
        """A client with some settings changed, over the same connections. See `OpenAI.copy`."""
        changes = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        copied = type(self)(**self._copied(changes))
        self._share(copied)
        return copied

    with_options = copy  # type: ignore[assignment]
