"""Who is asking. A key has to be there; whether it is a good one is not this server's to say.

The key comes as `Authorization: Bearer …`, as the password of HTTP basic authentication, or as Azure's
`api-key`; a signature of Amazon's stands for one. Any key opens any operation, those of administrators too.

API reference: https://platform.openai.com/docs/api-reference/authentication
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.errors import AuthenticationError

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.http import Handler, Headers, Request, Response

__all__ = ("authenticated", "key_of")

_ABSENT = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
    "API from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)
_CHALLENGE = {"www-authenticate": 'Basic realm="OpenAI API"'}


def authenticated(handler: Handler) -> Handler:
    """A filter that lets only requests with an API key through. Raises `AuthenticationError` for the others.

    A preflight request of a browser carries no key and passes.
    """

    def check(request: Request) -> Response | Flow[Response]:
        # By name: a host's headers may be looked up without being copied, but not gone through.
        get = request.headers.get
        value: str | None = get("authorization")
        if value is not None and value[:7] == "Bearer " and len(value) > 7 and value[7] != " ":
            return handler(request)
        if get("api-key"):
            return handler(request)
        if value is not None:
            if not _has_key(request.headers, value):
                raise _malformed(value)
            return handler(request)
        if request.method == "OPTIONS":
            return handler(request)
        raise AuthenticationError.because(_ABSENT, headers=_CHALLENGE)

    return check


def key_of(headers: Headers) -> str | None:
    """The key in the headers of a request; `None` where there is none, or only a signature of Amazon's."""
    value: str | None = headers.get("authorization")
    if value is None:
        return headers.get("api-key") or None
    scheme, _, credentials = value.strip().partition(" ")
    kind = scheme.lower()
    if kind == "bearer":
        return credentials.strip() or None
    if kind == "basic":
        import base64
        import binascii

        try:
            _, _, password = base64.b64decode(credentials, validate=True).partition(b":")
        except binascii.Error:
            return None
        return password.decode("utf-8", "surrogateescape") or None
    return headers.get("api-key") or None


def _has_key(headers: Headers, value: str) -> bool:
    if key_of(headers) is not None:
        return True
    scheme, _, credentials = value.strip().partition(" ")
    return scheme.lower() == "aws4-hmac-sha256" and "Credential=" in credentials and "Signature=" in credentials


def _malformed(value: str) -> AuthenticationError:
    scheme, _, credentials = value.strip().partition(" ")
    if scheme.lower() == "bearer" or not credentials:
        key = credentials.strip() or ("" if scheme.lower() == "bearer" else scheme)
        shown = f"{key[:3]}***{key[-4:]}" if len(key) > 8 else key
        message = (
            f"Incorrect API key provided: {shown}. You can find your API key at "
            "https://platform.openai.com/account/api-keys."
        )
    else:
        message = _ABSENT
    return AuthenticationError.because(message, code="invalid_api_key", headers=_CHALLENGE)
