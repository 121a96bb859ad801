"""Who may ask a gateway, for which models, and how much.

Keys are kept as their SHA-256: a key is 32 random bytes, so nobody finds it by trying, and whoever reads the
configuration cannot ask with what stands in it. All keys see the same files, Responses, and whatever else is kept, as
the keys of one project at OpenAI do; what a key is limited to is models, and how much it asks of them.
"""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from time import monotonic
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote

import orjson

from ..kernel.errors import AuthenticationError, PermissionDeniedError
from ..server.auth import key_of
from ..server.intake import is_form, read_form
from ..server.limits import RateLimit, Wanted, drawn, left_headers, telling, wanted
from ..server.routes import stripped
from ..server.store import bytes_of
from .addresses import model_at
from .checking import HASH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..kernel.flow import Flow
    from ..kernel.http import Handler, Headers, Request, Response
    from ..server.store import Store
    from .config import GatewayConfig, KeyConfig

__all__ = ("Buckets", "Keys", "LocalBuckets", "guarded", "hashed", "is_loopback", "new_key")

_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="gateway"'}
_PREFIX: Final = "sk-gw-"


def new_key() -> str:
    """A key nobody has yet."""
    from secrets import token_urlsafe

    return _PREFIX + token_urlsafe(32)


def hashed(key: str) -> str:
    """A key as configurations have it."""
    return f"sha256:{sha256(key.encode()).hexdigest()}"


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is reached from this machine only."""
    from ipaddress import ip_address

    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def guarded(config: GatewayConfig, host: str) -> None:
    """See that nobody is let in unknowingly. Raises `ValueError` for an address that others reach, without keys."""
    if config.open is None and not config.keys and not is_loopback(host):
        raise ValueError(
            f"at {host} anybody who reaches this machine could ask: give it [[keys]] (antiphon gateway hash-key makes "
            "one), or say that it is meant so with open = true, or --open"
        )


class Buckets(Protocol):
    """What is left of each key's minute."""

    def draw(self, key: KeyConfig, limit: RateLimit, asked: Wanted) -> Mapping[str, float]:
        """Take a request out. Raises `RateLimitError` where there is not enough left."""
        ...


class LocalBuckets:
    """Buckets of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, dict[str, float]]] = {}

    def draw(self, key: KeyConfig, limit: RateLimit, asked: Wanted) -> Mapping[str, float]:
        now = monotonic()
        with self._lock:
            at, before = self._left.get(key.hash, (now, {}))
            left = drawn(limit, asked, before, now - at, key.name)
            self._left[key.hash] = (now, left)
        return left


@dataclass(slots=True)
class _Key:
    config: KeyConfig
    digest: bytes
    limit: RateLimit | None
    patterns: tuple[str, ...] | None
    """Of its models; `None`: all of them."""

    def may(self, model: str) -> bool:
        if self.patterns is None:
            return True
        # Names come from callers: what is long is not remembered.
        return (_known if len(model) <= _LONGEST else _fits)(model, self.patterns)


_LONGEST: Final = 200
"""Characters of a name that is remembered."""


def _fits(model: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)


_known: Final = lru_cache(maxsize=4096)(_fits)


class Keys:
    """The filter that lets in who may ask. Raises `AuthenticationError`, `PermissionDeniedError`, `RateLimitError`.

    `store` is that of the server, where the models of assistants and the lines of batches are looked up.
    """

    def __init__(self, config: GatewayConfig, buckets: Buckets | None = None) -> None:
        self.open = config.open is True or not config.keys
        """Whether those without a key, or with one that is not known, may ask as well."""
        self.store: Store | None = None
        self._buckets: Buckets = LocalBuckets() if buckets is None else buckets
        made = [_made(each) for each in config.keys]
        self._known = {each.digest: each for each in made}

    def name_of(self, headers: Headers) -> str | None:
        """The name of the key in some headers, for logs; `None` where it is none of ours."""
        given = key_of(headers)
        found = None if given is None else self._find(given)
        return None if found is None else found.config.name

    def _find(self, given: str) -> _Key | None:
        digest = sha256(given.encode("utf-8", "surrogateescape")).digest()
        found = self._known.get(digest)
        return found if found is not None and hmac.compare_digest(found.digest, digest) else None

    def __call__(self, handler: Handler) -> Handler:
        if not self._known and self.open:
            return handler

        def check(request: Request) -> Response | Flow[Response]:
            given = key_of(request.headers)
            found = None if given is None else self._find(given)
            if found is None:
                if self.open or request.method == "OPTIONS":
                    return handler(request)
                raise _unknown(given)
            if found.patterns is None and found.limit is None:
                return handler(request)
            return self._within(found, handler, request)

        return check

    def _within(self, key: _Key, handler: Handler, request: Request) -> Response | Flow[Response]:
        """Answer somebody who may ask some models, or so much."""
        if key.patterns is not None:
            path, deployment = stripped(request.path)
            for model in self._asked(path, deployment, request):
                if not key.may(model):
                    raise _denied(key.config.name, model)
            if path == "/models" and request.method == "GET":
                answer = handler(request)
                return _listed_later(key, answer) if isinstance(answer, GeneratorType) else _listed(key, answer)  # type: ignore[arg-type]
        asked = None if key.limit is None else wanted(request)
        if asked is None or key.limit is None:
            return handler(request)
        left = self._buckets.draw(key.config, key.limit, asked)
        return telling(handler, request, left_headers(key.limit, left))

    def _asked(self, path: str, deployment: str | None, request: Request) -> Iterator[str]:
        """Every model that a request names, or will reach."""
        if deployment is not None:
            yield deployment
        parts = path.split("/")[1:]
        if parts[0] == "models" and len(parts) == 2:
            yield unquote(parts[1])
        elif parts[0] == "v2":
            # What is about no model may be about all of them.
            yield model_at(path) or path
            return
        if request.method != "POST" or parts[0] in ("files", "uploads"):
            return
        if parts[0] in _BEYOND:
            yield path  # no name of a model: only who may ask all of them may do this
        for body in _bodies(request):
            yield from _named(body)
            if self.store is not None:
                yield from _reached(self.store, parts, body)


_BEYOND: Final = frozenset({"evals", "fine_tuning", "fine-tunes"})
"""What is done here asks models that the request does not name."""


def _made(config: KeyConfig) -> _Key:
    if not HASH.fullmatch(config.hash):
        raise ValueError(f"the hash of the key {config.name!r} is `sha256:` and 64 hexadecimal digits")
    limit = RateLimit(config.requests_per_minute, config.tokens_per_minute)
    return _Key(
        config,
        bytes.fromhex(config.hash.removeprefix("sha256:")),
        None if limit == RateLimit() else limit,
        None if "*" in config.models else tuple(config.models),
    )


def _bodies(request: Request) -> list[dict[str, Any]]:
    """What a body says; of a form each field by itself, since names may come twice in it."""
    content = request.content()
    kind = request.headers.get("content-type") or ""
    if is_form(kind):
        try:
            return [{name: value} for name, value in read_form(content, kind) if isinstance(value, str)]
        except Exception:  # the server says what is wrong with it
            return []
    try:
        body: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return []
    return [body] if isinstance(body, dict) else []


def _named(body: Mapping[str, Any]) -> Iterator[str]:
    tools = body.get("tools")
    for each in (body, body.get("session"), *(tools if isinstance(tools, list) else ())):
        model = each.get("model") if isinstance(each, dict) else None
        if isinstance(model, str):
            yield model


def _reached(store: Store, parts: list[str], body: Mapping[str, Any]) -> Iterator[str]:
    """The models that are asked because of something that was kept before."""
    if parts[0] == "threads" and parts[-1] == "runs" and not isinstance(body.get("model"), str):
        assistant = store.get("assistants", str(body.get("assistant_id")))
        if assistant is not None:
            yield assistant["model"]
    elif parts == ["batches"] and store.get("files", str(body.get("input_file_id"))) is not None:
        for line in bytes_of(store, str(body["input_file_id"])).split(b"\n"):
            try:
                asked = orjson.loads(line)["body"]
            except (orjson.JSONDecodeError, TypeError, KeyError):
                continue  # the batch says what is wrong with it
            if isinstance(asked, dict):
                yield from _named(asked)


def _listed(key: _Key, answer: Response) -> Response:
    """A list of models, with those that a key may ask."""
    body = orjson.loads(answer.content)
    if answer.status == 200:
        body["data"] = [each for each in body["data"] if key.may(each["id"])]
    headers = answer.headers.replaced({"content-length": None})
    return answer._replace(body=orjson.dumps(body), headers=headers)


def _listed_later(key: _Key, flow: Flow[Response]) -> Flow[Response]:
    return _listed(key, (yield from flow))


def _unknown(given: str | None) -> AuthenticationError:
    if given is None:
        return AuthenticationError.because(
            "There is no API key in your request. Send it as `Authorization: Bearer YOUR_KEY`.", headers=_CHALLENGE
        )
    shown = f"{given[:3]}***{given[-4:]}" if len(given) > 16 else "***"
    return AuthenticationError.because(
        f"The API key {shown} is not known here.", code="invalid_api_key", headers=_CHALLENGE
    )


def _denied(name: str, model: str) -> PermissionDeniedError:
    words = f"do {model}" if model.startswith("/") else f"ask the model `{model}`"
    return PermissionDeniedError.because(
        f"The key `{name}` may not {words}.", param=None if model.startswith("/") else "model", code="model_not_found"
    )
