"""Requests as nobody should send them: valid ones, spoilt ones and nonsense, made from the schemas of the operations.

    stranger = Stranger(seed)
    request = stranger.request(endpoint("files.list"))
    stranger.learn(request, at, answer)        # what answers tell of is asked for in later requests

The same seed and the same answers give the same requests.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote

from antiphon.kernel.http import Headers, Request
from antiphon.schema import Schema, resolve
from antiphon.server.endpoint import Endpoint, endpoints
from antiphon.server.samples import wave
from tests.unit.server.door import KEY, PNG, fields, form

__all__ = ("BATCH_LINE", "CHAT_LINE", "Stranger")

CHAT_LINE = b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n'
BATCH_LINE = b'{"custom_id": "%d", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-5"}}\n'
FILES: tuple[tuple[str, bytes], ...] = (
    ("a.png", PNG),
    ("a.wav", wave(0.2)),
    ("a.jsonl", CHAT_LINE * 10),
    ("a.jsonl", b"".join(BATCH_LINE % n for n in range(3))),
    ("a.jsonl", b"[1\n\xff"),
    ("a.txt", b"The cafe closes at six.\n" * 3),
    ("a.pdf", b"%PDF-1.4 not really"),
    ("a.docx", b"PK\x03\x04 not really"),
    ("a.html", b"<h1>Hours<p>unclosed"),
    ("", b""),
    ("\N{SNOWMAN}.mp3", b"ID3\x03\x00"),
    ("../../etc/passwd", bytes(range(256))),
)
TEXTS = (
    "Hello",
    "use weather, then search_flights",
    "use web_search to find cats",
    "use code_interpreter to compute `1 / 0`",
    "please refuse",
    "",
    " ",
    "0",
    "\0",
    "a" * 3000,
    "\N{PILE OF POO}\u202e\ufeff",
    "../..",
    "/workspace/a.txt",
    "{}",
    "[[[",
    "data:image/png;base64," + base64.b64encode(PNG).decode(),
    "data:,",
    base64.b64encode(PNG).decode(),
    "http://example.com/a.png",
    "http://[::1",
    "1970-01-01",
    "9999-12-31T23:59:59Z",
    "(a+)+$",
    "[",
    "%",
    "{{item.input}}",
    "{{",
)
MODELS = ("gpt-5", "gpt-4o-mini", "dall-e-2", "whisper-1", "text-embedding-3-small", "gpt-3.5-turbo-instruct", "o3", "")
NUMBERS = (0, 1, 2, 3, 10, 100, -1, 0.5, 1e308, 5e-324, -0.0, 2**31, 2**53 + 1, 2**63, 2**64 - 1, -(2**63))
ODD: tuple[Any, ...] = (None, True, [], {}, "", [[]], [None], {"": None}, {"type": "nonsense"}, {"type": []}, *NUMBERS)
SEGMENTS = ("%00", "..", "%2e%2e", "%ff", "a%2Fb", "%", "x" * 5000, "%F0%9F%92%A9", "null", "[", "a:b", " ", "-1", "")
QUERIES = (
    "%",
    "=",
    "&&&",
    "a[",
    "[a]=1",
    "limit[]=1&limit=2",
    "limit=",
    "limit=1e999",
    "limit=%00",
    "order[a]=b&order[]=c",
    "after=%ff",
    "include[999999999]=a",
    "metadata" + "[a]" * 500 + "=1",
    "beta=true",
    "stream=true",
    "limit=9" + "9" * 5000,
)
BODIES = (
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"1",
    b"{",
    b"{}",
    b"\xff\xfe{\x00}\x00",
    b'{"model": NaN}',
    b'{"model": "\\ud800"}',
    b'{"input": 1e999}',
    b'{"model": ' + b"9" * 500 + b"}",
    b'{"input": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"input": ' + b'{"a":' * 100_000,
    b'{"a": 1, "a": 2}',
    b"--xYzZY--\r\n",
    b'--xYzZY\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
    b"--xYzZY\r\nContent-Disposition: form-data\r\n\r\nx\r\n--xYzZY--\r\n",
    b"--xYzZY\r\n\r\n\r\n--xYzZY\r\n--xYzZY",
    b'--xYzZY\r\nContent-Disposition: form-data; name="file[][a]"\r\n\r\nx\r\n--xYzZY--\r\n',
)
HEADERS: tuple[tuple[str, str], ...] = (
    ("authorization", ""),
    ("authorization", "Bearer"),
    ("authorization", "Basic Og=="),
    ("authorization", "Bearer \xff"),
    ("content-type", ""),
    ("content-type", "application/json; charset=utf-16"),
    ("content-type", "application/vnd.x+json"),
    ("content-type", "application/sdp"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "multipart/form-data"),
    ("content-type", "multipart/form-data; boundary="),
    ("content-type", 'multipart/form-data; boundary="xYzZY'),
    ("content-type", "multipart/form-data; boundary=" + "x" * 200),
    ("accept", "text/event-stream"),
    ("range", "bytes=5-1"),
    ("last-event-id", "-1"),
    ("openai-beta", "assistants=v1"),
    ("openai-project", "\x7f"),
    ("openai-organization", ""),
    ("idempotency-key", "x" * 1000),
    ("x-stainless-retry-count", "many"),
    ("origin", "null"),
)
FIRST_IDS = ("user-owner", "role-reader", "proj_default", "gpt-5")
"""What is there from the start."""
_MOST_IDS = 40


class File(NamedTuple):
    """A file of a form."""

    name: str
    content: bytes


class Stranger:
    """Makes requests, and remembers the ids it was told."""

    def __init__(self, seed: int | str) -> None:
        self.random = Random(seed)
        self.family = ""
        """Of the operation that is asked for: `audio`, `images`, …"""
        self.ids: dict[str, list[str]] = {}
        """By what they begin with."""
        self.places: dict[str, list[str]] = {}
        """Addresses of what there is, by their template."""
        for each in FIRST_IDS:
            self.remember(each)

    # What it knows

    def learn(self, request: Request, at: Endpoint, answer: Any) -> None:
        """Remember the ids in an answer, and the addresses of the objects in it."""
        self.locate(request, at, answer)
        stack = [answer]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                for key, item in value.items():
                    if isinstance(item, str) and key == "id":
                        self.remember(item)
                stack.extend(value.values())
            elif isinstance(value, list):
                stack.extend(value[:20])

    def locate(self, request: Request, at: Endpoint, answer: Any) -> None:
        template = _items().get(at.path)
        if template is None or not request.path.startswith("/v1/") or not isinstance(answer, dict):
            return
        listed = answer.get("data")
        for each in listed[:5] if isinstance(listed, list) else [answer]:
            if isinstance(each, dict) and isinstance(each.get("id"), str):
                known = self.places.setdefault(template, [])
                known.append(f"{request.path.removeprefix('/v1')}/{quote(each['id'], safe='')}")
                del known[:-_MOST_IDS]

    def remember(self, id: str) -> None:
        found = re.match(r"[a-z]+(?=[_-])", id)
        known = self.ids.setdefault(found[0] if found else "", [])
        if id not in known:
            known.append(id)
            del known[:-_MOST_IDS]

    def id(self, name: str) -> str:
        """An id for a field or parameter, mostly of the right kind."""
        chance = self.random.random()
        if chance < 0.75:
            stem = name.removesuffix("_id").removesuffix("s").rpartition("_")[2]
            kinds = [kind for kind in self.ids if kind and _alike(kind, stem, name)]
            if kinds:
                return self.random.choice(self.ids[self.random.choice(kinds)])
        if chance < 0.9:
            return self.random.choice(self.ids[self.random.choice(sorted(self.ids))])
        return self.random.choice(TEXTS)

    # Values

    def value(self, schema: Schema, name: str = "", depth: int = 0) -> Any:
        """A value that mostly fits a schema: lengths and bounds are met, but words are any words."""
        while "$ref" in schema:
            schema = resolve(schema["$ref"])
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if "anyOf" in schema:
            members = schema["anyOf"]
            if depth > 7:
                members = [each for each in members if "type" in each or "enum" in each] or members
            return self.value(self.random.choice(members), name, depth + 1)
        kinds = schema.get("type")
        kind = kinds if isinstance(kinds, str) else self.random.choice(kinds) if kinds else None
        make = _MAKERS.get(kind or "")
        return make(self, schema, name, depth) if make is not None else self.odd()

    def object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        chance = 0.25 if depth < 4 else 0.06 if depth < 9 else 0
        made = {
            key: self.value(field, key, depth + 1)
            for key, field in schema.get("properties", {}).items()
            if key in required or self.random.random() < (0.9 if key == "model" else chance)
        }
        other = schema.get("additionalProperties")
        if isinstance(other, dict) and depth < 9:
            for _ in range(self.random.randrange(3)):
                made[self.random.choice(("a", "type", "gpt-5", ""))] = self.value(other, "", depth + 1)
        return made

    def array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = min(schema.get("maxItems", 3), least + 3) if depth < 9 else least
        return [
            self.value(schema.get("items", {}), name, depth + 1)
            for _ in range(self.random.randint(least, max(least, most)))
        ]

    def string(self, schema: Schema, name: str, depth: int) -> Any:
        if schema.get("format") == "binary":
            usual = FILES[0] if name in ("image", "mask") else FILES[1] if self.family == "audio" else None
            return File(*(usual if usual and self.random.random() < 0.7 else self.random.choice(FILES)))
        if name == "model":
            usual_model = _USUAL_MODELS.get(self.family, "gpt-5")
            return usual_model if self.random.random() < 0.7 else self.random.choice(MODELS)
        if name == "id" or name.endswith(("_id", "_ids", "_file", "conversation", "file_ids")):
            return self.id(name)
        text = self.random.choice(TEXTS)
        if "pattern" in schema:
            text = "some_name"
        if len(text) < schema.get("minLength", 0):
            text = text.ljust(schema["minLength"], "x")
        return text[: schema.get("maxLength", len(text))]

    def integer(self, schema: Schema, name: str, depth: int) -> int:
        return int(self.number(schema, name, depth))

    def number(self, schema: Schema, name: str, depth: int) -> float:
        low, high = schema.get("minimum"), schema.get("maximum")
        options = [each for each in (low, high) if each is not None and abs(each) < 5000]
        options += [n for n in NUMBERS if (low is None or n >= low) and (high is None or n <= high)]
        small = [n for n in options if 0 <= n <= 10]
        return self.random.choice(small if small and self.random.random() < 0.7 else options or [0])

    def boolean(self, schema: Schema, name: str, depth: int) -> bool:
        return self.random.random() < 0.5

    def null(self, schema: Schema, name: str, depth: int) -> None:
        return None

    def odd(self) -> Any:
        """Something else than was asked for."""
        return deepcopy(self.random.choice(ODD if self.random.random() < 0.6 else TEXTS))

    def spoil(self, value: Any) -> Any:
        """A value with something wrong in one place of it. The value may be changed."""
        holders: list[Any] = []
        stack = [value]
        while stack:
            item = stack.pop()
            if isinstance(item, (dict, list)) and item:
                holders.append(item)
                stack.extend(item.values() if isinstance(item, dict) else item)
        if not holders and value == {} and self.random.random() < 0.8:
            return {self.random.choice(("unknown", "", "metadata")): self.odd()}
        if not holders or self.random.random() < 0.03:
            return self.odd()
        holder = self.random.choice(holders)
        key = self.random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        chance = self.random.random()
        if chance < 0.2:
            del holder[key]
        elif chance < 0.3 and isinstance(holder, dict):
            holder[self.random.choice(("unknown", "", "type", "id", "$ref"))] = self.odd()
        elif chance < 0.4 and isinstance(holder, list):
            holder *= 3
        else:
            holder[key] = self.odd()
        return value

    # Requests

    def request(self, at: Endpoint) -> Request:
        """A request of an operation."""
        at.open()
        self.family = at.name.partition(".")[0]
        headers = dict(KEY)
        body = b""
        if at.takes_body:
            body, more = self.body(at)
            headers.update(more)
        if self.random.random() < 0.1:
            headers.update([self.random.choice(HEADERS)])
        return Request(at.method, self.path(at), self.query(at), Headers(headers), body)

    def path(self, at: Endpoint) -> str:
        path = at.path
        if self.random.random() < 0.8:
            known = [template for template in self.places if path == template or path.startswith(template + "/")]
            if known:
                template = max(known, key=len)
                path = self.random.choice(self.places[template]) + path[len(template) :]
        for param in re.findall(r"{(\w+)}", path):
            segment = quote(self.id(param), safe="")
            if self.random.random() < 0.06:
                segment = self.random.choice(SEGMENTS)
            path = path.replace("{" + param + "}", segment, 1)
        prefixes = ("", "/openai/v1", "/openai/deployments/gpt-5", "/openai/deployments/%FF", "//v1")
        prefix = self.random.choice(prefixes) if self.random.random() < 0.05 else "/v1"
        return prefix + path + ("/" if self.random.random() < 0.01 else "")

    def query(self, at: Endpoint) -> str:
        pairs = list(at.fixed_query.items())
        if at.schema.query is not None:
            made = self.object(at.schema.query, "", 0)
            pairs += fields("", self.spoil(made) if self.random.random() < 0.15 else made) if made else []
        query = "&".join(f"{quote(str(name), safe='[]')}={quote(str(value))}" for name, value in pairs)
        if self.random.random() < 0.06:
            query += "&" + self.random.choice(QUERIES)
        return query

    def body(self, at: Endpoint) -> tuple[bytes, dict[str, str]]:
        """The bytes of a body and the headers that go with them."""
        multipart = at.schema.media == "multipart"
        if self.random.random() < 0.05:
            kind = "multipart/form-data; boundary=xYzZY" if multipart else "application/json"
            return self.random.choice(BODIES), {"content-type": kind}
        made = self.object(at.schema.body, "", 0) if at.schema.body is not None else {}
        for _ in range(self.random.choice((0, 0, 0, 1, 1, 2))):
            made = self.spoil(made)
        if multipart and self.random.random() < 0.97:
            content, headers = form(fields("", made) if isinstance(made, dict) else [("", made)])
            if self.random.random() < 0.05:
                content = content[: self.random.randrange(len(content))]
            return content, headers
        return json.dumps(made, default=lambda _: "a file").encode(), {"content-type": "application/json"}


@cache
def _items() -> dict[str, str]:
    """The templates of addresses of objects by those of their collections."""
    paths = {at.path for at in endpoints().values()}
    return {path.rpartition("/{")[0]: path for path in paths if path.endswith("}")}


def _alike(kind: str, stem: str, name: str) -> bool:
    """Whether ids that begin so are what a field of this name may mean."""
    return kind.startswith(stem[:3]) or stem.startswith(kind[:3]) or _KINDS.get(name) == kind


_KINDS = {
    "response_id": "resp",
    "vector_store_id": "vs",
    "assistant_id": "asst",
    "completion_id": "chatcmpl",
    "fine_tuning_job_id": "ftjob",
    "batch_id": "vsfb",
    "item_id": "msg",
    "message_id": "msg",
    "conversation": "conv",
    "training_file": "file",
    "validation_file": "file",
    "webhook_endpoint_id": "we",
}
"""What ids begin with whose names begin otherwise."""

_USUAL_MODELS = {"audio": "whisper-1", "images": "gpt-image-1", "embeddings": "text-embedding-3-small"}

_MAKERS: dict[str, Callable[[Stranger, Schema, str, int], Any]] = {
    "object": Stranger.object,
    "array": Stranger.array,
    "string": Stranger.string,
    "integer": Stranger.integer,
    "number": Stranger.number,
    "boolean": Stranger.boolean,
    "null": Stranger.null,
}
