"""Responses: `POST /responses`, plain, streamed and in the background, and what can be done with those stored.

API reference: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...api.beta.responses import Responses as BetaResponses
from ...api.beta.responses.input_items import InputItems as BetaInputItems
from ...api.beta.responses.input_tokens import InputTokens as BetaInputTokens
from ...api.responses import Responses
from ...api.responses.input_items import InputItems
from ...api.responses.input_tokens import InputTokens
from ...kernel.errors import BadRequestError, NotFoundError
from ...kernel.http import Response
from .. import tokens
from ..background import as_of_now, begin, followed, forget, stop
from ..behaviour import Call, serves
from ..compaction import asked, compaction, expanded
from ..context import CONTEXTS, RESPONSES, Context, context_of, history, keep
from ..filtering import check
from ..hosted import Bench, performed
from ..hosted.image_generation import DEFAULT_MODEL as PAINTER
from ..image_models import family
from ..paging import page
from ..renderings.cuts import cut
from ..renderings.response_items import shown
from ..renderings.responses import ResponseTurn, events, skeleton
from ..renderings.responses_request import messages_of, responses_request
from ..renderings.sinks import EVENT_STREAM, driven, settled
from ..renderings.usage import responses_usage
from ..searching import check_ranking
from ..windows import SMALL_WINDOW, context_window

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ..app import Server
    from ..behaviour import Reply
    from ..engine import ChatRequest
    from ..renderings.responses_request import Item
    from ..turns import Turn

DEFAULT_MODEL: Final = "gpt-5"
"""The model of a request that leaves the choice to a prompt template."""


@serves(Responses.create, BetaResponses.create)
def create(call: Call) -> Reply:
    """Answer with a Response, or a stream of its events.

    Follows https://platform.openai.com/docs/api-reference/responses/create
    """
    body, server = call.body, call.server
    strict = not server.conjures
    model = _model(body, strict)
    engine = server.engines.chat(model)
    if strict:
        _check(server, body)
    context = context_of(server, body, strict=strict)
    items = context.all
    # A token has one byte at least, so most requests need no count.
    sent = call.request.body
    if (
        strict
        and server.published_limits
        and (context.before or not isinstance(sent, bytes) or len(sent) > SMALL_WINDOW)
    ):
        items = _within_window(items, body, model)
    request = responses_request(body, items, model, strict=strict, limited=server.published_limits)
    request.headers = call.request.headers
    response = skeleton(server, body, model, context.conversation)
    if body.get("background") and body.get("store") is not False:
        queued = begin(server, body, context, response)
        return Response(200, EVENT_STREAM, followed(server, queued["id"])) if body.get("stream") else queued
    turn = performed(asked(engine, request, server), Bench(server, request))
    if body.get("stream"):
        return _streamed(call, context, request, response, turn)
    gathered = ResponseTurn(server, request, response)
    sink = cut(gathered, request, server.engines)
    if isinstance(turn, str):
        sink.whole(turn)
        sink.end()
        keep(server, body, context, response, gathered.full)
        return response
    return settled(_gathered(call, context, turn, gathered, sink))


def _gathered(call: Call, context: Context, turn: Turn, gathered: ResponseTurn, sink: Any) -> Flow[dict[str, Any]]:
    yield from driven([(turn, sink)], [])  # type: ignore[misc]  # nothing is written, so only steps come out
    keep(call.server, call.body, context, gathered.response, gathered.full)
    return gathered.response


def _streamed(call: Call, context: Context, request: ChatRequest, response: dict[str, Any], turn: Turn) -> Response:
    out: list[bytes] = []
    gathered = ResponseTurn(call.server, request, response, out)
    sink = cut(gathered, request, call.server.engines)
    if isinstance(turn, str):
        sink.whole(turn)
        sink.end()
        keep(call.server, call.body, context, response, gathered.full)
        return Response(200, EVENT_STREAM, b"".join(out))
    body = events(turn, sink, gathered, out, lambda: keep(call.server, call.body, context, response, gathered.full))
    return Response(200, EVENT_STREAM, body)


# What is asked


def _model(body: dict[str, Any], strict: bool) -> str:
    model = body.get("model")
    if model is None and strict and not body.get("prompt"):
        raise BadRequestError.because(
            "Missing required parameter: 'model'.", param="model", code="missing_required_parameter"
        )
    return model or DEFAULT_MODEL


def _check(server: Server, body: dict[str, Any]) -> None:
    """Raise the API's errors for what a schema cannot say."""
    if body.get("background") and body.get("store") is False:
        raise BadRequestError.because(
            "A response can only be made in the background when it is stored: 'background' requires 'store' to be "
            "true.",
            param="store",
            code="invalid_value",
        )
    for place, tool in enumerate(body.get("tools") or ()):
        check = _TOOL_CHECKS.get(tool.get("type", ""))
        if check is not None:
            check(server, tool, f"tools[{place}]")


def _check_stores(server: Server, tool: dict[str, Any], place: str) -> None:
    for key in tool.get("vector_store_ids") or ():
        if server.store.get("vector_stores", key) is None:
            raise NotFoundError.because(f"Vector store with id '{key}' not found.", param="tools")
    if tool.get("filters"):
        check(tool["filters"], f"{place}.filters")
    check_ranking(tool.get("ranking_options"), f"{place}.ranking_options")


def _check_container(server: Server, tool: dict[str, Any], place: str) -> None:
    named: Any = tool.get("container") or (tool.get("environment") or {}).get("container_id")
    if isinstance(named, str) and server.store.get("containers", named) is None:
        raise NotFoundError.because(f"Container with id '{named}' not found.", param="tools")


def _check_server(server: Server, tool: dict[str, Any], place: str) -> None:
    if not any(tool.get(name) for name in ("server_url", "connector_id", "tunnel_id")):
        raise BadRequestError.because(
            f"Missing required parameter: one of '{place}.server_url', '{place}.connector_id' and '{place}.tunnel_id' "
            "says where the MCP server is.",
            param=place,
            code="missing_required_parameter",
        )


def _check_picture(server: Server, tool: dict[str, Any], place: str) -> None:
    of = family(tool.get("model") or PAINTER)
    try:
        of.check(tool, lenient=True)
        of.size(tool.get("size"))
    except BadRequestError as error:
        raise BadRequestError.because(
            error.message, param=f"{place}.{error.param or 'size'}", code=error.code
        ) from None


_TOOL_CHECKS: Final = {
    "file_search": _check_stores,
    "code_interpreter": _check_container,
    "shell": _check_container,
    "mcp": _check_server,
    "image_generation": _check_picture,
}
"""What is looked at of tools, by type."""


def _within_window(items: list[Item], body: dict[str, Any], model: str) -> list[Item]:
    """The items, with `truncation` the last of them that the model can read. Raises where they are too many."""
    window = context_window(model)
    if window is None or sum(len(str(item)) for item in items) <= window:
        return items
    while (used := tokens.message_tokens(messages_of(expanded(items)), model, body.get("tools"))) > window:
        if body.get("truncation") != "auto" or len(items) < 2:
            raise BadRequestError.because(
                "Your input exceeds the context window of this model. Please adjust your input and try again.",
                param="input",
                code="context_length_exceeded",
            )
        first = 0
        while used > window and first < len(items) - 1:
            used -= tokens.message_tokens(messages_of(expanded([items[first]])), model)
            first += 1
        while first < len(items) - 1 and items[first].get("type", "").endswith("_output"):
            first += 1  # what it answered is gone
        items = items[first:]
    return items


# What is kept


def _found(call: Call) -> dict[str, Any] | None:
    """The stored Response that the address names."""
    key = call.params["response_id"]
    found = call.server.store.get(RESPONSES, key)
    if found is None and not call.server.conjures:
        raise NotFoundError.because(f"Response with id '{key}' not found.")
    return found


def _conjured(call: Call) -> Reply:
    from ..shape import shape

    if call.query.get("stream"):
        return shape(call)  # type: ignore[no-any-return]
    return {**shape(call), "id": call.params["response_id"]}


@serves(Responses.retrieve, BetaResponses.retrieve)
def retrieve(call: Call) -> Reply:
    """A stored Response as it is now, or its events: those that happened, and those that are to come.

    Follows https://platform.openai.com/docs/api-reference/responses/get
    """
    found = _found(call)
    if found is None:
        return _conjured(call)
    if call.query.get("stream"):
        after = call.query.get("starting_after")
        return Response(200, EVENT_STREAM, followed(call.server, found["id"], -1 if after is None else int(after)))
    return _with(call.server, as_of_now(call.server, found), call.query.get("include") or ())


def _with(server: Server, response: dict[str, Any], include: Any) -> dict[str, Any]:
    """A Response with what is only shown on demand."""
    context = server.store.get(CONTEXTS, response["id"])
    if not include or context is None:
        return response
    full = {item["id"]: item for item in context["output"]}
    wanted = {*include, *context["include"]}
    return {**response, "output": [shown(full.get(item.get("id"), item), wanted) for item in response["output"]]}


@serves(Responses.delete, BetaResponses.delete)
def delete(call: Call) -> Reply:
    """Forget a stored Response. Follows https://platform.openai.com/docs/api-reference/responses/delete"""
    key = call.params["response_id"]
    with call.server.lock:
        _found(call)
        forget(call.server, key)
        call.server.store.delete(RESPONSES, key)
    return {"id": key, "object": "response", "deleted": True}


@serves(Responses.cancel, BetaResponses.cancel)
def cancel(call: Call) -> Reply:
    """Stop a Response that is made in the background; one that has ended stays as it is.

    Follows https://platform.openai.com/docs/api-reference/responses/cancel
    """
    found = _found(call)
    if found is None:
        return _conjured(call)
    if not found.get("background"):
        raise BadRequestError.because("Cannot cancel a synchronous response.", param="response_id")
    return stop(call.server, found["id"]) or found


@serves(InputItems.list, BetaInputItems.list)
def list_input_items(call: Call) -> Reply:
    """The items a Response answered, those of earlier Responses it goes on from first.

    Follows https://platform.openai.com/docs/api-reference/responses/input-items
    """
    key = call.params["response_id"]
    found = _found(call)
    items: list[Item] = []
    if found is not None:
        context = call.server.store.get(CONTEXTS, key) or {"items": [], "previous": None}
        before = [] if context["previous"] is None else history(call.server, context["previous"], strict=False)
        given = [*before, *context["items"]]
        items = [_told(item) for item in given if item.get("type") != "compaction_trigger"]
    return page(items, call.query, order="desc", lenient=call.server.conjures)


def _told(item: Item) -> Item:
    """An item as it is listed: calls of custom tools have a status there only."""
    return {**item, "status": "completed"} if item.get("type") == "custom_tool_call" else item


@serves(InputTokens.count, BetaInputTokens.count)
def count_input_tokens(call: Call) -> Reply:
    """How many tokens a request's input has.

    Follows https://platform.openai.com/docs/api-reference/responses/input-tokens
    """
    strict = not call.server.conjures
    body = call.body
    model = body.get("model") or DEFAULT_MODEL
    context = context_of(call.server, call.body, strict=strict)
    items = context.all
    request = responses_request({**body, "instructions": body.get("instructions")}, items, model, strict=False)
    used = tokens.message_tokens(request.messages, model, body.get("tools"))
    return {"object": "response.input_tokens", "input_tokens": used}


@serves(Responses.compact, BetaResponses.compact)
def compact(call: Call) -> Reply:
    """A conversation in less room: what the user said, and the rest in one opaque item.

    Follows https://platform.openai.com/docs/api-reference/responses/compact
    """
    body, server = call.body, call.server
    context = context_of(server, body, strict=not server.conjures)
    items = expanded(context.all)
    # The API's types have no place for user messages here, so suites that keep to the types get none.
    said = [
        item for item in items if item.get("type") == "message" and item.get("role") == "user" and not server.conjures
    ]
    packed = compaction(server, [item for item in items if item not in said], all=False)
    model = body.get("model") or DEFAULT_MODEL
    prompt = tokens.message_tokens(messages_of(items), model)
    output = [*said, packed]
    return {
        "id": server.ids.new("resp_"),
        "object": "response.compaction",
        "created_at": int(server.clock.now()),
        "output": output,
        "usage": responses_usage(prompt, tokens.count(packed["encrypted_content"], model)),
    }
