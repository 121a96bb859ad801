"""Valid instances of the API's own schemas, plausible and reflecting what is known.

    instance(operation("files.create").response, reflect={"filename": "a.jsonl"}, now=clock.now(), ids=server.ids)

What `reflect` says is taken over wherever its type fits. Otherwise a field that may be null is null, an optional
field that may not is left out (a map is empty), and a required one gets a value by its name: ids with the prefix of
their kind of object, times from `now`, the status of something that went well, zero counts and empty lists, except
of what is never without one: the choices of a completion, the results of a check.

`example` makes instances of users' own JSON Schemas (structured outputs, arguments of tools): see `examples`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from ..schema import Schema
from .examples import ImpossibleSchema, example
from .ids import Ids
from .unions import resolved
from .validation import accepts

__all__ = ("IdSource", "ImpossibleSchema", "example", "id_prefix", "instance")

_DEEPEST = 24


class IdSource(Protocol):
    """Where new ids come from."""

    def new(self, prefix: str) -> str:
        """An id that begins with `prefix`."""
        ...


PREFIXES: dict[str, str] = {
    "agent": "agent_",
    "agent.environment": "env_",
    "agent.session": "sess_",
    "assistant": "asst_",
    "audio.voice": "voice_",
    "audio.voice_consent": "cons_",
    "batch": "batch_",
    "chat.completion": "chatcmpl-",
    "chat.completion.chunk": "chatcmpl-",
    "chatkit.session": "cksess_",
    "chatkit.thread": "cthr_",
    "chatkit.thread_item": "cthi_",
    "checkpoint.permission": "cp_",
    "container": "cntr_",
    "container.file": "cfile_",
    "conversation": "conv_",
    "eval": "eval_",
    "eval.run": "evalrun_",
    "eval.run.output_item": "outputitem_",
    "file": "file-",
    "fine_tuning.job": "ftjob-",
    "fine_tuning.job.checkpoint": "ftckpt_",
    "fine_tuning.job.event": "ftevent-",
    "function_call": "fc_",
    "group": "group_",
    "message": "msg_",
    "organization.admin_api_key": "key_",
    "organization.certificate": "cert_",
    "organization.invite": "invite-",
    "organization.project": "proj_",
    "organization.project.api_key": "key_",
    "organization.project.service_account": "svc_acct_",
    "organization.project.service_account.api_key": "key_",
    "organization.project.user": "user-",
    "organization.user": "user-",
    "project.rate_limit": "rl-",
    "realtime.session": "sess_",
    "reasoning": "rs_",
    "response": "resp_",
    "response.compaction": "resp_",
    "role": "role_",
    "skill": "skill_",
    "skill.version": "skillver_",
    "text_completion": "cmpl-",
    "thread": "thread_",
    "thread.message": "msg_",
    "thread.run": "run_",
    "thread.run.step": "step_",
    "upload": "upload_",
    "upload.part": "part_",
    "user": "user-",
    "vault": "vault_",
    "vault.credential": "vcred_",
    "vector_store": "vs_",
    "vector_store.file": "file-",
    "vector_store.files_batch": "vsfb_",
    "video": "video_",
    "webhook_endpoint": "we_",
}
"""What ids of the kinds of object begin with."""

_ID_FIELDS: dict[str, str] = {
    "assistant_id": "asst_",
    "batch_id": "vsfb_",
    "call_id": "call_",
    "container_id": "cntr_",
    "conversation_id": "conv_",
    "eval_id": "eval_",
    "event_id": "event_",
    "file_id": "file-",
    "group_id": "group_",
    "input_file_id": "file-",
    "item_id": "msg_",
    "organization_id": "org-",
    "project_id": "proj_",
    "request_id": "req_",
    "response_id": "resp_",
    "role_id": "role_",
    "run_id": "run_",
    "session_id": "sess_",
    "skill_id": "skill_",
    "thread_id": "thread_",
    "tool_call_id": "call_",
    "training_file": "file-",
    "turn_id": "turn_",
    "user_id": "user-",
    "vector_store_id": "vs_",
}

_GOOD = ("completed", "active", "succeeded", "processed", "accepted", "ready", "validated", "stop", "ok", "auto")
"""Of an enumeration without a given value, the first of these that it has."""

_STRINGS: dict[str, str] = {
    "arguments": "{}",
    "b64_json": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "completion_window": "24h",
    "content": "",
    "currency": "usd",
    "delta": "",
    "description": "",
    "email": "user@example.com",
    "endpoint": "/v1/chat/completions",
    "filename": "file.txt",
    "fingerprint": "fp_44709d6fcb",
    "language": "en",
    "model": "gpt-5",
    "name": "example",
    "owned_by": "system",
    "path": "/mnt/data/file.txt",
    "purpose": "assistants",
    "role": "assistant",
    "text": "",
    "title": "Example",
    "value": "",
    "version": "1",
}

_TIMES: dict[str, float] = {"expires_at": 3600, "start_time": -3600, "end_time": 0, "created": 0, "run_at": 3600}
"""Fields that hold a time, and its distance from now in seconds."""

_NUMBERS: dict[str, float] = {"temperature": 1, "top_p": 1, "days": 7, "width": 1024, "height": 1024}


_NEVER_EMPTY = frozenset(("choices", "results"))
"""Lists whose first item callers take without a look."""


def id_prefix(kind: str) -> str:
    """What the ids of a kind of object begin with, such as `chatcmpl-` for `chat.completion`."""
    kind = kind.removesuffix(".deleted")
    return PREFIXES.get(kind) or f"{kind.rpartition('.')[2]}_"


def instance(
    schema: Schema, *, reflect: Mapping[str, Any] | None = None, now: float = 0.0, ids: IdSource | None = None
) -> Any:
    """A value that is valid for a schema of the API's tables.

    `reflect` are fields by name, taken over where they fit, in nested objects too; `now` is Unix time in seconds.
    Without `ids` every id is new but the same in every call. The value shares nothing with the schema.
    """
    return _Maker(now, ids or Ids()).make(schema, reflect if reflect is not None else _NOTHING, "", "", 0)


_NOTHING: dict[str, Any] = {}
_NO_VALUE = object()


def _fits(schema: Schema, value: Any) -> bool:
    return accepts(schema, unknown="allow")(value)


class _Maker:
    def __init__(self, now: float, ids: IdSource) -> None:
        self.now = now
        self.ids = ids

    def make(self, schema: Schema, given: Any, name: str, kind: str, depth: int) -> Any:
        """A value for a schema; `given` is what is known, `name` the field's name, `kind` its object's."""
        if depth > _DEEPEST:
            raise ImpossibleSchema(f"'{name}' contains itself without an end")
        if given is not _NO_VALUE and (name or given) and _fits(schema, given):
            return _copied(given)
        schema = resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _good(schema["enum"])
        if "anyOf" in schema:
            return self.make(self.member(schema["anyOf"], given), given, name, kind, depth + 1)
        kinds = schema.get("type", ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "null" in kinds:
            return None
        make = _MAKERS.get(kinds[0]) if kinds else None
        return make(self, schema, given, name, kind, depth) if make is not None else None

    def member(self, members: list[Schema], given: Any) -> Schema:
        """The member of a union that fits what is known best; null, if it is one, where nothing is known."""
        if isinstance(given, Mapping) and given:
            objects = [m for m in members if resolved(m).get("type") == "object"]
            if objects:
                return max(objects, key=lambda m: _likeness(resolved(m), given))
        return next((m for m in members if m.get("type") == "null"), members[0])

    def object(self, schema: Schema, given: Any, name: str, kind: str, depth: int) -> dict[str, Any]:
        fields: dict[str, Schema] = schema.get("properties", {})
        required = frozenset(schema.get("required", ()))
        known: Mapping[str, Any] = given if isinstance(given, Mapping) else _NOTHING
        own = next((fields[key]["const"] for key in ("object", "type") if "const" in fields.get(key, ())), kind)
        made: dict[str, Any] = {}
        for key, field in fields.items():
            value = known.get(key, _NO_VALUE)
            if value is not _NO_VALUE or key in required:
                result = self.make(field, value, key, str(own), depth + 1)
                if result is not None or key in required or _fits(field, None):
                    made[key] = result
            elif _fits(field, None):
                made[key] = None
            elif field.get("type") == "object" and "properties" not in field:
                made[key] = {}
        return made

    def array(self, schema: Schema, given: Any, name: str, kind: str, depth: int) -> list[Any]:
        items: Schema = schema.get("items", {})
        if isinstance(given, list):
            return [self.make(items, item, name, kind, depth + 1) for item in given]
        least = schema.get("minItems", 1 if name in _NEVER_EMPTY else 0)
        return [self.make(items, _NO_VALUE, name, kind, depth + 1) for _ in range(least)]

    def string(self, schema: Schema, given: Any, name: str, kind: str, depth: int) -> str:
        if name == "id":
            return self.ids.new(id_prefix(kind or "object"))
        if name in _ID_FIELDS:
            return self.ids.new(_ID_FIELDS[name])
        if name.endswith("_id"):
            return self.ids.new(name.removesuffix("id"))
        if name in _STRINGS:
            return _STRINGS[name]
        if name.endswith(("_at", "_time", "date")):
            return datetime.fromtimestamp(self.now, UTC).isoformat().replace("+00:00", "Z")
        if name.endswith("url"):
            return "https://example.com/"
        if name == "object":
            return kind or "object"
        return name or "text"

    def integer(self, schema: Schema, given: Any, name: str, kind: str, depth: int) -> int:
        return int(self.number(schema, given, name, kind, depth))

    def number(self, schema: Schema, given: Any, name: str, kind: str, depth: int) -> float:
        ahead = _TIMES.get(name, 0 if name.endswith("_at") else None)
        value = _NUMBERS.get(name, 0) if ahead is None else int(self.now) + ahead
        least: float = schema.get("minimum", value)
        most: float = schema.get("maximum", value)
        return min(max(value, least), most)

    def boolean(self, schema: Schema, given: Any, name: str, kind: str, depth: int) -> bool:
        return name in ("deleted", "active", "enabled", "valid")


_MAKERS: dict[str, Callable[[_Maker, Schema, Any, str, str, int], Any]] = {
    "object": _Maker.object,
    "array": _Maker.array,
    "string": _Maker.string,
    "integer": _Maker.integer,
    "number": _Maker.number,
    "boolean": _Maker.boolean,
}


def _good(values: list[Any]) -> Any:
    return None if None in values else next((value for value in _GOOD if value in values), values[0])


def _likeness(schema: Schema, given: Mapping[str, Any]) -> int:
    fields: dict[str, Schema] = schema.get("properties", {})
    tags = sum(4 if given[k] == f["const"] else -4 for k, f in fields.items() if "const" in f and k in given)
    known = sum(key in fields for key in given)
    return tags + known - sum(key not in given for key in schema.get("required", ()))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
