"""Requests signed as Amazon wants it (Signature Version 4), with botocore: `antiphon[bedrock]`.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ...kernel.errors import OpenAIError

__all__ = ("AwsIdentity", "AwsSigner", "open_session", "region_of")

NO_CREDENTIALS = (
    "There are no credentials for Bedrock: give `bedrock(...)` a bearer token or credentials of AWS, set "
    "AWS_BEARER_TOKEN_BEDROCK, or configure AWS's own chain of credentials"
)
NO_REGION = "Bedrock needs a region: give `region` to `bedrock(...)`, or set AWS_REGION or AWS_DEFAULT_REGION"
_MISSING = "Signing for Bedrock needs botocore: `pip install antiphon[bedrock]`"
_FAILED = (
    "The AWS credentials for Bedrock cannot be had: look at the profile, the environment and the machine's identity"
)
_SIGNATURE = frozenset(("authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"))


class AwsIdentity(NamedTuple):
    """Who signs: a pair of keys, a profile, a function that gives credentials, or whoever the machine is."""

    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    credential_provider: Callable[[], object] | None = None

    def __repr__(self) -> str:
        return "AwsIdentity(...)"


def _load_botocore(name: str) -> Any:
    """A module of botocore."""
    try:
        return __import__(f"botocore.{name}", fromlist=["botocore"])
    except ImportError as error:
        raise OpenAIError(_MISSING) from error


def open_session(profile: str | None) -> Any:
    """A session of botocore, which finds credentials and configuration as AWS's own tools do."""
    session = _load_botocore("session").Session
    try:
        return session(profile=profile)
    except Exception as error:
        raise OpenAIError(_FAILED) from error


def region_of(session: Any) -> str:
    """The region that the environment says, or else the profile. Raises `OpenAIError` where neither does."""
    region: str | None = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not (region and region.strip()):
        try:
            region = session.get_config_variable("region")
        except Exception as error:
            raise OpenAIError(_FAILED) from error
    if not (region and region.strip()):
        raise OpenAIError(NO_REGION)
    return region.strip()


class AwsSigner:
    """Signs requests to one service in one region. Credentials are found, and renewed, by botocore."""

    def __init__(self, identity: AwsIdentity, *, region: str, service: str, session: Any = None) -> None:
        self.identity, self.region, self.service = identity, region, service
        self._signature: Any = _load_botocore("auth").SigV4Auth
        self._request: Any = _load_botocore("awsrequest").AWSRequest
        self._session: Any = open_session(identity.profile) if session is None else session

    def sign(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> list[tuple[str, str]]:
        """The headers of a request with those of its signature. Raises `OpenAIError` where there are no credentials."""
        unsigned = {name: value for name, value in headers if name.lower() not in _SIGNATURE}
        unsigned["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
        try:
            credentials = self._credentials()
            request = self._request(method=method, url=url, data=body, headers=unsigned)
            self._signature(credentials, self.service, self.region).add_auth(request)
        except OpenAIError:
            raise
        except Exception as error:
            raise OpenAIError(_FAILED) from error
        return [(name.lower(), value) for name, value in request.headers.items()]

    def _credentials(self) -> Any:
        who = self.identity
        if who.credential_provider is not None:
            found: Any = who.credential_provider()
        elif who.access_key_id is not None:
            make = _load_botocore("credentials").Credentials
            found = make(who.access_key_id, who.secret_access_key, who.session_token)
        else:
            found = self._session.get_credentials()
        if found is None:
            raise OpenAIError(NO_CREDENTIALS)
        frozen = getattr(found, "get_frozen_credentials", None)
        return frozen() if callable(frozen) else found
