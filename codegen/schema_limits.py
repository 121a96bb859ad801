"""What the official types cannot say about requests: bounds, lengths, and the words the API has for some values.

Each row names where the bound is published. A bound is left out where the official package's own test-suite
breaks it (it sends `limit=0` to every list and `max_completion_tokens=0` to chat): such limits, if a model has
them, belong to the behaviours of the server. Those known and left out: `limit >= 1` of lists,
`max_completion_tokens >= 1` of chat, `max_output_tokens >= 16` and `max_tool_calls >= 1` of responses.

`x-noun` is what the API calls a value in "expected …"; it has no meaning for validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Keywords = Mapping[str, Any]

METADATA: Keywords = {
    "maxProperties": 16,
    "propertyNames": {"maxLength": 64},
    "additionalProperties": {"type": "string", "maxLength": 512},
}
"""Of every `metadata` that maps strings to strings. API reference, "Metadata" of any object that has one."""

SAMPLING: dict[str, Keywords] = {
    "temperature": {"minimum": 0, "maximum": 2},
    "top_p": {"minimum": 0, "maximum": 1},
}
"""API reference, `temperature` and `top_p` of chat, completions, responses, assistants, threads and runs."""

PENALTIES: dict[str, Keywords] = {
    "frequency_penalty": {"minimum": -2, "maximum": 2},
    "presence_penalty": {"minimum": -2, "maximum": 2},
}
"""API reference, chat/create and completions/create."""

LIMITS: dict[str, dict[str, Keywords]] = {
    # https://platform.openai.com/docs/api-reference/chat/create
    "chat.completions.create": {
        **SAMPLING,
        **PENALTIES,
        "model": {"minLength": 1},
        "messages": {"minItems": 1},
        "n": {"minimum": 1, "maximum": 128},
        "stop": {"maxItems": 4},
        "top_logprobs": {"minimum": 0, "maximum": 20},
        "functions": {"minItems": 1, "maxItems": 128},
    },
    # https://platform.openai.com/docs/api-reference/completions/create
    "completions.create": {
        **SAMPLING,
        **PENALTIES,
        "model": {"minLength": 1},
        "best_of": {"minimum": 0, "maximum": 20},
        "logprobs": {"minimum": 0, "maximum": 5},
        "max_tokens": {"minimum": 0},
        "n": {"minimum": 1, "maximum": 128},
        "stop": {"maxItems": 4},
    },
    # https://platform.openai.com/docs/api-reference/responses/create
    "responses.create": {
        **SAMPLING,
        "top_logprobs": {"minimum": 0, "maximum": 20},
        "input": {"x-noun": "input items"},
        "tools": {"x-noun": "tools"},
        "metadata": {"x-noun": "metadata object"},
        "prompt_cache_key": {"maxLength": 64},
        "safety_identifier": {"maxLength": 64},
        "user": {"type": ["string", "null"]},
    },
    # https://platform.openai.com/docs/api-reference/embeddings/create
    "embeddings.create": {
        "model": {"minLength": 1},
        "dimensions": {"minimum": 1},
        "input": {"minItems": 1, "maxItems": 2048},
    },
    # https://platform.openai.com/docs/api-reference/images
    "images.generate": {
        "n": {"minimum": 1, "maximum": 10},
        "output_compression": {"minimum": 0, "maximum": 100},
        "partial_images": {"minimum": 0, "maximum": 3},
        "prompt": {"maxLength": 32000},
    },
    "images.edit": {
        "n": {"minimum": 1, "maximum": 10},
        "output_compression": {"minimum": 0, "maximum": 100},
        "partial_images": {"minimum": 0, "maximum": 3},
        "prompt": {"maxLength": 32000},
        "image": {"maxItems": 16},
    },
    "images.create_variation": {"n": {"minimum": 1, "maximum": 10}},
    # https://platform.openai.com/docs/api-reference/audio/createSpeech
    "audio.speech.create": {"speed": {"minimum": 0.25, "maximum": 4}, "input": {"maxLength": 4096}},
    # https://platform.openai.com/docs/api-reference/audio/createTranscription
    "audio.transcriptions.create": {"temperature": {"minimum": 0, "maximum": 1}},
    "audio.translations.create": {"temperature": {"minimum": 0, "maximum": 1}},
    # https://platform.openai.com/docs/api-reference/assistants
    "beta.assistants.create": {
        **SAMPLING,
        "tools": {"maxItems": 128},
        "name": {"maxLength": 256},
        "description": {"maxLength": 512},
    },
    "beta.assistants.update": {
        **SAMPLING,
        "tools": {"maxItems": 128},
        "name": {"maxLength": 256},
        "description": {"maxLength": 512},
    },
    "beta.threads.create_and_run": {**SAMPLING, "tools": {"maxItems": 20}},
    "beta.threads.runs.create": {**SAMPLING, "tools": {"maxItems": 20}},
    # https://platform.openai.com/docs/api-reference/fine-tuning/create
    "fine_tuning.jobs.create": {
        "suffix": {"minLength": 1, "maxLength": 64},
        "seed": {"minimum": 0, "maximum": 2147483647},
    },
    # https://platform.openai.com/docs/api-reference/uploads/create
    "uploads.create": {"bytes": {"minimum": 0}},
    # https://platform.openai.com/docs/api-reference/vector-stores
    "vector_stores.create": {"file_ids": {"maxItems": 500}},
    "vector_stores.search": {"max_num_results": {"minimum": 1, "maximum": 50}},
    "vector_stores.file_batches.create": {"file_ids": {"minItems": 1, "maxItems": 2000}},
    # https://platform.openai.com/docs/api-reference/conversations/create
    "conversations.create": {"items": {"maxItems": 20}},
    "conversations.items.create": {"items": {"maxItems": 20}},
}
"""By operation and property of its body."""

LIST_LIMIT: Keywords = {"maximum": 100}
"""Of `limit` in the query of lists that page by cursor. API reference, any "list" endpoint."""
LARGER_LISTS: dict[str, int] = {"files.list": 10000}
"""https://platform.openai.com/docs/api-reference/files/list"""
UNBOUNDED_LISTS = ("admin.", "beta.agents.", "fine_tuning.")
"""Lists with other or unpublished limits."""

DEFINITIONS: dict[str, dict[str, Keywords]] = {
    # https://platform.openai.com/docs/api-reference/chat/create: names of functions and of response formats
    "shared_params.function_definition.FunctionDefinition": {"name": {"maxLength": 64, "pattern": "^[a-zA-Z0-9_-]+$"}},
    "chat.completion_create_params.Function": {"name": {"maxLength": 64, "pattern": "^[a-zA-Z0-9_-]+$"}},
    "shared_params.response_format_json_schema.JSONSchema": {"name": {"maxLength": 64, "pattern": "^[a-zA-Z0-9_-]+$"}},
    "chat.chat_completion_assistant_message_param.ChatCompletionAssistantMessageParam": {"tool_calls": {"minItems": 1}},
    # https://platform.openai.com/docs/api-reference/responses/create
    "responses.function_tool_param.FunctionToolParam": {
        "name": {"minLength": 1, "maxLength": 128, "pattern": "^[a-zA-Z0-9_-]+$"}
    },
}
"""By definition and property."""

OPEN: dict[str, str] = {
    "responses.function_tool_param.FunctionToolParam": "strict,parameters",
    "responses.response_input_image_param.ResponseInputImageParam": "detail",
    "beta.beta_response_input_image_param.BetaResponseInputImageParam": "detail",
    **{
        f"responses.{name}.LocalShellCallOutput": "id"
        for name in ("response_input_item_param", "response_input_param", "response_input_item")
    },
}
"""Members the types require and the API does not: a function tool goes without `strict`, a picture without `detail`."""

ALSO: dict[str, dict[str, Keywords]] = {
    # Libraries of the first years name the function there, as messages of functions do.
    "chat.chat_completion_tool_message_param.ChatCompletionToolMessageParam": {"name": {"type": "string"}},
    # The message of a chat completion can be sent back as it came, though the types of messages know no annotations.
    "chat.chat_completion_assistant_message_param.ChatCompletionAssistantMessageParam": {
        "annotations": {"type": ["array", "null"]},
    },
    # Items that were listed or compacted can be sent back as they came.
    **{
        f"responses.{name}": {"id": {"type": "string"}}
        for name in (
            "response_input_item_param.Message",
            "response_input_param.Message",
            "easy_input_message_param.EasyInputMessageParam",
        )
    },
    # The API finds the call by `call_id`, as for every other tool; the types know an `id` alone.
    **{
        f"responses.{name}.LocalShellCallOutput": {"call_id": {"type": "string"}}
        for name in ("response_input_item_param", "response_input_param", "response_input_item")
    },
}
"""Members the API takes and the types do not have, by definition."""

ORDERS: dict[str, dict[str, list[Any]]] = {
    "chat.completions.create": {"service_tier": ["auto", "default", "fast", "flex", "priority"]},
    "responses.create": {"service_tier": ["auto", "default", "fast", "flex", "priority"]},
}
"""Enumerations in the order in which the API lists them; values not named here come after these."""

TAG_ORDERS: dict[str, list[str]] = {
    "chat.completion_create_params.ChatCompletionMessageParam": [
        "system",
        "assistant",
        "user",
        "function",
        "tool",
        "developer",
    ],
    "chat.completion_create_params.ResponseFormat": ["json_object", "json_schema", "text"],
}
"""The members of unions in the order in which the API lists their tags."""


def apply(name: str, row: dict[str, Any]) -> None:
    """Add the bounds of one operation to its body and query."""
    body, query = row.get("body"), row.get("query")
    if body is not None:
        properties = body["properties"]
        for key, keywords in LIMITS.get(name, {}).items():
            properties[key] = _bounded(properties[key], keywords)
        for key, values in ORDERS.get(name, {}).items():
            known = properties[key]["enum"]
            properties[key]["enum"] = [*(v for v in values if v in known), *(v for v in known if v not in values)]
        _metadata(properties)
    if query is not None and "limit" in query["properties"] and not name.startswith(UNBOUNDED_LISTS):
        bound = {"maximum": LARGER_LISTS.get(name, LIST_LIMIT["maximum"])}
        query["properties"]["limit"] = _bounded(query["properties"]["limit"], bound)


def apply_definitions(definitions: dict[str, Any]) -> None:
    """Add the bounds of named types."""
    for name, bounds in DEFINITIONS.items():
        for key, keywords in bounds.items():
            properties = definitions[name]["properties"]
            properties[key] = _bounded(properties[key], keywords)
    for name, members in ALSO.items():
        definitions[name]["properties"].update(members)
    for name, keys in OPEN.items():
        required = [key for key in definitions[name].get("required", ()) if key not in keys.split(",")]
        definitions[name]["required"] = required
    for name, order in TAG_ORDERS.items():
        members = definitions[name]["anyOf"]
        tags = {_tag(definitions, member): member for member in members}
        if set(tags) != set(order):
            raise ValueError(f"the members of {name} are {sorted(map(str, tags))} now")
        definitions[name]["anyOf"] = [tags[tag] for tag in order]
    for definition in definitions.values():
        if definition.get("additionalProperties") is False:
            _metadata(definition["properties"])


def _metadata(properties: dict[str, Any]) -> None:
    schema = properties.get("metadata")
    if schema is not None and schema.get("additionalProperties") == {"type": "string"}:
        properties["metadata"] = {**schema, **METADATA}


def _tag(definitions: dict[str, Any], member: dict[str, Any]) -> Any:
    properties = definitions[member["$ref"].removeprefix("#/$defs/")]["properties"]
    return next((properties[key]["const"] for key in ("role", "type") if "const" in properties.get(key, ())), None)


PLACES = {"minItems": "array", "maxItems": "array", "minLength": "string", "maxLength": "string", "pattern": "string"}


def _bounded(schema: dict[str, Any], keywords: Keywords) -> dict[str, Any]:
    """A schema with more keywords; in a union they go to the members they are about."""
    if "anyOf" not in schema:
        return {**schema, **keywords}
    kind = {PLACES.get(key) for key in keywords} - {None} or (
        {"array"} if "x-noun" in keywords else {"number", "integer"}
    )
    members = [{**m, **keywords} if m.get("type") in kind else m for m in schema["anyOf"]]
    if members == schema["anyOf"]:
        raise ValueError(f"no member of {schema} takes {keywords}")
    return {**schema, "anyOf": members}
