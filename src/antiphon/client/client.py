"""`OpenAI` and `AsyncOpenAI`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from ..api import API
from ..kernel.omit import NotGiven, Omit, not_given
from ..kernel.operation import Async, Sync
from .base import DEFAULT_MAX_RETRIES
from .calls import AsyncClient, SyncClient
from .legacy import Legacy

if TYPE_CHECKING:
    from ..auth import WorkloadIdentity, X509WorkloadIdentity
    from ..kernel.options import Timeout
    from ..transports import Transportable
    from .clouds.provider import CloudProvider
    from .hooks import Hooked

__all__ = ("AsyncOpenAI", "DataResidency", "OpenAI")

DataResidency: TypeAlias = Literal["global", "us", "eu", "ae", "au", "in", "jp"]
"""Regions with an address of their own."""


class OpenAI(SyncClient, API[Sync], Legacy[Sync]):
    """The OpenAI API. Calls block until they are answered; a client may be shared between threads.

    What is not given is taken from the environment: `api_key` from `OPENAI_API_KEY`, `admin_api_key` from
    `OPENAI_ADMIN_KEY`, `organization` from `OPENAI_ORG_ID`, `project` from `OPENAI_PROJECT_ID`, `webhook_secret`
    from `OPENAI_WEBHOOK_SECRET`, `base_url` from `OPENAI_BASE_URL`, and more headers, one a line, from
    `OPENAI_CUSTOM_HEADERS`.

    - `api_key` may be a function: it is called before every attempt.
    - `timeout`: seconds to wait for each part of an exchange, or a `Timeout`; 600, and 5 for a connection.
    - `max_retries`: how often a call is tried again after a failed connection, a timeout, 408, 409, 429 or 5xx.
    - `workload_identity`: how a platform vouches for this workload, in place of a key; see `antiphon.auth`.
    - `provider`: a cloud that serves the API, in place of a key and an address; see `antiphon.providers.bedrock`
      and `antiphon.providers.vertex`.
    - `data_residency`: the region whose address is asked, in place of `base_url`.
    - `http_client`: a client of httpx2, httpx or aiohttp that sends the requests; another name of `transport`.
    - `transport`: a handler (a fake, a gateway, any function from a request to a response), a
      `NetworkTransport` with settings of your own, or a client of httpx2.
    - `hooks`: what is called before and after every attempt, `Hooks` or several of them.

    Raises `OpenAIError` where there is no key.
    """

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str] | None = None,
        admin_api_key: str | None = None,
        workload_identity: WorkloadIdentity | X509WorkloadIdentity | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        provider: CloudProvider | None = None,
        base_url: str | None = None,
        data_residency: DataResidency | None = None,
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
        super().__init__(
            api_key=api_key,
            admin_api_key=admin_api_key,
            workload_identity=workload_identity,
            organization=organization,
            project=project,
            webhook_secret=webhook_secret,
            provider=provider,
            base_url=base_url,
            data_residency=data_residency,
            websocket_base_url=websocket_base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            http_client=http_client,
            transport=transport,
            hooks=hooks,
            _enforce_credentials=_enforce_credentials,
        )

    def copy(
        self,
        *,
        api_key: str | Callable[[], str] | None = None,
        admin_api_key: str | None = None,
        workload_identity: WorkloadIdentity | X509WorkloadIdentity | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        provider: CloudProvider | NotGiven | None = not_given,
        base_url: str | None = None,
        data_residency: DataResidency | None = None,
        websocket_base_url: str | None = None,
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
        """A client with some settings changed, over the same connections.

        `default_headers` and `default_query` add to what there is, `set_default_headers` and `set_default_query`
        take its place; giving both raises `ValueError`. Another `provider`, or `None`, leaves behind what was said to
        the one before: headers, organization, project. `hooks` take the place of those there are.
        """
        changes = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        copied = type(self)(**self._copied(changes))
        self._share(copied)
        return copied

    with_options = copy


class AsyncOpenAI(AsyncClient, API[Async], Legacy[Async]):
    """The OpenAI API, its calls coroutines.

    The arguments are those of `OpenAI`, but that `api_key` may be a coroutine function.
    """

    def __init__(
        self,
        *,
        api_key: str | Callable[[], Awaitable[str]] | Callable[[], str] | None = None,
        admin_api_key: str | None = None,
        workload_identity: WorkloadIdentity | X509WorkloadIdentity | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        provider: CloudProvider | None = None,
        base_url: str | None = None,
        data_residency: DataResidency | None = None,
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
        super().__init__(
            api_key=api_key,
            admin_api_key=admin_api_key,
            workload_identity=workload_identity,
            organization=organization,
            project=project,
            webhook_secret=webhook_secret,
            provider=provider,
            base_url=base_url,
            data_residency=data_residency,
            websocket_base_url=websocket_base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            http_client=http_client,
            transport=transport,
            hooks=hooks,
            _enforce_credentials=_enforce_credentials,
        )

    def copy(
        self,
        *,
        api_key: str | Callable[[], Awaitable[str]] | Callable[[], str] | None = None,
        admin_api_key: str | None = None,
        workload_identity: WorkloadIdentity | X509WorkloadIdentity | None = None,
        organization: str | None = None,
        project: str | None = None,
        webhook_secret: str | None = None,
        provider: CloudProvider | NotGiven | None = not_given,
        base_url: str | None = None,
        data_residency: DataResidency | None = None,
        websocket_base_url: str | None = None,
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

    with_options = copy
