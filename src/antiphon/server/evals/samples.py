"""Samples: what a model says to an item, as graders see it and as output items tell it.

API reference: https://platform.openai.com/docs/api-reference/evals/run-output-item-object
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from ..asking import asked
from ..prompts import as_chat, as_input, text_of
from ..templates import NothingThere, reached, steps

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ..app import Server

    _Find = Callable[[str], Any]

__all__ = ("Sampled", "failed", "of_chat", "of_response", "of_row", "sample", "used_by")


class Sampled(NamedTuple):
    """What was said to an item."""

    fields: dict[str, Any]
    """What templates may name of it: `output_text`, `output_tools`, `choices` …"""
    told: dict[str, Any]
    """The `sample` of an output item."""


_UNUSED: Final = {"total_tokens": 0, "completion_tokens": 0, "prompt_tokens": 0, "cached_tokens": 0}


def sample(server: Server, source: Mapping[str, Any], item: Any, origin: str) -> Flow[Sampled]:
    """Ask the model of a run about an item. What goes wrong is in the `error` of what is told."""

    def find(path: str) -> Any:
        first, *names = steps(path)
        if first != "item":
            raise NothingThere(path)
        return reached(item, names)

    try:
        given = source.get("input_messages") or _WHOLE
        if given["type"] == "template":
            messages, names = given["template"], find
        else:  # what an item brings along is no template
            messages, names = _referred(given["item_reference"], find), None
        path, body = _BODIES[source["type"]](source, messages, names)
    except NothingThere as error:
        message = f"The input messages name what the item does not have: {error}."
        return failed({"model": source["model"]}, "invalid_variable_error", message)
    answer = yield from asked(server, path, body, origin)
    found: dict[str, Any] = orjson.loads(answer.content)
    if answer.status >= 400:
        refused: dict[str, Any] = found["error"]
        return failed(body, refused.get("code") or refused.get("type") or "server_error", refused["message"])
    return _READ[path](body, found)


_WHOLE: Final = {"type": "item_reference", "item_reference": "item.input"}
"""What a model is asked that is to answer anew what was answered."""


def _referred(reference: str, find: _Find) -> list[dict[str, Any]]:
    messages = find(reference)
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        raise NothingThere(f"'{reference}' is no list of messages")
    return messages


def _chat(source: Mapping[str, Any], messages: Any, find: _Find | None) -> tuple[str, dict[str, Any]]:
    given = {name: value for name, value in (source.get("sampling_params") or {}).items() if value is not None}
    return "/v1/chat/completions", {"model": source["model"], "messages": as_chat(messages, find), **given}


def _response(source: Mapping[str, Any], messages: Any, find: _Find | None) -> tuple[str, dict[str, Any]]:
    given = {name: value for name, value in (source.get("sampling_params") or {}).items() if value is not None}
    given.pop("seed", None)  # it is not a parameter of Responses
    if "max_completion_tokens" in given:
        given["max_output_tokens"] = given.pop("max_completion_tokens")
    if "reasoning_effort" in given:
        given["reasoning"] = {"effort": given.pop("reasoning_effort")}
    return "/v1/responses", {"model": source["model"], "input": as_input(messages, find), "store": False, **given}


_BODIES: Final = {"completions": _chat, "responses": _response}


# What was said


def of_chat(body: Mapping[str, Any], answer: Mapping[str, Any]) -> Sampled:
    """A chat completion, with the request it answers."""
    choice: Mapping[str, Any] = (answer.get("choices") or [{}])[0]
    message: Mapping[str, Any] = choice.get("message") or {}
    usage = answer.get("usage") or {}
    told = _told(
        body,
        model=answer.get("model") or body["model"],
        input=body.get("messages") or (),
        output=[{"role": "assistant", **message}],
        finish_reason=choice.get("finish_reason") or "stop",
        usage=_usage(usage, *_OF_CHAT),
    )
    text = message.get("content") or message.get("refusal") or ""
    return Sampled(_fields(text, message.get("tool_calls"), answer.get("choices"), told), told)


def of_response(body: Mapping[str, Any], answer: Mapping[str, Any]) -> Sampled:
    """A Response, with the request it answers."""
    output: list[Mapping[str, Any]] = answer.get("output") or []
    text = "".join(text_of(item.get("content")) for item in output if item.get("type") == "message")
    calls = [
        {
            "id": item.get("call_id"),
            "type": "function",
            "function": {"name": item.get("name"), "arguments": item.get("arguments")},
        }
        for item in output
        if item.get("type") == "function_call"
    ]
    whole = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
    reason = (answer.get("incomplete_details") or {}).get("reason")
    finish = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason or "", "stop")
    given = body.get("input")
    told = _told(
        {**body, "max_completion_tokens": body.get("max_output_tokens")},
        model=answer.get("model") or body["model"],
        input=[{"role": "user", "content": given}] if isinstance(given, str) else given or (),
        output=[whole],
        finish_reason="tool_calls" if calls and not text and finish == "stop" else finish,
        usage=_usage(answer.get("usage") or {}, "input_tokens", "output_tokens", "input_tokens_details"),
    )
    choices = [{"index": 0, "message": whole, "finish_reason": told["finish_reason"]}]
    return Sampled(_fields(text, calls, choices, told), told)


def of_row(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a sample that a row brings along."""
    text = given.get("output_text")
    output = [] if text is None else [{"role": "assistant", "content": text}]
    return _told(given, str(given.get("model") or ""), (), output, "stop", _UNUSED)


def failed(body: Mapping[str, Any], code: str, message: str) -> Sampled:
    """Nothing was said, and why."""
    given = body.get("messages") or body.get("input") or ()
    told = _told(body, body["model"], given, (), "", _UNUSED)
    return Sampled({}, {**told, "error": {"code": code, "message": message}})


_OF_CHAT: Final = ("prompt_tokens", "completion_tokens", "prompt_tokens_details")
_READ: Final = {"/v1/chat/completions": of_chat, "/v1/responses": of_response}


def _fields(text: str, calls: Any, choices: Any, told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "output_text": text,
        "output_tools": calls or [],
        "choices": choices or [],
        "model": told["model"],
        "input": told["input"],
    }


def _told(
    body: Mapping[str, Any], model: str, input: Any, output: Any, finish_reason: str, usage: Mapping[str, int]
) -> dict[str, Any]:
    return {
        "input": [_message(each) for each in input],
        "output": [_message(each) for each in output],
        "finish_reason": finish_reason,
        "model": model,
        "usage": dict(usage),
        "error": None,
        "temperature": _or(body.get("temperature"), 1.0),
        "max_completion_tokens": body.get("max_completion_tokens"),
        "top_p": _or(body.get("top_p"), 1.0),
        "seed": body.get("seed"),
    }


def _message(given: Mapping[str, Any]) -> dict[str, Any]:
    """A message with its content as text, as output items tell it."""
    message = {"role": given.get("role") or _ROLES.get(given.get("type") or "", "assistant")}
    if "role" not in given:
        return {**message, "content": orjson.dumps(given).decode()}
    message["content"] = text_of(given.get("content") or given.get("refusal"))
    calls = given.get("tool_calls")
    return {**message, "tool_calls": calls} if calls else message


_ROLES: Final = {"function_call_output": "tool", "custom_tool_call_output": "tool"}


def _usage(usage: Mapping[str, Any], read: str, written: str, details: str) -> dict[str, int]:
    prompt, completion = usage.get(read) or 0, usage.get(written) or 0
    cached = (usage.get(details) or {}).get("cached_tokens") or 0
    total = usage.get("total_tokens") or prompt + completion
    return {"total_tokens": total, "completion_tokens": completion, "prompt_tokens": prompt, "cached_tokens": cached}


def used_by(answer: Mapping[str, Any]) -> tuple[str, dict[str, int]]:
    """The model that answered a chat or a request for embeddings, and what it used."""
    return str(answer.get("model")), _usage(answer.get("usage") or {}, *_OF_CHAT)


def _or(value: Any, default: float) -> Any:
    return default if value is None else value
