"""Responses: `POST /responses`, plain and streamed, and what can be done with those that were stored.

API reference: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...api.beta.responses import Responses as BetaResponses
from ...api.beta.responses.input_items import InputItems as BetaInputItems
from ...api.beta.responses.input_tokens import InputTokens as BetaInputTokens
from ...api.responses import Responses
from ...api.responses.input_items import InputItems
from ...api.responses.input_tokens import InputTokens
from ...kernel.errors import APIStatusError, BadRequestError, NotFoundError
from ...kernel.http import Response
from .. import tokens
from ..behaviour import Call, serves
from ..engine import ChatRequest
from ..paging import page
from ..renderings.cuts import cut
from ..renderings.responses import ResponseTurn, events, replayed, skeleton
from ..renderings.responses_request import Item, input_items, messages_of, packed, responses_request
from ..renderings.sinks import EVENT_STREAM, driven, settled
from ..renderings.usage import responses_usage

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ..app import Server
    from ..behaviour import Reply
    from ..turns import Turn

RESPONSES: Final = "responses"
"""The collection of stored Responses."""

CONTEXTS: Final = "responses/context"
"""What each stored Response was asked: its own items, and the Response before it. Kept when one is deleted, since
others may go on from it."""

PENDING: Final = "responses/pending"
"""Responses that are made in the background, finished; the next look at one finds it so."""

DEFAULT_MODEL: Final = "gpt-5"
"""The model of a request that leaves the choice to a prompt template."""


class _Context(NamedTuple):
    """What a Response goes on from."""

    before: list[Item]
    """Items of the earlier conversation."""
    items: list[Item]
    """Items of this request."""
    conversation: str | None


@serves(Responses.create, BetaResponses.create)
def create(call: Call) -> Reply:
    """Answer with a Response, or a stream of its events.

    Follows https://platform.openai.com/docs/api-reference/responses/create
    """
    body, server = call.body, call.server
    strict = not server.conjures
    model = _model(body, strict)
    engine = server.engines.chat(model)
    context = _context(call, strict)
    request = responses_request(body, [*context.before, *context.items], model, strict=strict)
    response = skeleton(server, body, model, context.conversation)
    if body.get("stream"):
        return _streamed(call, context, request, response, engine(request))
    if body.get("background"):
        return settled(_in_background(call, context, request, response))
    turn = engine(request)
    gathered = ResponseTurn(server, request, response)
    sink = cut(gathered, request)
    if isinstance(turn, str):
        sink.whole(turn)
        sink.end()
        _keep(call, context, response)
        return response
    return settled(_gathered(call, context, turn, gathered, sink))


def _gathered(call: Call, context: _Context, turn: Turn, gathered: ResponseTurn, sink: Any) -> Flow[dict[str, Any]]:
    yield from driven([(turn, sink)], [])  # type: ignore[misc]  # nothing is written, so only steps come out
    _keep(call, context, gathered.response)
    return gathered.response


def _streamed(call: Call, context: _Context, request: ChatRequest, response: dict[str, Any], turn: Turn) -> Response:
    out: list[bytes] = []
    gathered = ResponseTurn(call.server, request, response, out)
    sink = cut(gathered, request)
    if isinstance(turn, str):
        sink.whole(turn)
        sink.end()
        _keep(call, context, response)
        return Response(200, EVENT_STREAM, b"".join(out))
    body = events(turn, sink, gathered, out, lambda: _keep(call, context, response))
    return Response(200, EVENT_STREAM, body)


def _in_background(
    call: Call, context: _Context, request: ChatRequest, response: dict[str, Any]
) -> Flow[dict[str, Any]]:
    """Answer that the Response is queued. It is found finished when it is next looked at."""
    server = call.server
    queued = {**response, "status": "queued", "output": []}
    gathered = ResponseTurn(server, request, response)
    try:
        turn = server.engines.chat(request.model)(request)
        yield from driven([(turn, cut(gathered, request))], [])  # type: ignore[misc]
    except APIStatusError as error:
        gathered.fail(error)
    _keep(call, context, response)
    if call.body.get("store") is not False:
        server.store.put(PENDING, response["id"], response)
        server.store.put(RESPONSES, response["id"], queued)
    return queued


# What is asked


def _model(body: dict[str, Any], strict: bool) -> str:
    model = body.get("model")
    if model is None and strict and not body.get("prompt"):
        raise BadRequestError.because(
            "Missing required parameter: 'model'.", param="model", code="missing_required_parameter"
        )
    return model or DEFAULT_MODEL


def _context(call: Call, strict: bool) -> _Context:
    body, server = call.body, call.server
    previous = body.get("previous_response_id")
    conversation = _conversation_id(body.get("conversation"))
    if strict:
        _check_sources(body, previous, conversation)
    before: list[Item] = []
    if previous is not None:
        before = _history(server, previous, strict)
    elif conversation is not None:
        if server.store.get("conversations", conversation) is None and strict:
            raise NotFoundError.because(f"Conversation with id '{conversation}' not found.", param="conversation")
        before = server.store.list(f"conversations/{conversation}/items")
    stored = body.get("store") is not False or conversation is not None
    items = input_items(body.get("input"), server.ids if stored else None)
    if any(item.get("type") == "item_reference" for item in items):
        items = [_referenced(server, item, before, strict) for item in items]
    return _Context(before, items, conversation)


def _conversation_id(given: Any) -> str | None:
    found: str | None = given.get("id") if isinstance(given, dict) else given
    return found


def _check_sources(body: dict[str, Any], previous: str | None, conversation: str | None) -> None:
    if previous is not None and conversation is not None:
        raise BadRequestError.because(
            "Mutually exclusive parameters. Ensure you are only providing one of: 'previous_response_id' or "
            "'conversation'.",
            param="previous_response_id",
            code="mutually_exclusive_parameters",
        )
    if body.get("input") is None and previous is None and conversation is None and not body.get("prompt"):
        raise BadRequestError.because(
            "One of 'input', 'previous_response_id', 'prompt' or 'conversation' must be provided.",
            param="input",
            code="missing_required_parameter",
        )


def _history(server: Server, key: str, strict: bool) -> list[Item]:
    """Every item of the conversation up to a Response and with it, the oldest first."""
    if server.store.get(RESPONSES, key) is None:
        if strict:
            raise BadRequestError.because(
                f"Previous response with id '{key}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        return []
    turns: list[list[Item]] = []
    at: str | None = key
    while at is not None:
        context = server.store.get(CONTEXTS, at)
        if context is None:
            break
        turns.append([*context["items"], *context["output"]])
        at = context["previous"]
    return [item for turn in reversed(turns) for item in turn]


def _referenced(server: Server, item: Item, before: list[Item], strict: bool) -> Item:
    if item.get("type") != "item_reference":
        return item
    for known in before:
        if known.get("id") == item["id"]:
            return known
    for context in server.store.list(CONTEXTS):
        for found in (*context["items"], *context["output"]):
            if found.get("id") == item["id"]:
                return dict(found)
    if strict:
        raise NotFoundError.because(f"Item with id '{item['id']}' not found.", param="input")
    return item


# What is kept


def _keep(call: Call, context: _Context, response: dict[str, Any]) -> None:
    """Store a Response and what it was asked, and add both to its conversation."""
    store, key = call.server.store, response["id"]
    if context.conversation is not None:
        for item in (*context.items, *response["output"]):
            store.put(f"conversations/{context.conversation}/items", item["id"], item)
    if call.body.get("store") is False:
        return
    store.put(RESPONSES, key, response)
    # In a conversation what came before may change; a Response remembers what it was.
    own = [*context.before, *context.items] if context.conversation is not None else context.items
    previous = None if context.conversation is not None else call.body.get("previous_response_id")
    output = [item for item in response["output"] if "id" in item]
    store.put(CONTEXTS, key, {"id": key, "items": own, "output": output, "previous": previous})


def _found(call: Call) -> dict[str, Any] | None:
    """The stored Response that the address names; one made in the background has gone on since."""
    key = call.params["response_id"]
    store = call.server.store
    with call.server.lock:
        pending = store.get(PENDING, key)
        if pending is not None:
            store.put(RESPONSES, key, pending)
            store.delete(PENDING, key)
            return pending
    found = store.get(RESPONSES, key)
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
    """A stored Response, or its events again.

    Follows https://platform.openai.com/docs/api-reference/responses/get
    """
    found = _found(call)
    if found is None:
        return _conjured(call)
    if call.query.get("stream"):
        after = call.query.get("starting_after")
        request = ChatRequest(found["model"], [], found, "responses")
        return Response(200, EVENT_STREAM, replayed(call.server, request, found, -1 if after is None else int(after)))
    return found


@serves(Responses.delete, BetaResponses.delete)
def delete(call: Call) -> Reply:
    """Forget a stored Response. Follows https://platform.openai.com/docs/api-reference/responses/delete"""
    key = call.params["response_id"]
    with call.server.lock:
        _found(call)
        call.server.store.delete(RESPONSES, key)
    return {"id": key, "object": "response", "deleted": True}


@serves(Responses.cancel, BetaResponses.cancel)
def cancel(call: Call) -> Reply:
    """Stop a Response that is made in the background; one that has ended stays as it is.

    Follows https://platform.openai.com/docs/api-reference/responses/cancel
    """
    key = call.params["response_id"]
    store = call.server.store
    with call.server.lock:
        found = store.get(RESPONSES, key)
        if found is None:
            found = _found(call)
        if found is None:
            return _conjured(call)
        if not found.get("background"):
            raise BadRequestError.because("Cannot cancel a synchronous response.", param="response_id")
        if store.delete(PENDING, key):
            found = {**found, "status": "cancelled"}
            store.put(RESPONSES, key, found)
    return found


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
        before = [] if context["previous"] is None else _history(call.server, context["previous"], strict=False)
        items = [*before, *context["items"]]
    return page(items, call.query, order="desc", lenient=call.server.conjures)


@serves(InputTokens.count, BetaInputTokens.count)
def count_input_tokens(call: Call) -> Reply:
    """How many tokens a request's input has.

    Follows https://platform.openai.com/docs/api-reference/responses/input-tokens
    """
    strict = not call.server.conjures
    body = call.body
    model = body.get("model") or DEFAULT_MODEL
    context = _context(call, strict)
    items = [*context.before, *context.items]
    request = responses_request({**body, "instructions": body.get("instructions")}, items, model, strict=False)
    used = tokens.message_tokens(request.messages, model, body.get("tools"))
    return {"object": "response.input_tokens", "input_tokens": used}


@serves(Responses.compact, BetaResponses.compact)
def compact(call: Call) -> Reply:
    """A conversation in less room: what the user said, and the rest in one opaque item.

    Follows https://platform.openai.com/docs/api-reference/responses/compact
    """
    body, server = call.body, call.server
    context = _context(call, not server.conjures)
    items = [*context.before, *context.items]
    # The API's types have no place for user messages here, so suites that keep to the types get none.
    said = [
        item for item in items if item.get("type") == "message" and item.get("role") == "user" and not server.conjures
    ]
    rest = [item for item in items if item not in said]
    content = packed(rest)
    model = body.get("model") or DEFAULT_MODEL
    prompt = tokens.message_tokens(messages_of(items), model)
    output = [*said, {"id": server.ids.new("cmp_"), "type": "compaction", "encrypted_content": content}]
    return {
        "id": server.ids.new("resp_"),
        "object": "response.compaction",
        "created_at": int(server.clock.now()),
        "output": output,
        "usage": responses_usage(prompt, tokens.count(content, model)),
    }
