"""`antiphon.chat.completions.create(...)`: the resources of one client, made of the settings of the package.

    import antiphon

    antiphon.api_key = "sk-…"
    antiphon.chat.completions.create(...)

The client is made when a resource is first used: for OpenAI or, by `api_type` or what the settings and the
environment have credentials for, for Azure; for Amazon Bedrock where `api_type` says so. Settings that change
afterwards hold for the calls that follow.
"""

from __future__ import annotations

import os
import sys
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar

from ..kernel.errors import OpenAIError
from .azure import AzureOpenAI
from .base import header_lines
from .client import OpenAI
from .credentials import Called

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.operation import Bound
    from .plan import Plan, Prepared

__all__ = ("load", "reset")

_FOLLOWED = (
    "api_key",
    "admin_api_key",
    "organization",
    "project",
    "webhook_secret",
    "base_url",
    "timeout",
    "max_retries",
    "default_headers",
    "default_query",
    "http_client",
)
"""Settings a client looks at before each call."""
_FILLED = ("api_key", "admin_api_key", "organization", "project", "webhook_secret")
"""Settings that are filled in from the environment where nobody has set them."""

_loading = RLock()
_client: OpenAI | None = None


def _package() -> Any:
    return sys.modules[__name__.partition(".")[0]]


class _Following(OpenAI):
    """A client whose settings are those of the package."""

    _seen: dict[str, Any]
    _first_url: str
    _filled: ClassVar[tuple[str, ...]] = _FILLED

    def _begin(self, package: Any) -> None:
        for name in self._filled:
            if getattr(package, name) is None:
                setattr(package, name, getattr(self, name) or None)
        vars(self)["_seen"] = _settings(package)
        # What holds where a setting is taken back.
        vars(self)["_first_url"] = self._base_url

    def _follow(self) -> None:
        settings = _settings(_package())
        if settings == self._seen:
            return
        changed = {name: value for name, value in settings.items() if value != self._seen[name]}
        vars(self)["_seen"] = settings
        for name, value in changed.items():
            getattr(self, f"_set_{name}", self._set)(value, name)

    def _set(self, value: Any, name: str) -> None:
        setattr(self, name, value)

    def _set_api_key(self, key: Any, name: str) -> None:
        function: Any = key if callable(key) else None
        vars(self).update(_api_key_provider=function, _credential=None if function is None else self._called(function))
        self.api_key = "" if function is not None else str(key or "")

    def _called(self, function: Any) -> Called:
        return Called(function)

    def _set_base_url(self, url: Any, name: str) -> None:
        self.base_url = self._first_url if url is None else str(url)

    def _set_default_headers(self, headers: Any, name: str) -> None:
        lines = header_lines(os.environ.get("OPENAI_CUSTOM_HEADERS") or "")
        self._custom_headers = {name.lower(): each for name, each in {**lines, **(headers or {})}.items()}

    def _set_default_query(self, query: Any, name: str) -> None:
        self._custom_query = {**(query or {}), **self._fixed_query()}
        self.base_url = self._base_url  # which knows whether every address has a query

    def _fixed_query(self) -> dict[str, object]:
        return {}

    def _set_http_client(self, http_client: Any, name: str) -> None:
        vars(self).update(_given_transport=http_client, _transport=None)
        vars(self).pop("_world", None)

    def _prepare(self, plan: Plan, bound: Bound) -> Prepared:
        self._follow()
        return super()._prepare(plan, bound)

    def _direct(self, *args: Any) -> Any:
        self._follow()
        return super()._direct(*args)

    def _drive(self, flow: Flow[Any]) -> Any:
        self._follow()
        return super()._drive(flow)


class _ModuleClient(_Following):
    pass


class _AzureModuleClient(_Following, AzureOpenAI):
    def _fixed_query(self) -> dict[str, object]:
        return {"api-version": self._api_version}

    def _called(self, function: Any) -> Called:
        return Called(function, header="api-key", prefix="")


def _settings(package: Any) -> dict[str, Any]:
    settings = {name: getattr(package, name) for name in _FOLLOWED}
    # Mappings may be changed in place.
    for name in ("default_headers", "default_query"):
        settings[name] = dict(settings[name] or {})
    return settings


def load() -> OpenAI:
    """The client behind the resources of the package.

    Raises `OpenAIError` where the environment and the settings speak for OpenAI and for Azure alike.
    """
    global _client
    with _loading:
        client = _client
        if client is None:
            client = _client = _made(_package())
    client._follow()  # type: ignore[attr-defined]
    return client


def reset() -> None:
    """Forget the client: the next use makes another. The settings stay as they are."""
    global _client
    with _loading:
        _client = None


def _made(package: Any) -> OpenAI:
    environ = os.environ
    if package.azure_endpoint is None:
        package.azure_endpoint = environ.get("AZURE_OPENAI_ENDPOINT")
    if package.api_version is None:
        package.api_version = environ.get("OPENAI_API_VERSION")
    if package.api_type is None:
        package.api_type = _kind(package)
    make = _KINDS.get(package.api_type, _openai)
    client = make(package)
    client._begin(package)
    return client


def _kind(package: Any) -> str:
    azure = (
        package.azure_endpoint is not None
        or package.azure_ad_token is not None
        or package.azure_ad_token_provider is not None
        or "AZURE_OPENAI_API_KEY" in os.environ
        or "AZURE_OPENAI_AD_TOKEN" in os.environ
    )
    if azure and "OPENAI_API_KEY" in os.environ:
        raise OpenAIError(
            "There are credentials for OpenAI and for Azure: say which with `antiphon.api_type` or OPENAI_API_TYPE, "
            "`openai` or `azure` (or `amazon-bedrock`)."
        )
    return "azure" if azure else "openai"


def _openai(package: Any) -> _Following:
    return _ModuleClient(**{name: getattr(package, name) for name in _FOLLOWED}, _enforce_credentials=False)


def _azure(package: Any) -> _Following:
    settings = {name: getattr(package, name) for name in _FOLLOWED}
    return _AzureModuleClient(
        **settings,
        api_version=package.api_version,
        azure_endpoint=None if settings["base_url"] is not None else package.azure_endpoint,
        azure_ad_token=package.azure_ad_token,
        azure_ad_token_provider=package.azure_ad_token_provider,
    )


def _bedrock(package: Any) -> _Following:
    from .module_bedrock import _BedrockModuleClient

    settings = {name: getattr(package, name) for name in _FOLLOWED if name != "admin_api_key"}
    return _BedrockModuleClient(**settings, bedrock_token_provider=package.bedrock_token_provider)


_KINDS = {"openai": _openai, "azure": _azure, "amazon-bedrock": _bedrock}


# The resources


class _Proxy:
    """A resource of the package's client, found when it is used."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _resource(self) -> Any:
        return getattr(load(), self._name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # type: ignore[override]
        try:
            return type(self._resource())
        except Exception:
            return _Proxy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._resource(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._resource(), name, value)

    def __dir__(self) -> list[str]:
        return dir(self._resource())

    def __repr__(self) -> str:
        return f"<antiphon.{self._name}>"


def __getattr__(name: str) -> Any:
    if name.startswith("_") or not hasattr(OpenAI, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _Proxy(name)
