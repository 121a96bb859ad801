"""What `parse` and `stream` of chat completions and of responses do; their signatures are in `antiphon.api._typed`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from antiphon.kernel.helper import ask
from antiphon.kernel.omit import NotGiven, Omit, omit

if TYPE_CHECKING:
    from antiphon.kernel.flow import Flow
    from antiphon.kernel.operation import AnyOperation, Resource

__all__ = ("client_of", "given_of", "parse_chat", "parse_response", "requester", "stream_chat", "stream_response")

HELPER_METHOD = "X-Stainless-Helper-Method"
"""Tells a server which helper asks; the official client sends it, so ours does."""
_NONE_IS_NOTHING = ("extra_headers", "extra_query", "extra_body", "event_handler")


def given_of(arguments: dict[str, Any]) -> tuple[Resource[Any], dict[str, Any]]:
    """The resource a helper was called on, and the arguments that were given."""
    resource = arguments.pop("self")
    return resource, {
        name: value
        for name, value in arguments.items()
        if not isinstance(value, (Omit, NotGiven)) and not (value is None and name in _NONE_IS_NOTHING)
    }


def client_of(resource: Resource[Any]) -> Any:
    """The client behind a resource, whatever the voice."""
    core: Any = resource._core
    return getattr(core, "client", core)


def requester(resource: Resource[Any], operation: AnyOperation, arguments: dict[str, Any]) -> Callable[[], Any]:
    """A function that calls an operation: with a stream, or with a coroutine of one."""
    client = client_of(resource)
    return lambda: client._call(operation, (), dict(arguments))


def _with_headers(arguments: dict[str, Any], headers: Mapping[str, str]) -> None:
    arguments["extra_headers"] = {**headers, **(arguments.get("extra_headers") or {})}


_FIRST = ("model", "stream", "service_tier")


def _in_order(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments, those first by which a host finds who answers: it need not read a long body for them."""
    return {**{name: given[name] for name in _FIRST if name in given}, **given}


# Chat completions


def parse_chat(arguments: dict[str, Any], name: str) -> Any:
    """`chat.completions.parse`."""
    from antiphon.lib._parsing._completions import type_to_response_format_param, validate_input_tools

    resource, given = given_of(arguments)
    response_format: Any = given.get("response_format", omit)
    tools: Any = validate_input_tools(given.get("tools", omit))
    given.update(stream=False, response_format=type_to_response_format_param(response_format), tools=tools)
    _with_headers(given, {HELPER_METHOD: name})
    return resource._core._drive(_parsed_chat(resource, given, response_format, tools))


def _parsed_chat(resource: Resource[Any], given: dict[str, Any], response_format: Any, tools: Any) -> Flow[Any]:
    from antiphon.lib._parsing._completions import parse_chat_completion

    from ..chat.completions import Completions

    completion = yield from ask(resource, Completions.create, **_in_order(given))
    return parse_chat_completion(response_format=response_format, input_tools=tools, chat_completion=completion)


def stream_chat(arguments: dict[str, Any], name: str) -> Any:
    """`chat.completions.stream`."""
    from antiphon.lib._parsing._completions import type_to_response_format_param
    from antiphon.lib.streaming.chat import AsyncChatCompletionStreamManager, ChatCompletionStreamManager

    from ..chat.completions import Completions

    resource, given = given_of(arguments)
    response_format: Any = given.get("response_format", omit)
    tools: Any = list(given["tools"]) if given.get("tools") is not None else omit
    given.update(stream=True, response_format=type_to_response_format_param(response_format), tools=tools)
    _with_headers(given, {HELPER_METHOD: name})
    manager: Any = AsyncChatCompletionStreamManager if client_of(resource)._is_async else ChatCompletionStreamManager
    return manager(
        requester(resource, Completions.create, _in_order(given)), response_format=response_format, input_tools=tools
    )


# Responses


def _create_arguments(given: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The arguments of `responses.create`, from those of a helper; and the type to parse into."""
    from antiphon.lib._parsing._responses import make_tools, parser_of, with_format

    text_format: Any = given.pop("text_format", omit)
    parse_as: Any = given.pop("parse_as", omit)
    given["text"] = with_format(given.get("text", omit), text_format)
    given["tools"] = make_tools(given.get("tools", omit))
    if "verbosity" in given:
        # A parameter of the helper that `create` has not got.
        extra = given.get("extra_body")
        given["extra_body"] = {"verbosity": given.pop("verbosity"), **(extra if isinstance(extra, Mapping) else {})}
    extra = given.get("extra_body")
    input = extra.get("input", given.get("input")) if isinstance(extra, Mapping) else given.get("input")
    return given, parser_of(input=input, text=given["text"], text_format=text_format, parse_as=parse_as)


def parse_response(arguments: dict[str, Any], name: str) -> Any:
    """`responses.parse`."""
    resource, given = given_of(arguments)
    given, parse_as = _create_arguments(given)
    return resource._core._drive(_parsed_response(resource, given, parse_as))


def _parsed_response(resource: Resource[Any], given: dict[str, Any], parse_as: Any) -> Flow[Any]:
    from antiphon.lib._parsing._responses import parse_response

    from ..responses import Responses

    response = yield from ask(resource, Responses.create, **_in_order(given))
    return parse_response(text_format=parse_as, input_tools=given["tools"], response=response)


def stream_response(arguments: dict[str, Any], name: str) -> Any:
    """`responses.stream`: of a new response, or of one that was begun before."""
    from antiphon.lib.streaming.responses import AsyncResponseStreamManager, ResponseStreamManager

    from ..responses import Responses

    resource, given = given_of(arguments)
    text_format = given.get("text_format", omit)
    begun = {key: given.pop(key) for key in ("response_id", "starting_after") if key in given}
    new = [key for key in given if key not in _OF_EITHER]
    if begun and new:
        raise ValueError(f"a response that was begun before cannot be given {', '.join(sorted(new))}")
    operation: AnyOperation
    if begun or not new:
        if "response_id" not in begun:
            raise ValueError("`response_id` is needed for a response that was begun before, `input` for a new one")
        given.pop("text_format", None)
        tools: Any = given.pop("tools", omit)
        operation = Responses.retrieve
        # Events that came before `starting_after` are asked for as well: the snapshots are made of them.
        asked = {**given, "response_id": begun["response_id"], "stream": True}
    else:
        for key in ("input", "model"):
            if key not in given:
                raise ValueError(f"`{key}` is needed for a new response")
        asked, _ = _create_arguments(given)
        tools = asked["tools"]
        asked["stream"] = True
        operation = Responses.create
    manager: Any = AsyncResponseStreamManager if client_of(resource)._is_async else ResponseStreamManager
    return manager(
        requester(resource, operation, _in_order(asked)),
        text_format=text_format,
        input_tools=tools,
        starting_after=begun.get("starting_after"),
    )


_OF_EITHER = frozenset(("extra_body", "extra_headers", "extra_query", "include", "text_format", "timeout", "tools"))
"""Arguments of `responses.stream` for new responses and for those that were begun before."""
