"""What the suite expects errors to say, in our words: the same error, about the same thing, said otherwise."""

from __future__ import annotations

import re
from typing import Any

import pydantic
import pytest

WORDINGS: tuple[tuple[str, str], ...] = (
    (r"^`provider` cannot be combined with top-level `(\w+)`.*", r"it is given without `\1`, .*`bedrock\\(...\\)`"),
    (r"^Must provide either the `api_version`", r"give `api_version` or set OPENAI_API_VERSION"),
    (r"^Must provide one of the `base_url` or `azure_endpoint`", r"give `azure_endpoint` or `base_url`"),
    (r"^Ambiguous use of module client", r"say which with `antiphon.api_type`"),
    (r"^Bedrock requires an AWS region", r"Bedrock needs a region"),
    (r"^authentication is ambiguous$", r"is ambiguous"),
    (r"^pip install openai", r"pip install antiphon\\[bedrock\\]"),
    (r"^cannot be combined with a custom `Authorization` header", r"a custom `Authorization` header cannot be given"),
    (r"^origin other than the configured provider URL", r"origin other than the provider's own URL"),
    (r"^bearer credential must not be empty", r"bearer credential of Bedrock must not be empty"),
    (r"^requires a replayable request body", r"needs a replayable request body"),
    (r"^only supports Bedrock bearer token or AWS", r"bearer token or with credentials of AWS"),
    (r"^provider\|mutually exclusive$", r"`provider`"),
    (r"^configured origin", r"configured origin"),
    (r"^\^Browser (read report|state report|policy lookup|file result) failed", r"^Browser \1 failed"),
    (r"^\^Browser zoom must return a valid input_image", r"Browser zoom has to give a valid input_image"),
    (r"^supported declared server tools", r"tools of the server"),
    (r"^Browser actions must return a string or None", r"Browser actions give text or nothing"),
    (r"^at least one$", r"at least one"),
    (r"^exactly one$", r"either an action or a list"),
    (r"^string (id|call_id)$", r"needs an? \1|needs a \1"),
    (r"^Invalid computer action$", r"invalid action"),
    (r"^safety checks$", r"safety checks"),
    (r"^require explicit approval$", r"safety checks were not approved"),
    (r"^duplicate computer call identity$", r"of the computer comes twice"),
    (r"^duplicate output item identity$", r"the item .* comes twice"),
    (r"^identity$", r"identity|comes twice"),
    (r"^Computer member\.\*method flavor$", r"of the driver is (a|no) coroutine function"),
    (r"^Terminal WebSocket event is missing response$", r"ends a response and has none"),
    (r"^Expected a non-empty value for `(\w+)` but received ''$", r"needs a value for '\1', .* it was ''"),
    (
        r"^`default_(\w+)` and `set_default_\1` arguments are mutually exclusive$",
        r"`set_default_\1` replaces .*: give one",
    ),
    (r"^max_retries cannot be None", r"max_retries is how often .* it was None"),
    (r"^Invalid `http_client` arg", r"http_client is of type"),
    (r"^The `api_key` and `workload_identity` arguments are mutually exclusive", r"`api_key` and `workload_identity`"),
    (r"^Expected file types input to be", r"is a str: give its bytes"),
    (r"^Pydantic$", r"model of pydantic"),
    (
        r"^\^Unexpected response type at (content\S+): expected a string\\\.\$$",
        r"unexpected type at \1: expected a string$",
    ),
    (r"^Unexpected\.\*ref format$", r"leads out of the schema"),
    (r"^before consuming events$", r"before the first one"),
    (r"^object JSON schema$", r"arguments of a tool are an object"),
    (r"^root-level compositions are unsupported$", r"or several that could be"),
    (r"^No artifact$", r"no artifact has"),
    (r"^More than one$", r"more than one artifact has"),
    (r"^stderr must be a string$", r"`stderr` .* must be a string"),
    (r"^Sora API$", r"the video API ends"),
    (r"^You tried to pass a `BaseModel` class", r"is a class"),
    (r"^`get_weather` is not strict", r"'get_weather' can be parsed only if it is `strict`"),
    (r"^Pass parse_as", r"give the type of its answers as `parse_as`"),
    (r"^Webhook timestamp is too old", r"webhook is too old"),
    (r"^Webhook timestamp is too new", r"webhook is from the future"),
    (r"^The given webhook signature does not match", r"webhook was not signed with this secret"),
    (r"^The webhook secret must either be set", r"there is no secret to check the webhook with"),
    (r"^Could not find (webhook-\w+) header", r"the webhook has no header \1"),
    (r"^The `(filename|bytes)` argument must be given", r"needs `filename` and `bytes` for a file in memory"),
    (r"^Invalid `data_residency`", r"data_residency is one of"),
    (r"^mutually exclusive$", r"it is given without"),
    (r"^`data_residency` and `websocket_base_url`", r"it is given without base_url and websocket_base_url"),
    (r"^Didn't receive a `response.completed` event", r"there was no `response.completed` event"),
    (r"^plain-text format update", r"update asks for plain text"),
    (r"^`data_residency` and `provider`", r"`data_residency` is an address of OpenAI"),
    (r"^only supported by OpenAI clients", r"a client of Bedrock has `aws_region`"),
    (r"^Invalid public Live transcript$", r"Invalid session\.(input|output)_transcript\.delta"),
)
"""Patterns of what a case looks for, and what is looked for instead."""

UNSAID = r"beta\.threads\.(runs\.)?(create_and_run_|create_and_|submit_tool_outputs_)?stream is deprecated"
"""Warnings that the official client leaves to type checkers."""

ERRORS: dict[Any, Any] = {pydantic.ValidationError: ValueError}
"""Errors of what the official package is made of, and what is raised in their place."""


def ours(match: Any) -> Any:
    """What to look for in a message of ours."""
    if isinstance(match, str):
        for theirs, said in WORDINGS:
            found = re.match(theirs, match)
            if found:
                return found.expand(said)
    return match


def translate() -> None:
    """Have `pytest.raises` and `pytest.warns` look for our words."""
    raises = pytest.raises

    def in_our_words(*args: Any, match: Any = None, **options: Any) -> Any:
        if args and not isinstance(args[0], tuple):
            args = (ERRORS.get(args[0], args[0]), *args[1:])
        return raises(*args, match=ours(match), **options) if match is not None else raises(*args, **options)

    pytest.raises = in_our_words  # type: ignore[assignment]
    warns = pytest.warns

    def warns_in_our_words(*args: Any, match: Any = None, **options: Any) -> Any:
        return warns(*args, match=ours(match), **options)

    pytest.warns = warns_in_our_words  # type: ignore[assignment]
