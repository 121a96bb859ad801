"""Writes `antiphon.api._typed`: the signatures of `parse` and `stream`, whose result depends on a type they are given.

A helper that is generic needs an overload for each voice: what a type variable stands for is known only in the call.
The parameters are the official ones; what the methods do is written by hand in `antiphon.api._helpers`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .annotations import Annotations
from .overlay import DEPRECATIONS
from .resources import OPTIONS, Resource, parameters, resources
from .source import Ref, unparse
from .types import HEADER, Imports, indent, lazy_table, ours

__all__ = ("GENERIC", "generate")

GENERIC = {
    "chat.completions.parse": ("structured:parse_chat", "ParsedChatCompletion[ResponseFormatT]"),
    "chat.completions.stream": ("structured:stream_chat", "ChatCompletionStreamManager[ResponseFormatT]"),
    "responses.parse": ("structured:parse_response", "ParsedResponse[TextFormatT]"),
    "responses.stream": ("structured:stream_response", "ResponseStreamManager[TextFormatT]"),
    "beta.threads.create_and_run_stream": (
        "assistants:stream_thread",
        "AssistantStreamManager[AssistantEventHandlerT]",
    ),
    "beta.threads.runs.create_and_stream": ("assistants:stream_run", "AssistantStreamManager[AssistantEventHandlerT]"),
    "beta.threads.runs.stream": ("assistants:stream_run", "AssistantStreamManager[AssistantEventHandlerT]"),
    "beta.threads.runs.submit_tool_outputs_stream": (
        "assistants:stream_outputs",
        "AssistantStreamManager[AssistantEventHandlerT]",
    ),
}
"""Helpers by name: the function that does the work, as `module:function` of `antiphon.api._helpers`, and the result."""

CLASSES = {
    "chat.completions": "ChatStructured",
    "responses": "ResponsesStructured",
    "beta.threads": "ThreadStreams",
    "beta.threads.runs": "RunStreams",
}
"""Resources, and the base of each that has the helpers; it is in a module named for the last part of the resource."""

_DOCS = {
    "chat.completions.parse": """Create a chat completion and read its content into a type.

`response_format` is a model of pydantic, a dataclass, a struct of msgspec or a TypedDict: its strict schema is sent,
and `message.parsed` is one. The arguments of calls of tools made by `function_tool` are read as well. Raises
`LengthFinishReasonError` and `ContentFilterFinishReasonError` for an answer that was cut off, `ValueError` for tools
that are not strict functions, and what the type raises for an answer it does not take.""",
    "chat.completions.stream": """Stream a chat completion as events, the whole of it in the end.

    with client.chat.completions.stream(model=..., messages=...) as stream:
        for event in stream:
            if event.type == "content.delta":
                print(event.delta, end="")
        completion = stream.get_final_completion()

With a type as `response_format` the content is read into it, as by `parse`.""",
    "responses.parse": """Create a response and read its text into a type.

`text_format` is a model of pydantic, a dataclass, a struct of msgspec or a TypedDict: its strict schema is sent, and
`response.output_parsed` is one. `parse_as` is a type to read the text into without asking for its schema, for example
where a configuration update among the input does; `None` leaves the text as it is. The arguments of calls of tools
made by `function_tool` are read as well. Raises what the type raises for an answer it does not take.""",
    "responses.stream": """Stream a response as events, the whole of it in the end.

    with client.responses.stream(model=..., input=...) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                print(event.delta, end="")
        response = stream.get_final_response()

With `response_id` a response that was begun before is streamed instead, `starting_after` the event of that number.
With a type as `text_format` the text is read into it, as by `parse`.""",
    "beta.threads.create_and_run_stream": "Create a thread and run an assistant on it, streamed to an event handler.",
    "beta.threads.runs.create_and_stream": "Run an assistant on a thread, streamed to an event handler.",
    "beta.threads.runs.stream": "Run an assistant on a thread, streamed to an event handler.",
    "beta.threads.runs.submit_tool_outputs_stream": "Give a run what its tools said, and stream how it goes on.",
}

_VOICES = {
    "Sync": "{}",
    "Async": "Coroutine[Any, Any, {}]",
    "SyncRaw": "LegacyAPIResponse[{}]",
    "AsyncRaw": "Coroutine[Any, Any, LegacyAPIResponse[{}]]",
    "SyncStreaming": "ResponseContextManager[APIResponse[{}]]",
    "AsyncStreaming": "AsyncResponseContextManager[AsyncAPIResponse[{}]]",
    "SyncResult": "Ok[{}] | Err",
    "AsyncResult": "Coroutine[Any, Any, Ok[{}] | Err]",
}
"""The voices, and what each makes of a result."""

_PARAMETERS = {
    "text_format": "type[TextFormatT] | Omit",
    "parse_as": "type[TextFormatT] | None | Omit",
    "event_handler": "AssistantEventHandlerT | None",
}
"""Parameters whose type names the variable: the official source does not always."""
_LIB = {
    "ResponseFormatT": "_variables",
    "TextFormatT": "_variables",
    "ChatCompletionStreamManager": "streaming.chat",
    "AsyncChatCompletionStreamManager": "streaming.chat",
    "ResponseStreamManager": "streaming.responses",
    "AsyncResponseStreamManager": "streaming.responses",
    "AssistantEventHandlerT": "streaming",
    "AsyncAssistantEventHandlerT": "streaming",
    "AssistantStreamManager": "streaming",
    "AsyncAssistantStreamManager": "streaming",
}
_KERNEL = {
    "Body": "options",
    "Headers": "options",
    "Query": "options",
    "Timeout": "options",
    "LegacyAPIResponse": "raw",
    "APIResponse": "raw",
    "AsyncAPIResponse": "raw",
    "ResponseContextManager": "raw",
    "AsyncResponseContextManager": "raw",
    "Ok": "result",
    "Err": "result",
    **dict.fromkeys(_VOICES, "operation"),
}
_PARSED = {
    "ParsedChatCompletion": "antiphon.types.chat.parsed_chat_completion",
    "ParsedResponse": "antiphon.types.responses.parsed_response",
}
_OPTIONS = (
    "extra_headers: Headers | None = None, extra_query: Query | None = None, extra_body: Body | None = None, "
    "timeout: float | Timeout | None | NotGiven = not_given"
)


def generate() -> Iterator[tuple[str, str]]:
    """Every module as its path below `antiphon/` and its text."""
    yield "api/_typed/__init__.py", f'{HEADER}"""Helpers that are generic in a type, typed for every voice."""\n'
    for path in CLASSES:
        yield f"api/_typed/{path.rpartition('.')[2]}.py", _module(path)


def _module(path: str) -> str:
    checked, lazy = Imports(), {}
    body = _class(resources()[path], checked, lazy)
    for name, home in (_KERNEL | _LIB | _PARSED).items():
        if re.search(rf"\b{name}\b", body):
            where = home if name in _PARSED else f"antiphon.{'lib' if name in _LIB else 'kernel'}.{home}"
            checked.add(where, name)
            lazy[name] = where
    generics = [name for name in ("Iterable", "Sequence") if f"{name}[" in body]
    collections = f"from collections.abc import {', '.join(generics)}\n" if generics else ""
    literal = ", Literal" if "Literal[" in body else ""
    return (
        f"{HEADER}from __future__ import annotations\n\n{collections}"
        f"from typing import TYPE_CHECKING, Any{literal}, overload\n\n"
        "from antiphon.kernel.lazy import lazily\nfrom antiphon.kernel.omit import NotGiven, Omit, not_given, omit\n"
        "from antiphon.kernel.operation import Resource, V\n\nif TYPE_CHECKING:\n"
        f"{'    from collections.abc import Coroutine' if 'Coroutine[' in body else ''}\n{indent(*checked.lines())}\n"
        f"__all__ = ({CLASSES[path]!r},)\n\n{body}\n\nif not TYPE_CHECKING:\n{indent(lazy_table(lazy))}"
    )


def _class(resource: Resource, checked: Imports, lazy: dict[str, str]) -> str:
    annotations = Annotations(resource.home)
    names = [name.rpartition(".")[2] for name in GENERIC if name.rpartition(".")[0] == resource.path]
    methods = [_method(resource, name, annotations) for name in names]
    for name in sorted(annotations.used - {"Any", "Literal", "Iterable", "Sequence", "Omit", "NotGiven", "builtins"}):
        if name not in _LIB:
            _import(resource.home.origin(name), name, checked, lazy)
    return (
        f"class {CLASSES[resource.path]}(Resource[V]):\n"
        f'    """Helpers of `client.{resource.path}` that are generic in a type."""\n\n{indent(*methods)}'
    )


def _import(ref: Ref, name: str, checked: Imports, lazy: dict[str, str]) -> None:
    target = ours(ref.module)
    if ref.name:
        checked.add(target, name if ref.name == name else f"{ref.name} as {name}")
        lazy[name] = target if ref.name == name else f"{target}:{ref.name}"
        return
    parent, _, last = target.rpartition(".")
    checked.add(parent, last if last == name else f"{last} as {name}")
    lazy[name] = f"{target}:"


def _method(resource: Resource, name: str, annotations: Annotations) -> str:
    home, result = GENERIC[f"{resource.path}.{name}"]
    module, _, function = home.partition(":")
    spec = _spec(resource, name)
    signature = _signature(spec, annotations)
    managed = "Manager[" in result
    typed: list[str] = []
    for voice, around in _VOICES.items():
        answer, taken = around.format(result), signature
        if managed and voice == "Async":
            answer = f"Async{result}".replace("[Assistant", "[AsyncAssistant")
            taken = signature.replace("AssistantEventHandlerT", "AsyncAssistantEventHandlerT")
        elif managed and voice != "Sync":
            continue
        typed.append(f"@overload\ndef {name}(self: Resource[{voice}], {taken}) -> {answer}: ...")
    typed.append(f"def {name}(self, **arguments: Any) -> Any: ...")
    doc = f'"""{_DOCS[f"{resource.path}.{name}"]}\n"""'
    helper = f"{resource.path}.{name}".removeprefix("beta.")
    why = _deprecated(spec, f"{resource.path}.{name}")
    warning = f"{resource.path}.{name} is deprecated: {why}"
    warn = f"    import warnings\n\n    warnings.warn({warning!r}, DeprecationWarning, stacklevel=2)\n" if why else ""
    mark = f"\n{name}.__deprecated__ = {why!r}\n" if why else ""
    body = (
        f"def {name}(self, {signature}) -> {result}:\n{indent(doc)}    given = dict(locals())\n{warn}"
        f"    from antiphon.api._helpers.{module} import {function}\n\n    return {function}(given, {helper!r})\n{mark}"
    )
    return f"if TYPE_CHECKING:\n{indent(*typed)}else:\n{indent(body)}\n"


def _spec(resource: Resource, name: str) -> ast.FunctionDef:
    definition = resource.home.definitions[resource.class_name]
    assert isinstance(definition, ast.ClassDef)
    found = [each for each in definition.body if isinstance(each, ast.FunctionDef) and each.name == name]
    return found[-1]  # after the overloads the method itself


def _deprecated(spec: ast.FunctionDef, name: str) -> str | None:
    """Why a helper that the official package marks as deprecated is."""
    if not any("deprecated" in unparse(each) for each in spec.decorator_list):
        return None
    return next(why for start, why in DEPRECATIONS.items() if name.startswith(f"{start}."))


def _signature(spec: ast.FunctionDef, annotations: Annotations) -> str:
    text: list[str] = ["*"]
    for argument, positional, required in parameters(spec):
        assert not positional, (spec.name, argument.arg)
        assert argument.arg not in OPTIONS
        assert argument.annotation is not None
        members = annotations.members(argument.annotation, shadowed=frozenset())
        annotation = _PARAMETERS.get(argument.arg) or " | ".join(
            dict.fromkeys("Omit" if each == "NotGiven" else each for each in members)
        )
        default = "" if required else " = omit" if "Omit" in annotation else " = None"
        text.append(f"{argument.arg}: {annotation}{default}")
    return ", ".join([*text, _OPTIONS])
