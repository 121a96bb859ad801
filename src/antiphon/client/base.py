"""What both clients are: their settings, the requests they build, and how a call is made in either colour."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
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
from .plan import Plan, Prepared, plan_of

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.options import Query

__all__ = ("DEFAULT_BASE_URL", "DEFAULT_MAX_RETRIES", "DEFAULT_TIMEOUT", "BaseClient", "ClientWorld")

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
DEFAULT_MAX_RETRIES: Final = 2
DEFAULT_TIMEOUT: Final = Timeout(600.0, connect=5.0)

_NO_NAMES: frozenset[str] = frozenset()


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
    _origin: str
    _prefix: str
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
    ) -> None:
        environ = os.environ
        key = environ.get("OPENAI_API_KEY") if api_key is None else api_key
        provider = key if callable(key) else None
        admin = environ.get("OPENAI_ADMIN_KEY") if admin_api_key is None else admin_api_key
        if not key and admin is None:
            raise OpenAIError(
                "Missing credentials: give `api_key` or `admin_api_key`, or set OPENAI_API_KEY or OPENAI_ADMIN_KEY."
            )
        custom = _merged(_header_lines(environ.get("OPENAI_CUSTOM_HEADERS") or ""), default_headers or {})
        vars(self).update(
            _api_key_provider=provider,
            _bases={},
            _core=self,
            _transport=None,
            _given_transport=transport,
            _custom_headers=custom,
            _custom_query=dict(default_query or {}),
            _closed=False,
            api_key="" if provider is not None else key or "",
            admin_api_key=admin,
            organization=environ.get("OPENAI_ORG_ID") if organization is None else organization,
            project=environ.get("OPENAI_PROJECT_ID") if project is None else project,
            webhook_secret=environ.get("OPENAI_WEBHOOK_SECRET") if webhook_secret is None else webhook_secret,
            timeout=DEFAULT_TIMEOUT if isinstance(timeout, NotGiven) else _timeout(timeout),
            max_retries=_checked_retries(max_retries),
        )
        if base_url is None:
            base_url = environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        self.base_url = base_url
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
        return _merged(headers, self._custom_headers)

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
        arguments: dict[str, Any] = {
            "api_key": self._api_key_provider or self.api_key,
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
        }
        given = {name: value for name, value in changes.items() if not isinstance(value, NotGiven)}
        return arguments | {name: value for name, value in given.items() if value is not None or name == "timeout"}

    def _shared_transport(self) -> Any:
        raise NotImplementedError

    def _in_voice(self, voice: str) -> Any:
        """What stands behind the resources of this client in another voice."""
        from .voices import in_voice

        return in_voice(self, voice)

    # Requests

    def _ask(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Flow[Answer[Any]]:
        """An operation as a flow, for the helpers that are made of several. `_call` does the same without detour."""
        plan = plan_of(operation, self._is_async)
        bound = operation.bind(args, kwargs)
        body = bound.body
        special = plan.special is not None and body is not None and plan.special.before(body)
        prepared = self._prepare(plan, bound)
        response = yield from exchange(prepared, self._token(operation), self.max_retries)
        result = self._finish(plan, prepared, response, body, special)
        if operation.paged and not isinstance(result, str):
            result._fetch = Fetch(self, operation, args, dict(kwargs))
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

    def _prepare_any(self, plan: Plan, bound: Bound, base: Headers | None) -> Prepared:
        operation, options = plan.operation, bound.options
        extra = options.get("extra_headers") or {}
        explicit = frozenset(name.lower() for name in extra)
        if base is None:
            base = self._base(operation)
        if "authorization" not in explicit and base.get("authorization") is None:
            self._check_credentials(operation)
        content_type, content = None, b""
        if operation.method != "GET":
            content_type, content = self._content(operation, bound.body, options.get("extra_body"))
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
        key = self.admin_api_key if operation.admin else self.api_key
        auth: dict[str, str | Omit] = {"authorization": f"Bearer {key}"} if key else {}
        merged = _merged(auth, self.default_headers, operation.fixed_headers)
        if operation.method == "GET":
            merged.pop("content-type", None)
        headers = Headers.of([(name, value) for name, value in merged.items() if not isinstance(value, Omit)])
        if "authorization" in merged or self._token(operation) is not None:
            # Otherwise each call is asked anew whether it goes without.
            self._bases[operation] = headers
        return headers

    def _token(self, operation: AnyOperation) -> Callable[[], Any] | None:
        """The function that gives the key for each attempt, where there is one."""
        provider: Callable[[], Any] | None = self._api_key_provider
        return None if provider is None or operation.admin or "authorization" in self._custom_headers else provider

    def _check_credentials(self, operation: AnyOperation) -> None:
        if self._token(operation) is not None or isinstance(self._custom_headers.get("authorization"), Omit):
            return
        key, argument = ("an admin key", "admin_api_key") if operation.admin else ("an API key", "api_key")
        raise TypeError(
            f"Could not resolve authentication method: {operation.name}() needs {key}. Give the client `{argument}`, "
            'or leave the header out with `extra_headers={"Authorization": omit}`.'
        )

    def _content(self, operation: AnyOperation, body: dict[str, Any] | None, extra: Any) -> tuple[str | None, Any]:
        """The content type, where it is not JSON, and the bytes."""
        fields: Any = body if operation.body_params else None
        if extra is not None:
            fields = _with_extra(fields, extra)
        if operation.form and isinstance(fields, dict):
            formed = form(operation, fields)
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

    def _finish(self, plan: Plan, prepared: Prepared, response: Response, body: Any, special: bool) -> Any:
        """What a call answers."""
        if prepared.stream:
            return plan.stream(response, self._is_async)
        if plan.makes_text and plan.as_text(body):
            return response.text
        result = plan.read(response)
        return plan.special.after(result) if special and plan.special is not None else result


def _timeout(value: Any) -> float | Timeout | None:
    """A timeout in the forms people have: seconds, ours, httpx's, a tuple of (connect, read, write, pool)."""
    if value is None or isinstance(value, (int, float, Timeout)):
        return value
    if isinstance(value, tuple):
        connect, read, write, pool = (*value, None, None, None, None)[:4]
        return Timeout(connect=connect, read=read, write=write, pool=pool)
    return Timeout(connect=value.connect, read=value.read, write=value.write, pool=value.pool)


def _checked_retries(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"max_retries is how often a call is tried again, 0 for never; it was {value!r}")
    if value < 0:
        raise ValueError(f"max_retries cannot be negative; it was {value}")
    return value


def _header_lines(text: str) -> dict[str, str | Omit]:
    lines = (line.partition(":") for line in text.split("\n"))
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


def _merged(*layers: Mapping[str, str | Omit]) -> dict[str, str | Omit]:
    """Headers in lower case, later layers first; what was left out stays so as `omit`."""
    merged: dict[str, str | Omit] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name.lower()] = value
    return merged


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
