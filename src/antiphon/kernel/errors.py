"""Every error the package raises, in one tree. What a server raises is what a client catches.

    OpenAIError
     ├── APIError                            message, request, body; code, param, type
     │    ├── APIConnectionError             the request got no response
     │    │    └── APITimeoutError
     │    ├── APIResponseValidationError     a response that is not what the API promises
     │    └── APIStatusError                 response, status_code, request_id; any other status
     │         ├── BadRequestError           400
     │         ├── AuthenticationError       401
     │         │    └── OAuthError           the exchange of a workload identity's token
     │         ├── PermissionDeniedError     403
     │         ├── NotFoundError             404
     │         ├── ConflictError             409
     │         ├── UnprocessableEntityError  422
     │         ├── RateLimitError            429
     │         └── InternalServerError       500 and above
     ├── LengthFinishReasonError             structured output cut off by the token limit
     ├── ContentFilterFinishReasonError      structured output stopped by the content filter
     ├── SubjectTokenProviderError
     ├── WebSocketConnectionClosedError
     └── WebSocketQueueFullError
    InvalidWebhookSignatureError             a ValueError

The envelope on the wire is `{"error": {"message", "type", "param", "code"}}`: `from_response` decodes it,
`APIStatusError.to_response` encodes it, and `APIStatusError.because` is how a server says no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from .http import Headers, Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = (
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "ContentFilterFinishReasonError",
    "InternalServerError",
    "InvalidWebhookSignatureError",
    "LengthFinishReasonError",
    "NotFoundError",
    "OAuthError",
    "OpenAIError",
    "PermissionDeniedError",
    "RateLimitError",
    "SubjectTokenProviderError",
    "UnprocessableEntityError",
    "WebSocketConnectionClosedError",
    "WebSocketQueueFullError",
    "from_response",
    "said_by",
)


class OpenAIError(Exception):
    """The root of everything this package raises about the API."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[OpenAIError], args: tuple[Any, ...], state: dict[str, Any]) -> OpenAIError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class APIError(OpenAIError):
    """A call failed. `body` is the decoded error object, or the raw text where the server sent no JSON."""

    message: str
    request: Request | None
    body: object | None
    code: str | None
    param: str | None
    type: str | None

    def __init__(self, message: str, request: Request | None = None, *, body: object | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.body = body
        fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
        code = fields.get("code")
        self.code = None if code is None else str(code)
        self.param = fields.get("param")
        self.type = fields.get("type")


class APIConnectionError(APIError):
    """The request did not reach the server, or its response did not arrive whole."""

    def __init__(self, *, message: str = "Connection error.", request: Request | None = None) -> None:
        super().__init__(message, request)


class APITimeoutError(APIConnectionError):
    """The server did not answer in time."""

    def __init__(self, request: Request | None = None, *, message: str = "Request timed out.") -> None:
        super().__init__(message=message, request=request)


class APIResponseValidationError(APIError):
    """The server's response is not what the API promises."""

    def __init__(self, response: Response, body: object | None = None, *, message: str | None = None) -> None:
        super().__init__(message or "Data returned by API invalid for expected schema.", response.request, body=body)
        self.response = response
        self.status_code = response.status


class APIStatusError(APIError):
    """The server answered with an error status."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "invalid_request_error"
    response: Response
    status_code: int
    request_id: str | None

    def __init__(self, message: str, *, response: Response, body: object | None = None) -> None:
        super().__init__(message, response.request, body=body)
        self.response = response
        self.status_code = response.status
        self.request_id = response.headers.get("x-request-id")

    @classmethod
    def because(
        cls,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        type: str | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """The error as a server raises it: its envelope, status and extra headers, ready for `to_response`."""
        error = {"message": message, "type": type or cls.kind, "param": param, "code": code}
        response = Response(status or cls.status, Headers(headers or {}))
        return cls(message, response=response, body=error)

    def to_response(self) -> Response:
        """The response that makes a client raise this error."""
        import orjson

        pairs = [pair for pair in self.response.headers.pairs if pair[0] not in ("content-type", "content-length")]
        headers = Headers.of([("content-type", "application/json"), *pairs])
        return Response(self.status_code, headers, orjson.dumps({"error": self.body}), self.request)


class BadRequestError(APIStatusError):
    status = 400


class AuthenticationError(APIStatusError):
    status = 401


class PermissionDeniedError(APIStatusError):
    status = 403


class NotFoundError(APIStatusError):
    status = 404


class ConflictError(APIStatusError):
    status = 409


class UnprocessableEntityError(APIStatusError):
    status = 422


class RateLimitError(APIStatusError):
    status = 429
    kind = "rate_limit_error"


class InternalServerError(APIStatusError):
    status = 500
    kind = "server_error"


class OAuthError(AuthenticationError):
    """The token exchange of a workload identity was refused."""


class LengthFinishReasonError(OpenAIError):
    """The answer stopped at the token limit, so it cannot be parsed."""

    def __init__(self, *, completion: Any) -> None:
        used = getattr(completion, "usage", None)
        message = "the answer was cut off at its token limit, so there is nothing whole to parse"
        super().__init__(f"{message}: {used}" if used else message)
        self.completion = completion


class ContentFilterFinishReasonError(OpenAIError):
    """The answer was stopped by the content filter, so it cannot be parsed."""

    def __init__(self, *, completion: Any = None) -> None:
        # A fact: the official suite compares the whole message.
        super().__init__("Could not parse response content as the request was rejected by the content filter")
        self.completion = completion


class SubjectTokenProviderError(OpenAIError):
    """The platform that vouches for a workload gave no token."""


class _Unsent:
    """Messages, apart from what an error says of itself: who writes down its attributes does not write these down."""

    __slots__ = ("frames", "messages")

    def __init__(self, frames: Any, messages: Any) -> None:
        self.frames = frames
        self.messages = messages

    def __repr__(self) -> str:
        return f"<{len(self.frames)} messages>"


class WebSocketConnectionClosedError(OpenAIError):
    """The websocket is closed, and messages were not sent: all of them are in `unsent_frames`, in order."""

    code: int | None
    """Why it was closed, as a code of RFC 6455, where that is known."""

    def __init__(
        self,
        message: str,
        *,
        unsent_messages: Sequence[str | bytes] = (),
        code: int | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        frames: Any = unsent_messages if isinstance(unsent_messages, list) else list(unsent_messages)
        texts = [text for each in frames if (text := _as_text(each)) is not None]
        self._unsent = _Unsent(frames, frames if texts == frames else texts)
        self.code = code
        self.reason = reason

    @property
    def unsent_frames(self) -> list[str | bytes]:
        """The messages as they were to be sent, text and bytes."""
        frames: list[str | bytes] = self._unsent.frames
        return frames

    @unsent_frames.setter
    def unsent_frames(self, frames: list[str | bytes]) -> None:
        self._unsent.frames = frames

    @property
    def unsent_messages(self) -> list[str]:
        """Those that are text, and those that are text in bytes."""
        messages: list[str] = self._unsent.messages
        return messages

    @unsent_messages.setter
    def unsent_messages(self, messages: list[str]) -> None:
        if not hasattr(self, "_unsent"):  # a subclass that sets it first
            self._unsent = _Unsent([], messages)
        self._unsent.messages = messages


def _as_text(frame: str | bytes) -> str | None:
    if isinstance(frame, str):
        return frame
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return None


class WebSocketQueueFullError(OpenAIError):
    """The queue of messages to be sent is full."""


class InvalidWebhookSignatureError(ValueError):
    """A webhook that the sender named in the secret did not sign."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    kind.status: kind
    for kind in (
        BadRequestError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        UnprocessableEntityError,
        RateLimitError,
    )
}


def from_response(response: Response) -> APIStatusError:
    """The error a response with an error status stands for. Its body must have been read."""
    status = response.status
    kind = _BY_STATUS.get(status) or (InternalServerError if status >= 500 else APIStatusError)
    text = response.text
    try:
        decoded: Any = response.json()
    except ValueError:
        return kind(f"Error code: {status}", response=response, body=text)
    if isinstance(decoded, list) and len(decoded) == 1 and isinstance(decoded[0], dict):
        decoded = decoded[0]  # some hosts send a list of the one error there is
    error: Any = decoded.get("error", decoded) if isinstance(decoded, dict) else decoded
    message = None if isinstance(decoded, list) else said_by(error) or said_by(decoded)
    summary = f"Error code: {status} - {message}" if message else f"Error code: {status}"
    return kind(summary, response=response, body=error)


_WORDS = ("message", "detail", "msg", "error_description", "error", "errors", "title")
"""Where servers put what they have to say, the API's own place first."""


def said_by(error: Any) -> str | None:
    """What an error says in words, in whatever form a server sent it: an object, a list of them, a text."""
    if isinstance(error, str):
        return error or None
    if isinstance(error, dict):
        return next((words for key in _WORDS if (words := said_by(error.get(key)))), None)
    if isinstance(error, list):
        return "; ".join(dict.fromkeys(words for each in error if (words := said_by(each)))) or None
    return None
