"""The bodies of requests, as OpenAPI describes them. What they do not name is let through, for the format to read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ("ChatRequest", "ErrorEnvelope", "Message", "ResponsesRequest")


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="allow")

    role: str = Field(examples=["user"], description="Who speaks: `user` or `assistant`, or `tool` for a result.")
    content: str | list[Any] | None = Field(
        default=None, examples=["Hello"], description="Text, or parts such as pictures, as the API has them."
    )


class ChatRequest(BaseModel):
    """A conversation to be continued."""

    model_config = ConfigDict(extra="allow")

    messages: list[Message] = Field(description="What was said so far, oldest first.")


class ResponsesRequest(BaseModel):
    """What a Response is asked for."""

    model_config = ConfigDict(extra="allow")

    input: str | list[dict[str, Any]] | None = Field(
        default=None, examples=["Hello"], description="A text, or items as `POST /responses` has them."
    )
    messages: list[Message] | None = Field(
        default=None, description="A conversation, in place of `input`: the other routes' form."
    )


class ErrorObject(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    request_id: str | None = Field(default=None, description="The upstream's name for the request.")


class ErrorEnvelope(BaseModel):
    """An error before the first byte of an answer."""

    error: ErrorObject
