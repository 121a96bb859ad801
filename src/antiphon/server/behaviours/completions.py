"""Legacy completions: `POST /completions`, plain and streamed.

API reference: https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from ...api.completions import Completions
from ...kernel.errors import BadRequestError
from ...kernel.http import Response
from .. import tokens
from ..behaviour import Call, serves
from ..engine import ChatRequest
from ..renderings.chat_request import stop_strings
from ..renderings.chunks import chunks
from ..renderings.completions import StreamedText, TextAnswer, TextChoice
from ..renderings.cuts import cut
from ..renderings.sinks import EVENT_STREAM, driven, settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...kernel.flow import Flow
    from ..behaviour import Reply
    from ..engine import ChatEngine
    from ..turns import Turn

DEFAULT_TOKENS: Final = 16
"""Length of an answer whose request names none."""

START: Final = "<|endoftext|>"
"""The prompt of a request that has none."""


@serves(Completions.create)
def create(call: Call) -> Reply:
    """Continue each prompt `n` times: one body, or a stream of chunks that ends in `[DONE]`.

    Follows https://platform.openai.com/docs/api-reference/completions/create
    """
    body, server = call.body, call.server
    model: str = body["model"]
    engine = server.engines.chat(model)
    prompts, used = _prompts(body.get("prompt"), model)
    n = body.get("n") or 1
    best_of = _best_of(body, n, strict=not server.conjures)
    limit = body.get("max_tokens")
    limit = DEFAULT_TOKENS if limit is None else limit
    requests = [
        ChatRequest(
            model,
            [{"role": "user", "content": prompt}],
            body,
            "completions",
            choice,
            max_tokens=limit,
            stop=stop_strings(body.get("stop")),
            seed=body.get("seed"),
            temperature=body.get("temperature"),
            top_p=body.get("top_p"),
            stream=bool(body.get("stream")),
            headers=call.request.headers,
        )
        for prompt in prompts
        for choice in range(best_of)
    ]
    answer = TextAnswer(server, requests[0])
    turns = [_turn(engine, request) for request in requests]
    echoes = [prompt if body.get("echo") else "" for prompt in prompts for _ in range(best_of)]
    if body.get("stream"):
        return _streamed(call, answer, requests, turns, echoes, used)
    choices = [TextChoice(answer, place, echo) for place, echo in enumerate(echoes)]
    return settled(_gathered(answer, requests, turns, choices, used, n, best_of))


def _turn(engine: ChatEngine, request: ChatRequest) -> Turn:
    # No token may be generated: the prompt is only to be told, or scored.
    return "" if request.max_tokens == 0 else engine(request)


def _gathered(
    answer: TextAnswer,
    requests: Sequence[ChatRequest],
    turns: Sequence[Turn],
    choices: list[TextChoice],
    used: int,
    n: int,
    best_of: int,
) -> Flow[dict[str, Any]]:
    sinks = [_cut(choice, request) for choice, request in zip(choices, requests, strict=True)]
    yield from driven(list(zip(turns, sinks, strict=True)), [])  # type: ignore[misc]  # only steps come out
    usage = answer.text_usage(used, choices)
    # Of the candidates for each prompt, the first `n` are the best.
    kept = [choice for place, choice in enumerate(choices) if place % best_of < n]
    for place, choice in enumerate(kept):
        choice.index = place
    if answer.whole is not None:
        return answer.whole
    return answer.text_completion([choice.to_dict() for choice in kept], usage)


def _streamed(
    call: Call,
    answer: TextAnswer,
    requests: Sequence[ChatRequest],
    turns: list[Turn],
    echoes: Sequence[str],
    used: int,
) -> Response:
    options: Any = call.body.get("stream_options") or {}
    with_usage = bool(options.get("include_usage"))
    out: list[bytes] = []
    choices = [StreamedText(answer, place, out, echo, usage=with_usage) for place, echo in enumerate(echoes)]
    sinks = [_cut(choice, request) for choice, request in zip(choices, requests, strict=True)]

    def last() -> None:
        if with_usage:
            final = answer.text_completion([], answer.text_usage(used, choices))
            out.append(b"data: " + orjson.dumps(final) + b"\n\n")
        out.append(b"data: [DONE]\n\n")

    if len(turns) > 1:
        turns = [chunks(turn) if isinstance(turn, str) else turn for turn in turns]
    return Response(200, EVENT_STREAM, driven(list(zip(turns, sinks, strict=True)), out, last))


def _cut(choice: TextChoice, request: ChatRequest) -> Any:
    if request.max_tokens == 0:
        choice.finish = "length"
        return choice
    return cut(choice, request, choice.answer.server.engines)


def _prompts(prompt: Any, model: str) -> tuple[list[str], int]:
    """The prompts as texts, and how many tokens they have in all."""
    if prompt is None:
        return [START], 1
    if isinstance(prompt, str):
        return [prompt], tokens.count(prompt, model)
    if not prompt:
        raise BadRequestError.because(
            "Invalid 'prompt': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="prompt",
            code="empty_array",
        )
    if isinstance(prompt[0], int):
        return [_decoded(prompt, model)], len(prompt)
    texts, used = [], 0
    for each in prompt:
        text, count = (each, tokens.count(each, model)) if isinstance(each, str) else (_decoded(each, model), len(each))
        texts.append(text)
        used += count
    return texts, used


def _decoded(prompt: Sequence[int], model: str) -> str:
    try:
        return tokens.decode(prompt, model)
    except ValueError as error:
        raise BadRequestError.because(f"Invalid 'prompt': {error}.", param="prompt") from None


def _best_of(body: dict[str, Any], n: int, *, strict: bool) -> int:
    asked = body.get("best_of")
    if asked is None:
        return n
    if strict and asked < n:
        raise BadRequestError.because(
            "You requested that the server return more choices than it will generate (HINT: you must set 'n' "
            f"(currently {n}) to be at most 'best_of' (currently {asked}), or omit either parameter if you don't "
            "specifically want to use them).",
            param="best_of",
        )
    if strict and asked > n and body.get("stream"):
        raise BadRequestError.because("'best_of' greater than 'n' cannot be streamed.", param="best_of")
    return n if body.get("stream") else max(asked, n)
