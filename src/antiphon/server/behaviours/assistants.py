"""Assistants: what is said of one is checked, and the vector stores it asks for are made.

API reference: https://platform.openai.com/docs/api-reference/assistants
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...api.beta.assistants import Assistants
from ...kernel.errors import BadRequestError, NotFoundError
from ..asking import asked
from ..behaviour import Call, serves
from ..kept import family
from ..renderings.sinks import settled
from ..vocabulary import known_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..app import Server
    from ..behaviour import Reply

__all__ = ("check_length", "check_model", "check_resources", "granted", "resources_of")

Doc = dict[str, Any]

TEXT: Final = 256_000
"""Characters of instructions and of messages, at the most."""
_FILES: Final = 20


@serves(Assistants.create)
def create(call: Call) -> Reply:
    """Keep an assistant.

    Follows https://platform.openai.com/docs/api-reference/assistants/createAssistant
    """
    if call.server.conjures:
        return family("beta.assistants").create(call)  # type: ignore[no-any-return]
    _check(call)
    return settled(_created(call))


def _created(call: Call) -> Generator[Any, Any, Any]:
    yield from _resolved(call)
    return _thoughtful(call, family("beta.assistants").create(call))


@serves(Assistants.update)
def update(call: Call) -> Reply:
    """Change an assistant. Runs that are under way go on with what it was.

    Follows https://platform.openai.com/docs/api-reference/assistants/modifyAssistant
    """
    keeper = family("beta.assistants")
    keeper.found(call)
    if call.server.conjures:
        return keeper.update(call)  # type: ignore[no-any-return]
    _check(call)
    return settled(_updated(call))


def _updated(call: Call) -> Generator[Any, Any, Any]:
    yield from _resolved(call)
    return _thoughtful(call, family("beta.assistants").update(call))


def _thoughtful(call: Call, doc: Doc) -> Doc:
    """An assistant with its reasoning effort, which the API tells and the package's type of an assistant does not."""
    if call.body.get("reasoning_effort") is not None:
        doc = {**doc, "reasoning_effort": call.body["reasoning_effort"]}
        call.server.store.put("assistants", doc["id"], doc)
    return doc


def _resolved(call: Call) -> Generator[Any, Any, None]:
    if call.body.get("tool_resources") is not None:
        call.body["tool_resources"] = yield from resources_of(call.server, call.body["tool_resources"])


def _check(call: Call) -> None:
    check_length(call.body, "instructions")
    check_model(call.server, call.body.get("model"))
    check_resources(call, call.body.get("tool_resources"))


# Shared with threads and runs


def check_model(server: Server, model: str | None) -> None:
    """Raise `BadRequestError` for a model that does not exist."""
    if model is None:
        return
    try:
        server.engines.chat(model)
    except NotFoundError:
        if server.published_limits and server.engines.models is None and model in known_models():
            return  # nobody speaks for it, which a run will tell
        raise BadRequestError.because(
            f"The requested model '{model}' does not exist.", param="model", code="model_not_found"
        ) from None


def check_length(body: Mapping[str, Any], field: str, param: str = "") -> None:
    """Raise `BadRequestError` for a text that is too long."""
    size = len(body.get(field) or "")
    if size > TEXT:
        raise BadRequestError.because(
            f"Invalid '{param or field}': string too long. Expected a string with maximum length {TEXT}, but got a "
            f"string with length {size} instead.",
            param=param or field,
            code="string_above_max_length",
        )


def check_resources(call: Call, resources: Mapping[str, Any] | None, param: str = "tool_resources") -> None:
    """See that files and vector stores are there, and no more than may be. Raises the API's errors."""
    code: Mapping[str, Any] = (resources or {}).get("code_interpreter") or {}
    search: Mapping[str, Any] = (resources or {}).get("file_search") or {}
    stores: Any = search.get("vector_stores") or ()
    named: Any = search.get("vector_store_ids") or ()
    _check_number(code.get("file_ids"), _FILES, f"{param}.code_interpreter.file_ids")
    _check_number([*named, *stores], 1, f"{param}.file_search.vector_store_ids")
    for key in (*(code.get("file_ids") or ()), *(key for store in stores for key in store.get("file_ids") or ())):
        family("files").get(call, {}, key)
    for key in named:
        family("vector_stores").get(call, {}, key)


def _check_number(values: Any, most: int, param: str) -> None:
    if values is not None and len(values) > most:
        raise BadRequestError.because(
            f"Invalid '{param}': array too long. Expected an array with maximum length {most}, but got an array with "
            f"length {len(values)} instead.",
            param=param,
            code="array_above_max_length",
        )


def resources_of(server: Server, resources: Mapping[str, Any]) -> Generator[Any, Any, Doc]:
    """Resources with vector stores in the place of those that are only described."""
    found = {kind: dict(each) for kind, each in resources.items() if each is not None}
    search = found.get("file_search")
    if search is not None:
        keys = list(search.get("vector_store_ids") or ())
        for described in search.pop("vector_stores", None) or ():
            store = yield from granted(server, "/v1/vector_stores", described)
            keys.append(store["id"])
        search["vector_store_ids"] = keys
    return found


def granted(server: Server, path: str, body: Mapping[str, Any]) -> Generator[Any, Any, Doc]:
    """What this server answers to a request of its own. Raises `BadRequestError` where it refuses."""
    answer = yield from asked(server, path, body)
    found: Doc = orjson.loads(answer.content)
    if answer.status >= 400:
        error = found["error"]
        raise BadRequestError.because(error["message"], param=error.get("param"), code=error.get("code"))
    return found
