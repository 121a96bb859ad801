"""What is looked at of an eval and of a run before they are kept: schemas, templates, and whether it can be sampled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ...kernel.errors import BadRequestError
from ..fits import NoSuchReference, fits, lookup
from ..graders import check
from ..kept import family
from ..patterns import compiled
from ..templates import holes, root, texts
from .rows import STORED

if TYPE_CHECKING:
    from ..behaviour import Call

__all__ = ("check_config", "check_criteria", "check_source")

_KINDS: Final = ["string", "integer", "number", "boolean", "null", "array", "object"]
_SCHEMA: Final[dict[str, Any]] = {"type": ["object", "boolean"]}
_SCHEMAS: Final[dict[str, Any]] = {"type": "array", "items": _SCHEMA, "minItems": 1}
_NAMED: Final[dict[str, Any]] = {"type": "object", "additionalProperties": _SCHEMA}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_NAMES: Final[dict[str, Any]] = {"type": "array", "items": {"type": "string"}}
_KEYWORDS: Final[dict[str, Any]] = {
    "type": {"anyOf": [{"enum": _KINDS}, {"type": "array", "minItems": 1, "items": {"enum": _KINDS}}]},
    "enum": {"type": "array"},
    "required": _NAMES,
    "properties": _NAMED,
    "patternProperties": _NAMED,
    "$defs": _NAMED,
    "definitions": _NAMED,
    "dependentSchemas": _NAMED,
    "dependentRequired": {"type": "object", "additionalProperties": _NAMES},
    "dependencies": {"type": "object", "additionalProperties": {"anyOf": [_SCHEMA, _NAMES]}},
    "additionalProperties": _SCHEMA,
    "propertyNames": _SCHEMA,
    "items": {"anyOf": [_SCHEMA, _SCHEMAS]},
    "prefixItems": _SCHEMAS,
    "additionalItems": _SCHEMA,
    "contains": _SCHEMA,
    "allOf": _SCHEMAS,
    "anyOf": _SCHEMAS,
    "oneOf": _SCHEMAS,
    "not": _SCHEMA,
    "if": _SCHEMA,
    "then": _SCHEMA,
    "else": _SCHEMA,
    "pattern": {"type": "string"},
    "$ref": {"type": "string"},
    "$dynamicRef": {"type": "string"},
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "exclusiveMinimum": {"type": ["number", "boolean"]},
    "exclusiveMaximum": {"type": ["number", "boolean"]},
    "multipleOf": {"type": "number", "exclusiveMinimum": 0},
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _COUNT),
    **dict.fromkeys(("minContains", "maxContains"), _COUNT),
}
"""What the keywords of a JSON Schema may be, each on its own level."""
_DEEPEST: Final = 50


# Evals


def check_config(config: Mapping[str, Any]) -> None:
    """See that items can be described so. Raises `BadRequestError` for what is no JSON Schema of an object."""
    if config["type"] != "custom":
        return
    where = "data_source_config.item_schema"
    schema: dict[str, Any] = config["item_schema"]
    fault = _fault(schema, schema, where, 0)
    if fault is None and schema.get("type", "object") not in ("object", ["object"]):
        fault = where, "items are objects, so its 'type' has to be 'object'"
    if fault is not None:
        raise BadRequestError.because(
            f"Invalid schema for '{fault[0]}': {fault[1]}.", param=fault[0], code="invalid_schema"
        )


def _fault(schema: Any, whole: Mapping[str, Any], where: str, depth: int) -> tuple[str, str] | None:
    """Where a schema is none, and why."""
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, dict):
        return where, "a schema is an object or a boolean"
    if depth > _DEEPEST:
        return where, f"it is more than {_DEEPEST} levels deep"
    for name, value in schema.items():
        if name in _KEYWORDS and not fits(value, _KEYWORDS[name]):
            return f"{where}.{name}", f"the value of '{name}' is none that it can have"
    try:
        for pattern in (*schema.get("patternProperties", ()), *([schema["pattern"]] if "pattern" in schema else ())):
            compiled(pattern)
        for name in ("$ref", "$dynamicRef"):
            if name in schema:
                lookup(schema[name], whole)
    except ValueError:
        return f"{where}.pattern", "it cannot be read as a regular expression"
    except NoSuchReference as error:
        return f"{where}.$ref", str(error)
    for name, value in schema.items():
        kind = _KEYWORDS.get(name)
        inner = value.items() if kind in (_NAMED, _KEYWORDS["dependencies"]) else ()
        if kind in (_SCHEMAS, _KEYWORDS["items"]) and isinstance(value, list):
            inner = enumerate(value)
        elif kind in (_SCHEMA, _KEYWORDS["items"]):
            inner = (("", value),)
        for key, each in inner:
            place = f"{where}.{name}[{key}]" if isinstance(key, int) else f"{where}.{name}.{key}".rstrip(".")
            fault = None if isinstance(each, list) else _fault(each, whole, place, depth + 1)
            if fault is not None:
                return fault
    return None


def check_criteria(config: Mapping[str, Any], criteria: list[dict[str, Any]]) -> None:
    """See that the graders could be carried out on such items. Raises `BadRequestError`."""
    sampled = config["type"] != "custom" or bool(config.get("include_sample_schema"))
    for at, criterion in enumerate(criteria):
        where = f"testing_criteria[{at}]"
        check(criterion, where)
        if sampled:
            continue
        fields = {name: criterion.get(name) for name in ("input", "reference")}
        for name, value in fields.items():
            for text in texts(value):
                if any(root(path) == "sample" for path in holes(text)):
                    raise BadRequestError.because(
                        f"Invalid '{where}.{name}': the template names the sample, which items of this eval do not "
                        "have. Set 'data_source_config.include_sample_schema' to true.",
                        param=f"{where}.{name}",
                        code="invalid_template",
                    )


# Runs


def check_source(call: Call) -> None:
    """See that a run can begin. Raises `BadRequestError`, and `NotFoundError` for files and models."""
    source: dict[str, Any] = call.body["data_source"]
    of: dict[str, Any] = source["source"]
    if of["type"] == "file_id":
        family("files").get(call, {}, of["id"])
    messages, model = source.get("input_messages"), source.get("model")
    if messages is not None and not model:
        raise _missing("data_source.model", "'data_source.input_messages' are for a model")
    if model:
        if messages is None and of["type"] not in STORED:
            raise _missing("data_source.input_messages", "they say what the model is asked")
        call.server.engines.chat(model)
    if messages is None:
        return
    if messages["type"] == "item_reference":
        reference: str = messages["item_reference"]
        if root(reference) != "item" or reference == "item":
            raise _invalid("data_source.input_messages.item_reference", "it names a field of the item, as 'item.input'")
        return
    for at, message in enumerate(messages["template"]):
        for text in texts(message):
            strange = [path for path in holes(text) if root(path) != "item"]
            if strange:
                where = f"data_source.input_messages.template[{at}].content"
                raise _invalid(where, f"{{{{{strange[0]}}}}} is not of the item")


def _missing(param: str, why: str) -> BadRequestError:
    return BadRequestError.because(
        f"Missing required parameter: '{param}': {why}.", param=param, code="missing_required_parameter"
    )


def _invalid(param: str, why: str) -> BadRequestError:
    return BadRequestError.because(f"Invalid '{param}': {why}.", param=param, code="invalid_template")
