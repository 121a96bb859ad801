"""What both clients are: their settings, the requests they build, and how a call is made in either colour."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..kernel.errors import OpenAIError
from ..kernel.flow import World
from ..kernel.helper import Answer
from ..kernel.http import Headers, Request, Response
from ..kernel.omit import NotGiven, Omit, not_given
from ..kernel.operation import AnyOperation, Bound
from ..kernel.options import Timeout
from ..kernel.pages import Fetch
from ..version import __version__
from . import log
from .encoding import form, to_json
from .flow import exchange
from .hooks import checked
from .plan import Plan, Prepared, plan_of

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.options import Query
    from ..kernel.websocket import Dial
    from .clouds.provider import Route
    from .credentials import Credential
    from .hooks import Hooked, Hooks
    from .special import After

__all__ = ("DEFAULT_BASE_URL", "DEFAULT_MAX_RETRIES", "DEFAULT_TIMEOUT", "BaseClient", "ClientWorld", "header_lines")

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
DEFAULT_MAX_RETRIES: Final = 2
DEFAULT_TIMEOUT: Final = Timeout(600.0, connect=5.0)

MTLS_BASE_URL: Final = "https://mtls.api.openai.com/v1"
"""Where clients that are known by their certificate ask."""
_REGIONS: Final = ("global", "us", "eu", "ae", "au", "in", "jp")
_MTLS_REGIONS: Final = ("global", "us", "eu")
_AUTH: Final = frozenset(("authorization", "api-key"))
"""Headers that say who is asking."""

_INSTEAD: Final = {
    "api_key": ("workload_identity",),
    "workload_identity": ("api_key",),
    "data_residency": ("base_url", "websocket_base_url"),
    "http_client": ("transport",),
}
"""Settings of a copy, and those of the original that they take the place of."""

_OF_A_HOST: Final = ("api_key", "admin_api_key", "workload_identity", "base_url")
_OF_A_CALLER: Final = ("organization", "project")

_NO_NAMES: frozenset[str] = frozenset()


def _is_x509(identity: Mapping[str, Any] | None) -> bool:
    return identity is not None and identity.get("type") == "x509"


def _regional(region: str, identity: Mapping[str, Any] | None) -> str:
    """The address of a region."""
    if region not in _REGIONS:
        raise ValueError(f"data_residency is one of {', '.join(_REGIONS)}; it was {region!r}")
    if _is_x509(identity):
        if region not in _MTLS_REGIONS:
            raise OpenAIError(
                f"a workload that is known by its certificate has no address for {region!r}: give base_url"
            )
        return MTLS_BASE_URL if region == "global" else f"https://mtls-{region}.api.openai.com/v1"
    return DEFAULT_BASE_URL if region == "global" else f"https://{region}.api.openai.com/v1"


class ClientWorld(World):
    """Sends with a transport; time passes in the transport's world where it has one."""

    def __init__(self, transport: Any) -> None:
        self.send = getattr(transport, "send", self.send)  # type: ignore[method-assign]
        self.asend = getattr(transport, "asend", self.asend)  # type: ignore[method-assign]
        world = getattr(transport, "world", None)
        if world is not None:
            self.sleep = world.sleep  # type: ignore[method-assign]
            self.asleep = world.asleep  # type: ignore[method-assign]


class BaseClient:
    """Settings of a client. Changing an attribute changes the calls that follow."""

    _is_async: ClassVar[bool]
    _api_key_provider: Callable[[], Any] | None
    _credential: Credential | None
    """What gives the key for each attempt: a function, the workload's identity."""
    _asks: bool
    """Whether every address has a query."""
    _base_query: str
    _base_url: str
    _bases: dict[AnyOperation, Headers]
    """The headers of an operation's requests, put together when it is first called."""
    _closed: bool
    _custom_headers: dict[str, str | Omit]
    _custom_query: dict[str, object]
    _given_transport: Any
    _hooks: tuple[Hooks, ...]
    _origin: str
    _prefix: str
    _cloud: object | None
    """The cloud that is asked in place of OpenAI, and where it leads."""
    _route: Route | None
    _transport: Any
    _world: World

    api_key: str
    """The key of `Authorization: Bearer`; empty where there is none, or where a function gives it."""
    admin_api_key: str | None
    """The key for the operations under `client.admin`."""
    organization: str | None
    project: str | None
    webhook_secret: str | None
    """What webhooks are signed with."""
    workload_identity: Mapping[str, Any] | None
    """How a platform vouches for this workload, where no key is given."""
    websocket_base_url: str | None
    """Where websockets connect to; `None` for where the API is."""
    data_residency: str | None
    """The region whose address was asked for."""
    timeout: float | Timeout | None
    max_retries: int

    def __init__(
        self,
        *,
        api_key: str | Callable[[], Any] | None,
        admin_api_key: str | None,
        organization: str | None,
        project: str | None,
        webhook_secret: str | None,
        base_url: str | None,
        timeout: float | Timeout | NotGiven | None,
        max_retries: int,
        default_headers: Mapping[str, str | Omit] | None,
        default_query: Mapping[str, object] | None,
        transport: Any,
        http_client: Any = None,
        hooks: Hooked | None = None,
        workload_identity: Mapping[str, Any] | None = None,
        provider: object | None = None,
        data_residency: str | None = None,
        websocket_base_url: str | None = None,
        _enforce_credentials: bool = True,
    ) -> None:
        environ: Mapping[str, str] = os.environ
        route: Route | None = None
        if provider is not None:
            from .clouds.provider import route_of

            beside = {"api_key": api_key, "admin_api_key": admin_api_key, "workload_identity": workload_identity}
            route = route_of(provider, {**beside, "base_url": base_url}, data_residency)
            base_url, environ = route.base_url, {}  # what the environment says is said of OpenAI
        if transport is not None and http_client is not None:
            raise TypeError("`transport` and `http_client` are two names for what requests are sent with: give one")
        given = transport if http_client is None else http_client
        if hasattr(given, "build_request") and hasattr(given, "aclose") is not self._is_async:
            wanted = "an async client" if self._is_async else "a client that is not async"
            raise TypeError(f"{type(self).__name__} sends with {wanted}; http_client is of type {type(given).__name__}")
        key = environ.get("OPENAI_API_KEY") if api_key is None and workload_identity is None else api_key
        key_provider = key if callable(key) else None
        admin = environ.get("OPENAI_ADMIN_KEY") if admin_api_key is None else admin_api_key
        if workload_identity is not None and key:
            raise OpenAIError("`api_key` and `workload_identity` are two ways to say who is asking: give one")
        if _enforce_credentials and not key and admin is None and workload_identity is None and route is None:
            raise OpenAIError(
                "Missing credentials: give `api_key`, `workload_identity` or `admin_api_key`, or set OPENAI_API_KEY or "
                "OPENAI_ADMIN_KEY."
            )
        if data_residency is not None:
            if base_url is not None or websocket_base_url is not None:
                raise ValueError("`data_residency` is an address: it is given without base_url and websocket_base_url")
            base_url = _regional(data_residency, workload_identity)
        credential: Credential | None = None
        if route is not None:
            credential = route.signer
        elif key_provider is not None:
            from .credentials import Called

            credential = Called(key_provider)
        elif workload_identity is not None:
            from .credentials import WorkloadIdentityAuth

            credential = WorkloadIdentityAuth(workload_identity)
        custom = _merged(header_lines(environ.get("OPENAI_CUSTOM_HEADERS") or ""), default_headers or {})
        vars(self).update(
            _api_key_provider=key_provider,
            _credential=credential,
            _cloud=provider,
            _route=route,
            _bases={},
            _core=self,
            _transport=None,
            _given_transport=given,
            _hooks=checked(hooks),
            _custom_headers=custom,
            _custom_query=dict(default_query or {}),
            _closed=False,
            api_key="" if key_provider is not None else key or "",
            admin_api_key=admin,
            organization=environ.get("OPENAI_ORG_ID") if organization is None else organization,
            project=environ.get("OPENAI_PROJECT_ID") if project is None else project,
            webhook_secret=os.environ.get("OPENAI_WEBHOOK_SECRET") if webhook_secret is None else webhook_secret,
            workload_identity=workload_identity,
            websocket_base_url=None if websocket_base_url is None else str(websocket_base_url),
            data_residency=data_residency,
            timeout=_usual_timeout(given) if isinstance(timeout, NotGiven) else _timeout(timeout),
            max_retries=_checked_retries(max_retries),
        )
        if base_url is None:
            base_url = environ.get("OPENAI_BASE_URL") or (
                MTLS_BASE_URL if _is_x509(workload_identity) else DEFAULT_BASE_URL
            )
        self.base_url = base_url
        if _is_x509(workload_identity) and not self._origin.startswith("https:"):
            raise OpenAIError("a workload that is known by its certificate needs an https base_url")
        log.set_up()

    def __setattr__(self, name: str, value: Any) -> None:
        # Headers are put together once per operation; whatever changes, they are put together anew.
        if name == "timeout":
            value = _timeout(value)
        elif name == "max_retries":
            value = _checked_retries(value)
        object.__setattr__(self, name, value)
        vars(self)["_bases"] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._base_url}>"

    # Settings

    @property
    def base_url(self) -> str:
        """Where the API is, with a slash at the end."""
        return self._base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        address, _, query = str(url).partition("?")
        scheme, found, rest = address.partition("://")
        authority, _, path = rest.partition("/")
        if not found or scheme.lower() not in ("http", "https") or not authority:
            raise ValueError(f"base_url needs a scheme and a host, such as https://api.openai.com/v1; it was {url!r}")
        prefix = f"/{path.rstrip('/')}" if path.rstrip("/") else ""
        vars(self).update(
            _origin=f"{scheme}://{authority}",
            _prefix=prefix,
            _base_query=query,
            _asks=bool(query or self._custom_query),
            _base_url=f"{scheme}://{authority}{prefix}/" + (f"?{query}" if query else ""),
        )

    @property
    def user_agent(self) -> str:
        """What the client calls itself."""
        return f"Antiphon/Python {__version__}"

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        """The headers every request begins with; the key is not among them."""
        headers: dict[str, str | Omit] = {
            "accept": "application/json",
            "content-type": "application/json",
            "user-agent": self.user_agent,
        }
        if self.organization is not None:
            headers["openai-organization"] = self.organization
        if self.project is not None:
            headers["openai-project"] = self.project
        return _AnyCase(_merged(headers, self._custom_headers))

    @property
    def default_query(self) -> dict[str, object]:
        """The parameters every address gets."""
        return dict(self._custom_query)

    def _copied(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The arguments that make a client like this one, with some changed."""
        headers, query = changes.pop("default_headers"), changes.pop("default_query")
        set_headers, set_query = changes.pop("set_default_headers"), changes.pop("set_default_query")
        if headers is not None and set_headers is not None:
            raise ValueError("`default_headers` adds to the headers and `set_default_headers` replaces them: give one")
        if query is not None and set_query is not None:
            raise ValueError("`default_query` adds to the query and `set_default_query` replaces it: give one")
        now, provider = self._cloud, changes.pop("provider", not_given)
        provider = now if isinstance(provider, NotGiven) else provider
        if changes.get("data_residency") is not None and changes.get("base_url") is not None:
            raise ValueError("`data_residency` is an address: it is given without base_url and websocket_base_url")
        arguments: dict[str, Any] = {
            "api_key": self._api_key_provider or self.api_key,
            "workload_identity": self.workload_identity,
            "websocket_base_url": self.websocket_base_url,
            "admin_api_key": self.admin_api_key,
            "organization": self.organization,
            "project": self.project,
            "webhook_secret": self.webhook_secret,
            "base_url": self._base_url,
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "default_headers": _merged(self._custom_headers, headers or {}) if set_headers is None else set_headers,
            "default_query": {**self._custom_query, **(query or {})} if set_query is None else set_query,
            "transport": self._shared_transport(),
            "hooks": self._hooks,
        }
        given = {
            name: value
            for name, value in changes.items()
            if not isinstance(value, NotGiven) and (value is not None or name in ("timeout", "max_retries"))
        }
        # What is given takes the place of what it cannot stand beside.
        for name, others in _INSTEAD.items():
            if name in given:
                for other in others:
                    arguments.pop(other, None)
        if provider is not None or now is not None:
            # Keys and addresses are the provider's own; what else a client says is not for another one's ears.
            for name in (*_OF_A_HOST, *(_OF_A_CALLER if provider is not now else ())):
                arguments.pop(name, None)
            arguments["provider"] = provider
            if provider is not now:
                arguments["default_headers"] = headers if set_headers is None else set_headers
                if "transport" in arguments:
                    arguments["transport"] = self._given_transport
        return arguments | given

    def _share(self, copied: BaseClient) -> None:
        """Tell a copy what is not among the arguments, such as the tokens this client got already."""
        if copied.workload_identity is not None and copied.workload_identity is self.workload_identity:
            vars(copied)["_credential"] = self._credential
        if copied._cloud is not None and copied._cloud is self._cloud:
            vars(copied).update(_credential=self._credential, _route=self._route)

    def _to_close(self) -> Any:
        # What was given is closed with the client, whether or not anything was sent with it.
        unused = self._transport is None and self._given_transport is not None and not self._closed
        return self._shared_transport() if unused else self._transport

    def _shared_transport(self) -> Any:
        raise NotImplementedError

    def _sending(self, made: Any) -> Any:
        """The transport, or something around it."""
        if self._route is None:
            return made
        from .clouds.sending import sending

        return sending(made, self._route)

    def _in_voice(self, voice: str) -> Any:
        """What stands behind the resources of this client in another voice."""
        from .voices import in_voice

        return in_voice(self, voice)

    # Requests

    def _ask(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Flow[Answer[Any]]:
        """An operation as a flow, for the helpers that are made of several. `_call` does the same without detour."""
        plan = plan_of(operation, self._is_async)
        fetch = Fetch(self, operation, args, dict(kwargs)) if operation.paged else None
        bound = operation.bind(args, kwargs)
        after = None if plan.special is None else plan.special(self, bound)
        prepared = self._prepare(plan, bound)
        response = yield from exchange(prepared, self._token(operation), self.max_retries, self._hooks)
        result = self._finish(plan, prepared, response, bound.body, after)
        if fetch is not None and not isinstance(result, str):
            result._fetch = fetch
        return Answer(result, response)

    def _prepare(self, plan: Plan, bound: Bound) -> Prepared:
        """The request of a call."""
        operation, options = plan.operation, bound.options
        base = self._bases.get(operation)
        if options or bound.headers or base is None or not plan.json_body:
            return self._prepare_any(plan, bound, base)
        # What nearly every call is: a JSON body and nothing out of the ordinary.
        query = bound.query
        request = Request(
            "POST",
            self._prefix + bound.path,
            self._query(operation, query, None) if query or self._asks or operation.fixed_query else "",
            base,
            to_json(bound.body),
            self._origin,
        )
        return Prepared(request, self.timeout, plan.streams and plan.streamed(bound.body, query), _NO_NAMES)

    def _place(self, path: str, body: object) -> tuple[str, str]:
        """Origin and path of what is at `path` below the client's address."""
        return self._origin, self._prefix + path

    def _prepare_any(self, plan: Plan, bound: Bound, base: Headers | None) -> Prepared:
        operation, options = plan.operation, bound.options
        extra = options.get("extra_headers") or {}
        explicit = frozenset(name.lower() for name in extra)
        if base is None:
            base = self._base(operation)
        if "authorization" not in explicit and base.get("authorization") is None:
            self._check_credentials(operation, explicit, base)
        content_type, content = None, b""
        if operation.method != "GET":
            content_type, content = self._content(operation, bound.body, options.get("extra_body"), boundary_in(extra))
        timeout = options.get("timeout", not_given)
        request = Request(
            operation.method,
            self._prefix + bound.path,
            self._query(operation, bound.query, options.get("extra_query")),
            _completed(base, bound.headers, extra, content_type),
            content,
            self._origin,
        )
        return Prepared(
            request,
            self.timeout if isinstance(timeout, NotGiven) else _timeout(timeout),
            plan.streams and plan.streamed(bound.body, bound.query),
            explicit,
        )

    def _base(self, operation: AnyOperation) -> Headers:
        """The headers of every request of an operation."""
        merged = _merged(self._auth(operation), self.default_headers, operation.fixed_headers)
        if operation.method == "GET":
            merged.pop("content-type", None)
        headers = Headers.of([(name, value) for name, value in merged.items() if not isinstance(value, Omit)])
        if not _AUTH.isdisjoint(merged) or self._token(operation) is not None:
            # Otherwise each call is asked anew whether it goes without.
            self._bases[operation] = headers
        return headers

    def _auth(self, operation: AnyOperation) -> dict[str, str | Omit]:
        """The header that says who is asking, where it is always the same."""
        if self._route is not None:
            return {}
        key = self.admin_api_key if operation.admin else self.api_key
        return {"authorization": f"Bearer {key}"} if key else {}

    def _token(self, operation: AnyOperation) -> Credential | None:
        """What gives the key for each attempt, where the headers do not have it."""
        credential = self._credential
        if credential is None or (operation.admin and not credential.signs):
            return None
        return None if credential.header in self._custom_headers else credential

    def _check_credentials(self, operation: AnyOperation, explicit: frozenset[str], base: Headers) -> None:
        if self._token(operation) is not None or isinstance(self._custom_headers.get("authorization"), Omit):
            return
        key, argument = ("an admin key", "admin_api_key") if operation.admin else ("an API key", "api_key")
        raise TypeError(
            f"Could not resolve authentication method: {operation.name}() needs {key}. Give the client `{argument}`, "
            'or leave the header out with `extra_headers={"Authorization": omit}`.'
        )

    def _content(
        self, operation: AnyOperation, body: dict[str, Any] | None, extra: Any, boundary: str | None
    ) -> tuple[str | None, Any]:
        """The content type, where it is not JSON, and the bytes."""
        fields: Any = body if operation.body_params else None
        if extra is not None:
            fields = _with_extra(fields, extra)
        if operation.form and isinstance(fields, dict):
            formed = form(operation, fields, boundary)
            if formed is not None:
                return formed
        if fields is None:
            return None, b""
        return None, bytes(fields) if isinstance(fields, (bytes, bytearray)) else to_json(fields)

    def _query(self, operation: AnyOperation, query: dict[str, Any], extra: Query | None) -> str:
        fixed, base = operation.fixed_query, self._base_query
        params = {**self._custom_query, **query, **(extra or {})}
        hard = "&".join(part for part in (base, fixed) if part)
        if not params:
            return hard
        from ..kernel.query import encode

        if hard:
            from urllib.parse import parse_qsl

            params = {**dict(parse_qsl(hard, keep_blank_values=True)), **params}
        return encode(params)

    def _dialed(self, dial: Dial) -> tuple[str, Dial]:
        """Where a websocket connects to, and as what."""
        return self.websocket_base_url or self._base_url, dial

    def _finish(self, plan: Plan, prepared: Prepared, response: Response, body: Any, after: After | None) -> Any:
        """What a call answers."""
        if prepared.stream:
            result = plan.stream(response, self._is_async)
        elif plan.makes_text and plan.as_text(body):
            return response.text
        else:
            result = plan.read(response)
        return result if after is None else after(result)


def _timeout(value: Any) -> float | Timeout | None:
    """A timeout in the forms people have: seconds, ours, httpx's, a tuple of (connect, read, write, pool)."""
    if value is None or isinstance(value, Timeout):
        return value
    if isinstance(value, (int, float)):
        if not 0 <= value < inf:
            raise ValueError(f"timeout is a number of seconds, or None for no limit; it was {value}")
        return value
    if isinstance(value, tuple):
        connect, read, write, pool = (*value, None, None, None, None)[:4]
        return Timeout(connect=connect, read=read, write=write, pool=pool)
    try:
        return Timeout(connect=value.connect, read=value.read, write=value.write, pool=value.pool)
    except AttributeError:
        raise TypeError(f"timeout is a number of seconds, a Timeout, or None for no limit; it was {value!r}") from None


def _usual_timeout(transport: Any) -> float | Timeout | None:
    """The timeout where none is given: ours, or that of an httpx client with other times than httpx's own."""
    if not hasattr(transport, "build_request"):
        return DEFAULT_TIMEOUT
    theirs = _timeout(transport.timeout)
    return DEFAULT_TIMEOUT if theirs == Timeout(5.0) else theirs


def _checked_retries(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"max_retries is how often a call is tried again, 0 for never; it was {value!r}")
    if value < 0:
        raise ValueError(f"max_retries cannot be negative; it was {value}")
    return value


def header_lines(text: str) -> dict[str, str | Omit]:
    """Headers as `OPENAI_CUSTOM_HEADERS` has them, one a line."""
    lines = (line.partition(":") for line in text.split("\n"))
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


class _AnyCase(dict[str, "str | Omit"]):
    """Headers, whose names may be asked for in any case."""

    def __getitem__(self, name: str) -> str | Omit:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def _merged(*layers: Mapping[str, str | Omit]) -> dict[str, str | Omit]:
    """Headers in lower case, later layers first; what was left out stays so as `omit`."""
    merged: dict[str, str | Omit] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name.lower()] = value
    return merged


def boundary_in(headers: Mapping[str, str | Omit]) -> str | None:
    """The boundary of a form, where the caller's content type names one."""
    given = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    if not isinstance(given, str) or "boundary" not in given:
        return None
    from ..kernel.multipart import boundary_of

    return boundary_of(given)


def _completed(
    base: Headers, params: Mapping[str, Any], extra: Mapping[str, str | Omit], content_type: str | None
) -> Headers:
    """The headers of one call: the operation's, the parameters that are headers, the caller's own."""
    changes: dict[str, Any] = {}
    if content_type is not None:
        changes["content-type"] = content_type
    for name, value in params.items():
        if value is not None:
            changes[name] = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    for name, value in extra.items():
        lower = name.lower()
        if isinstance(value, Omit):
            changes[lower] = None
        elif content_type is None or lower != "content-type" or "boundary" in value:
            changes[lower] = value
    return base.replaced(changes) if changes else base


def _with_extra(fields: Any, extra: Any) -> Any:
    if fields is None or not isinstance(extra, Mapping):
        return extra
    merged = {**fields, **extra}
    return {name: value for name, value in merged.items() if not isinstance(value, Omit)}
