"""Graders: a number for what a model said, by comparing, by asking a model, or by a formula over other graders.

Texts in a grader are templates: `{{sample.output_text}}` is what was said, `{{sample.output_json.total}}` a field of
it, `{{item.answer}}` a field of the item. A grader that cannot be carried out gives nought and says why in its errors.
Graders of evals are these as well; there a sample may have more fields, such as the tools that were called.

Graders of Python are code of the caller's: they run only where the server was told to (`python_graders`), each in a
process of its own, without the environment and for ten seconds at the most.

API reference: https://platform.openai.com/docs/guides/graders
"""

from __future__ import annotations

import ast
import math
import operator
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from ..kernel.errors import BadRequestError
from ..kernel.flow import Call
from .asking import asked
from .prompts import as_chat
from .similarity import MEASURES
from .templates import NothingThere, holes, reached, root, steps, texts, written

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from .app import Server

__all__ = ("Asked", "Grade", "check", "grade")

_PYTHON_SECONDS: Final = 10
_ROLES: Final = ("user", "assistant", "system", "developer")

ERRORS: Final[dict[str, Any]] = {
    "formula_parse_error": False,
    "sample_parse_error": False,
    "truncated_observation_error": False,
    "unresponsive_reward_error": False,
    "invalid_variable_error": False,
    "other_error": False,
    "python_grader_server_error": False,
    "python_grader_server_error_type": None,
    "python_grader_runtime_error": False,
    "python_grader_runtime_error_details": None,
    "model_grader_server_error": False,
    "model_grader_refusal_error": False,
    "model_grader_parse_error": False,
    "model_grader_server_error_details": None,
}


class Asked(NamedTuple):
    """A request to a model, and what it answered."""

    body: dict[str, Any]
    answer: dict[str, Any]


class Grade(NamedTuple):
    """What a grader found."""

    reward: float
    errors: dict[str, Any]
    parts: dict[str, Any]
    """The reward of each grader of a `multi`, by its name in it."""
    tokens: dict[str, int]
    """Tokens that models used, by model."""
    seconds: float
    asked: tuple[Asked, ...] = ()
    """What models were asked on the way."""

    def answer(self, grader: Mapping[str, Any]) -> dict[str, Any]:
        """As the API tells it."""
        return {
            "reward": self.reward,
            "sub_rewards": self.parts,
            "model_grader_token_usage_per_model": self.tokens,
            "metadata": {
                "name": grader["name"],
                "type": grader["type"],
                "errors": {**ERRORS, **self.errors},
                "execution_time": self.seconds,
                "scores": self.parts or {grader["name"]: self.reward},
                "token_usage": sum(self.tokens.values()) or None,
                "sampled_model_name": grader.get("model"),
            },
        }


class _Failed(Exception):
    def __init__(self, name: str, **details: Any) -> None:
        super().__init__(name)
        self.errors: dict[str, Any] = {name: True, **details}


class _Subject(NamedTuple):
    server: Server
    sample: str | None
    fields: Mapping[str, Any]
    item: Any
    tokens: dict[str, int]
    asked: list[Asked]


def grade(
    server: Server, grader: Mapping[str, Any], sample: str | None, item: Any, fields: Mapping[str, Any] | None = None
) -> Flow[Grade]:
    """Carry a grader out on what a model said, if it was asked. `fields` are what else is known of the sample."""
    began = perf_counter()
    subject = _Subject(server, sample, fields or {}, item, {}, [])
    parts: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    try:
        found = _KINDS[grader["type"]](grader, subject, parts)
        reward: float = (yield from found) if isinstance(found, GeneratorType) else found
    except _Failed as failed:
        reward, errors = 0.0, failed.errors
    return Grade(reward, errors, parts, subject.tokens, perf_counter() - began, tuple(subject.asked))


def check(grader: Mapping[str, Any], where: str = "grader") -> None:
    """See that a grader could be carried out. Raises `BadRequestError`."""
    for name in ("input", "reference"):
        text = grader.get(name)
        if isinstance(text, str):
            _check_template(text, f"{where}.{name}")
    if isinstance(grader.get("input"), list):
        for at, message in enumerate(grader["input"]):
            if message.get("role", "user") not in _ROLES:
                raise _invalid(f"{where}.input[{at}].role", f"it is one of {', '.join(_ROLES)}")
            for text in texts(message.get("content")):
                _check_template(text, f"{where}.input[{at}].content")
    strays = sorted(set(grader.get("passing_labels") or ()) - set(grader.get("labels") or ()))
    if strays:
        raise _invalid(f"{where}.passing_labels", f"{', '.join(map(repr, strays))} is not among 'labels'")
    bounds = grader.get("range")
    if bounds and (len(bounds) != 2 or bounds[0] > bounds[1]):
        raise _invalid(f"{where}.range", "it is two numbers, the least and the largest score")
    if grader["type"] == "python":
        try:
            tree = ast.parse(grader["source"])
        except SyntaxError as error:
            raise _invalid(f"{where}.source", f"line {error.lineno}: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError):
            raise _invalid(f"{where}.source", "it cannot be read as Python") from None
        if not any(isinstance(node, ast.FunctionDef) and node.name == "grade" for node in tree.body):
            raise _invalid(f"{where}.source", "it has no function `grade(sample, item)`")
    if grader["type"] == "multi":
        members = _members(grader)
        try:
            names = {node.id for node in ast.walk(_parsed(grader["calculate_output"])) if isinstance(node, ast.Name)}
        except _Failed as failed:
            raise _invalid(f"{where}.calculate_output", "it is no formula") from failed
        unknown = sorted(names - set(members) - set(_FUNCTIONS))
        if unknown:
            message = f"there is no grader named {', '.join(unknown)}; there are {', '.join(members)}"
            raise _invalid(f"{where}.calculate_output", message)
        for name, each in members.items():
            check(each, f"{where}.graders.{name}")


def _invalid(param: str, why: str) -> BadRequestError:
    return BadRequestError.because(f"Invalid '{param}': {why}.", param=param, code="invalid_grader")


# Templates


def _check_template(text: str, param: str) -> None:
    for path in holes(text):
        if root(path) not in ("sample", "item"):
            raise _invalid(param, f"{{{{{path}}}}} is neither of the sample nor of the item")


def _filled(template: str, subject: _Subject) -> str:
    return written(template, lambda path: _value(path, subject))


def _value(path: str, subject: _Subject) -> Any:
    first, *names = steps(path)
    try:
        if first == "item":
            return reached(subject.item, names)
        if first == "sample" and names:
            return reached(_sampled(names[0], subject), names[1:])
    except NothingThere:
        pass
    raise _Failed("invalid_variable_error")


def _sampled(name: str, subject: _Subject) -> Any:
    """A field of the sample."""
    if name in subject.fields:
        return subject.fields[name]
    if subject.sample is not None:
        if name == "output_text":
            return subject.sample
        if name == "output_json":
            try:
                return orjson.loads(subject.sample)
            except orjson.JSONDecodeError:
                raise _Failed("sample_parse_error") from None
    raise NothingThere(name)


# Kinds


def _string_check(grader: Mapping[str, Any], subject: _Subject, parts: Any) -> float:
    text, reference = _filled(grader["input"], subject), _filled(grader["reference"], subject)
    return float(_OPERATIONS[grader["operation"]](text, reference))


_OPERATIONS: Final[dict[str, Callable[[str, str], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "like": lambda text, part: part in text,
    "ilike": lambda text, part: part.casefold() in text.casefold(),
}


def _text_similarity(grader: Mapping[str, Any], subject: _Subject, parts: Any) -> Flow[float]:
    text, reference = _filled(grader["input"], subject), _filled(grader["reference"], subject)
    measure = grader["evaluation_metric"]
    if measure != "cosine":
        return MEASURES[measure](text, reference)
    answer = yield from _asked(
        subject, "/v1/embeddings", {"model": "text-embedding-3-large", "input": [text, reference]}
    )
    one, other = (each["embedding"] for each in answer["data"])
    cosine: float = sum(a * b for a, b in zip(one, other, strict=True))
    return max(0.0, min(1.0, cosine))


def _score_model(grader: Mapping[str, Any], subject: _Subject, parts: Any) -> Flow[float]:
    # Where nothing is refused, what is no range is none.
    bounds: list[float] = list(grader.get("range") or ())
    low, high = bounds if len(bounds) == 2 and bounds[0] <= bounds[1] else (0, 1)
    number = {"type": "number", "minimum": low, "maximum": high}
    answer = yield from _judged(grader, subject, {"result": number})
    result = answer.get("result")
    if not isinstance(result, (int, float)) or isinstance(result, bool):
        raise _Failed("model_grader_parse_error")
    return float(max(low, min(high, result)))


def _label_model(grader: Mapping[str, Any], subject: _Subject, parts: Any) -> Flow[float]:
    answer = yield from _judged(grader, subject, {"label": {"type": "string", "enum": list(grader["labels"])}})
    return float(answer.get("label") in grader["passing_labels"])


def _multi(grader: Mapping[str, Any], subject: _Subject, parts: dict[str, Any]) -> Flow[float]:
    for name, each in _members(grader).items():
        found = _KINDS[each["type"]](each, subject, {})
        parts[name] = (yield from found) if isinstance(found, GeneratorType) else found
    try:
        reward = float(_calculated(_parsed(grader["calculate_output"]), parts))
    except (OverflowError, RecursionError):
        raise _Failed("other_error") from None
    if not math.isfinite(reward):
        raise _Failed("other_error")
    return reward


def _members(grader: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The graders of a `multi` by name. The API takes a mapping, or one grader with a name of its own."""
    given: Mapping[str, Any] = grader["graders"]
    return {given["name"]: given} if isinstance(given.get("type"), str) else dict(given)


def _python(grader: Mapping[str, Any], subject: _Subject, parts: Any) -> Flow[float]:
    if not subject.server.python_graders:
        kind = "python graders are off: FakeOpenAI(python_graders=True) lets them run on this machine"
        raise _Failed("python_grader_server_error", python_grader_server_error_type=kind)
    try:
        parsed = orjson.loads(subject.sample or "")
    except orjson.JSONDecodeError:
        parsed = None
    given = {"output_text": subject.sample or "", "output_json": parsed, **subject.fields}
    reward: float = yield Call(_run, grader["source"], given, subject.item)
    return reward


_RUNNER: Final = """
import json, sys
given = json.load(sys.stdin)
scope = {"__name__": "grader"}
exec(compile(given["source"], "grader", "exec"), scope)
found = scope["grade"](given["sample"], given["item"])
sys.stdout.write("\\n" + json.dumps(float(found)))
"""


def _run(source: str, sample: Any, item: Any) -> float:
    import subprocess

    given = orjson.dumps({"source": source, "sample": sample, "item": item})
    command = [sys.executable, "-I", "-S", "-c", _RUNNER]
    try:
        done = subprocess.run(  # noqa: S603 (the server was told that it may)
            command, input=given, capture_output=True, timeout=_PYTHON_SECONDS, env={}, check=False
        )
    except subprocess.TimeoutExpired:
        details = f"it took more than {_PYTHON_SECONDS} seconds"
        raise _Failed("python_grader_runtime_error", python_grader_runtime_error_details=details) from None
    if done.returncode != 0:
        details = done.stderr.decode("utf-8", "replace").strip()[-2000:]
        raise _Failed("python_grader_runtime_error", python_grader_runtime_error_details=details)
    return float(done.stdout.rpartition(b"\n")[2])


_KINDS: Final[dict[str, Callable[[Mapping[str, Any], _Subject, dict[str, Any]], Any]]] = {
    "string_check": _string_check,
    "text_similarity": _text_similarity,
    "score_model": _score_model,
    "label_model": _label_model,
    "python": _python,
    "multi": _multi,
}


# Models


def _judged(grader: Mapping[str, Any], subject: _Subject, fields: dict[str, Any]) -> Flow[dict[str, Any]]:
    """What the model of a grader answers, as an object with these fields."""
    messages = as_chat(grader["input"], lambda path: _value(path, subject))
    schema = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    body: dict[str, Any] = {
        "model": grader["model"],
        "messages": messages,
        "response_format": {"type": "json_schema", "json_schema": {"name": "grade", "strict": True, "schema": schema}},
    }
    given: Mapping[str, Any] = grader.get("sampling_params") or {}
    names = {"max_completions_tokens": "max_completion_tokens"}
    body |= {names.get(name, name): value for name, value in given.items() if value is not None}
    answer = yield from _asked(subject, "/v1/chat/completions", body)
    model, usage = grader["model"], answer.get("usage") or {}
    subject.tokens[model] = subject.tokens.get(model, 0) + usage.get("total_tokens", 0)
    message = answer["choices"][0]["message"]
    if message.get("refusal"):
        raise _Failed("model_grader_refusal_error")
    text = message.get("content") or ""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = text
    return found if isinstance(found, dict) else _bare(text, fields)


def _bare(text: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a model says that was asked for an object and gives the number or the label alone."""
    (name,) = fields
    if "enum" in fields[name]:
        return {name: text.strip()}
    try:
        return {name: float(text)}
    except ValueError:
        raise _Failed("model_grader_parse_error") from None


def _asked(subject: _Subject, path: str, body: dict[str, Any]) -> Flow[dict[str, Any]]:
    """What this server answers to a request of a grader's."""
    answer = yield from asked(subject.server, path, body)
    found: dict[str, Any] = orjson.loads(answer.content)
    if answer.status >= 400:
        raise _Failed("model_grader_server_error", model_grader_server_error_details=found["error"]["message"])
    subject.asked.append(Asked(body, found))
    return found


# Formulas


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
}
_BINARY: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def _parsed(formula: str) -> ast.expr:
    try:
        return ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Failed("formula_parse_error") from None


def _calculated(node: ast.expr, values: Mapping[str, float]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.Name():
            raise _Failed("invalid_variable_error")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_calculated(operand, values)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _calculated(operand, values)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            try:
                return _BINARY[type(op)](_calculated(left, values), _calculated(right, values))
            except ArithmeticError:
                raise _Failed("other_error") from None
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            try:
                return _FUNCTIONS[name](*(_calculated(each, values) for each in arguments))
            except (TypeError, ValueError, OverflowError):
                raise _Failed("other_error") from None
        case _:
            raise _Failed("formula_parse_error")
