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


class _Bedrock(_Expected):
    def __init__(self, *, _enforce_credentials: bool = True, **settings: Any) -> None:
        self.__dict__["_explicit"] = settings.get("api_key")
        super().__init__(**settings)

    @property
    def _bedrock_state(self) -> _State:
        ours: Any = self
        aws, where = ours._who.aws, ours._where
        return _State(
            self.__dict__["_explicit"],
            aws.get("access_key_id"),
            aws.get("secret_access_key"),
            aws.get("session_token"),
            aws.get("profile"),
            aws.get("credential_provider"),
            ours.aws_region,
            where.url_is_derived,
            where.region_is_given,
            ours._who.bearer and self.__dict__["_explicit"] is None,
        )

    @property
    def _bedrock_token_provider(self) -> Any:
        return self._who.token_provider  # type: ignore[attr-defined]

    @property
    def _bedrock_runtime_signature(self) -> str:
        return repr(self._who)  # type: ignore[attr-defined]

    def _uses_aws_auth(self) -> bool:
        who, key = self._identity()  # type: ignore[attr-defined]
        return not key and who.token_provider is None


class BedrockOpenAI(_Bedrock, antiphon.client.bedrock.BedrockOpenAI):
    _sender = staticmethod(OpenAI._sender)

    def _refresh_api_key(self) -> Any:
        provider = self._who.token_provider
        return self.api_key if provider is None else provider()


class AsyncBedrockOpenAI(_Bedrock, antiphon.client.bedrock.AsyncBedrockOpenAI):
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
