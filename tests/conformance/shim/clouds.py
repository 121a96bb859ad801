"""`lib.bedrock` and `lib._bedrock_auth`: our clients of Bedrock and our signatures, asked as the suite asks."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import antiphon.client.bedrock
from antiphon.client.clouds import aws
from shim.client import AsyncOpenAI, OpenAI, _Expected


class _State(NamedTuple):
    """What the suite wants to know of how a client was made."""

    explicit_api_key: str | None
    aws_access_key_id: str | None
    aws_secret_access_key: str | None
    aws_session_token: str | None
    aws_profile: str | None
    aws_credentials_provider: Any
    aws_region: str | None
    uses_region_derived_base_url: bool
    region_was_explicit: bool
    uses_environment_bearer: bool

    def __repr__(self) -> str:
        return "_State(...)"


def _state(client: Any) -> _State:
    aws, where = client._who.aws, client._where
    explicit = client.__dict__.get("_explicit")
    return _State(
        explicit,
        aws.get("access_key_id"),
        aws.get("secret_access_key"),
        aws.get("session_token"),
        aws.get("profile"),
        aws.get("credential_provider"),
        client.aws_region,
        where.url_is_derived,
        where.region_is_given,
        client._who.bearer and explicit is None,
    )


def _uses_aws_auth(client: Any) -> bool:
    who, key = client._identity()
    return not key and who.token_provider is None


def _refresh_api_key(client: Any) -> Any:
    provider = client._who.token_provider
    return client.api_key if provider is None else provider()


# Also of the client behind the package, which is not one of those below.
for _name, _value in {
    "_bedrock_state": property(_state),
    "_bedrock_token_provider": property(lambda client: client._who.token_provider),
    "_bedrock_runtime_signature": property(lambda client: repr(client._who)),
    "_uses_aws_auth": _uses_aws_auth,
    "_refresh_api_key": _refresh_api_key,
}.items():
    setattr(antiphon.client.bedrock._Bedrock, _name, _value)


class _Bedrock(_Expected):
    def __init__(self, *, _enforce_credentials: bool = True, **settings: Any) -> None:
        self.__dict__["_explicit"] = settings.get("api_key")
        super().__init__(**settings)


class _Known(type):
    """Whatever is one of our clients of Bedrock is one of these."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, next(each for each in cls.__mro__ if each.__module__ == "antiphon.client.bedrock"))


class BedrockOpenAI(_Bedrock, antiphon.client.bedrock.BedrockOpenAI, metaclass=_Known):
    _sender = staticmethod(OpenAI._sender)


class AsyncBedrockOpenAI(_Bedrock, antiphon.client.bedrock.AsyncBedrockOpenAI, metaclass=_Known):
    _sender = staticmethod(AsyncOpenAI._sender)


# _provider: providers of somebody else's making


class _ProviderRuntime:
    def __init__(self, **hooks: Any) -> None:
        raise NotImplementedError


def _create_provider(definition: Any) -> Any:
    raise NotImplementedError


# _bedrock_auth


def _load_botocore() -> None:
    """What the suite puts in the place of this is called whenever botocore is needed."""


_loaded, _load = _load_botocore, aws._load_botocore


def _loading(name: str) -> Any:
    if _load_botocore is not _loaded:
        _load_botocore()
    return _load(name)


aws._load_botocore = _loading


class BedrockAwsAuthConfig(NamedTuple):
    region: str
    source: Literal["static", "profile", "provider", "default"]
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


class BedrockAwsAuth:
    def __init__(self, config: BedrockAwsAuthConfig) -> None:
        keys = config.access_key_id, config.secret_access_key, config.session_token
        self._signer = aws.AwsSigner(aws.AwsIdentity(None, *keys), region=config.region, service="bedrock-mantle")

    def sign(self, *, method: str, url: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        return dict(self._signer.sign(method, url, headers.items(), body))
