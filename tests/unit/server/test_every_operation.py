"""All 390 operations answer what their schemas promise, and every family of objects lives as its description says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from antiphon import FakeOpenAI
from antiphon.schema import standalone
from antiphon.server import coverage
from antiphon.server.app import Server
from antiphon.server.clock import VirtualClock
from antiphon.server.endpoint import LEGACY, Endpoint, endpoint, endpoints, homes
from antiphon.server.instance import instance
from antiphon.server.kept import Kept, families, family
from tests.unit.server.door import PNG, Said, ask, fields, form

ROOT = Path(__file__).parents[3]
NOT_LISTS = {
    "vector_stores.files.content": "vector_store.file_content.page",
}
"""Pages whose `object` the package's types leave open; the API does not say `list`."""

BODIES: dict[str, Any] = {
    "audio.transcriptions.create": {"file": ("a.wav", b"RIFF"), "model": "whisper-1"},
    "conversations.items.create": {"items": [{"role": "user", "content": "Hello"}]},
    "images.create_variation": {"image": ("a.png", PNG)},
    "images.edit": {"image": ("a.png", PNG), "prompt": "a cat"},
    "videos.edit": {"prompt": "a cat", "video": ("a.mp4", b"mp4")},
    "videos.extend": {"prompt": "a cat", "seconds": "4", "video": ("a.mp4", b"mp4")},
}
"""Where the smallest valid form is not what a user would send."""


def addressed(at: Endpoint, params: dict[str, str]) -> str:
    query = [f"{name}={value}" for name, value in at.fixed_query.items()]
    schema = at.schema.query or {}
    required = {name: schema["properties"][name] for name in schema.get("required", ())}
    query += [f"{name}={instance(field, now=1e9)}" for name, field in required.items()]
    path = "/v1" + re.sub(r"{(\w+)}", lambda match: params.get(match[1], f"{match[1]}_x"), at.path)
    return path + ("?" + "&".join(query) if query else "")


def call(server: Any, name: str, params: dict[str, str] | None = None, **changes: Any) -> Said:
    """Call an operation with the smallest body its schema allows, changed."""
    at = endpoint(name)
    schema = at.schema.body
    address = addressed(at, params or {})
    if schema is None:
        return ask(server, at.method, address)
    made = instance(schema, now=1e9)
    body = {key: value for key, value in made.items() if key in schema.get("required", ())}
    body = {**body, **BODIES.get(name, {}), **changes}
    if at.schema.media != "multipart":
        return ask(server, at.method, address, body)
    for key in schema["properties"]:
        if schema["properties"][key].get("format") == "binary" and key in body and not isinstance(body[key], tuple):
            body[key] = ("a.png", PNG)
    content, headers = form(fields("", body))
    return ask(server, at.method, address, content, headers=headers)


def valid(at: Endpoint, answer: Said) -> None:
    assert answer.status in (200, 201), (at, answer.body)
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        assert at.schema.event is not None
        told = answer.events
        assert told.pop() == "[DONE]"
        for event in told:
            jsonschema_rs.validate(standalone(at.schema.event), event)
        return
    if at.schema.response is None or at.schema.response == {"type": "string"}:
        return
    told = answer.json
    if at.name in NOT_LISTS:
        assert told["object"] == NOT_LISTS[at.name]
        told["object"] = "list"
    jsonschema_rs.validate(standalone(at.schema.response), told)


@pytest.fixture(scope="module")
def conjurer() -> FakeOpenAI:
    return FakeOpenAI(unknown_ids="conjure")


@pytest.mark.parametrize("name", sorted(endpoints()))
def test_the_answer_fits_the_schema(name: str, conjurer: FakeOpenAI) -> None:
    valid(endpoint(name), call(conjurer, name))


STREAMS = sorted(name for name in endpoints() if name.startswith(("beta.threads", "beta.agents", "audio")))


@pytest.mark.parametrize("name", [name for name in STREAMS if endpoint(name).schema.event is not None])
def test_streams_fit_the_schema(name: str, conjurer: FakeOpenAI) -> None:
    at = endpoint(name)
    assert at.schema.event is not None
    answer = call(conjurer, name) if at.method == "GET" else call(conjurer, name, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = re.findall(r"^event: (.+)$", answer.body.decode(), re.MULTILINE)
    told = answer.events
    assert told.pop() == "[DONE]"
    assert len(told) == len(names) > 1
    for kind, event in zip(names, told, strict=True):
        whole = {"event": kind, "data": event} if kind.startswith("thread.") else event
        jsonschema_rs.validate(standalone(at.schema.event), whole)


# Families

KEPT = {each.resource: each for each in families() if isinstance(each, Kept)}
SETTLED = {"user_id": "user-owner", "role_id": "role-reader", "project_id": "proj_default"}
"""What is there from the start."""


class Life:
    """A server, and objects made on it as they are needed."""

    def __init__(self) -> None:
        self.server = Server(clock=VirtualClock())
        self.params: dict[str, str] = dict(SETTLED)
        self.file = self.upload()

    def upload(self) -> str:
        content, headers = form([("purpose", "assistants"), ("file", ("a.txt", b"hello"))])
        made: str = ask(self.server, "POST", "/v1/files", content, headers=headers).json["id"]
        return made

    def create(self, each: Kept) -> Any:
        """One object of a family, with all it needs."""
        keeper = family(each.resource)
        create = next(at.name for role, at in each.operations().values() if role == "create")
        for param in re.findall(r"{(\w+)}", endpoint(create).path):
            self.need(param, endpoint(create).path)
        changes: dict[str, Any] = {}
        body = endpoint(create).schema.body or {}
        for field, resource in each.refers.items():
            if field in body.get("required", ()):
                changes[field] = self.reference(field, resource)
        if each.given in SETTLED:
            changes[each.given] = SETTLED[each.given]
        elif each.given == "group_id":
            changes[each.given] = self.reference("group_id", "admin.organization.groups")
        answer = call(self.server, create, self.params, **changes)
        valid(endpoint(create), answer)
        stored = self.server.store.list(keeper.place(self.params))[-1]
        if keeper.id_param:
            self.params[keeper.id_param] = str(stored[each.key])
        return answer.json

    def reference(self, field: str, resource: str) -> str:
        if resource == "files":
            return self.file
        if field in SETTLED:
            return SETTLED[field]
        made: str = self.create(KEPT[resource])["id"]
        return made

    def need(self, param: str, path: str) -> None:
        """Make what a parameter in an address stands for, unless it is there."""
        if param in self.params:
            return
        place = path[: path.index("{" + param + "}")] + "{" + param + "}"
        places = (place, f"/organization{place}")
        self.create(
            next(each for each in KEPT.values() if family(each.resource).item in places and "create" in roles(each))
        )


def roles(each: Kept) -> dict[str, str]:
    return {role: name for name, (role, _) in each.operations().items()}


LIVING = [
    each
    for each in KEPT.values()
    if {"create", "retrieve"} <= roles(each).keys() and roles(each)["create"] not in homes()
]
"""Families that the generic engine keeps alone. Those with a behaviour of their own are in `tests/contract`."""


def test_the_families_are_many() -> None:
    assert len(LIVING) > 30


@pytest.mark.parametrize("each", LIVING, ids=lambda each: each.resource)
def test_a_life(each: Kept) -> None:
    life = Life()
    made = life.create(each)
    keeper, names = family(each.resource), roles(each)
    found = call(life.server, names["retrieve"], life.params)
    valid(endpoint(names["retrieve"]), found)
    id = found.json[each.key]
    if each.key in made and not each.answers.get("create"):
        assert {k: v for k, v in made.items() if k in found.json and k not in each.once} == {
            k: v for k, v in found.json.items() if k in made and k not in each.once
        }
        assert not each.once.keys() & found.json.keys() - {"api_key"}
    if "list" in names:
        listed = call(life.server, names["list"], life.params)
        valid(endpoint(names["list"]), listed)
        assert id in [item[each.key] for item in listed.json["data"]]
    if "update" in names:
        valid(endpoint(names["update"]), call(life.server, names["update"], life.params))
    for role, name in names.items():
        if role in each.actions:
            valid(endpoint(name), call(life.server, name, life.params))
    unknown = call(life.server, names["retrieve"], {**life.params, keeper.id_param: "no_such"})
    assert unknown.status == 404
    assert unknown.error["message"] == each.missing.format(noun=each.title, id="no_such")
    assert unknown.error["type"] == "invalid_request_error"
    if "delete" in names:
        valid(endpoint(names["delete"]), call(life.server, names["delete"], life.params))
        assert call(life.server, names["retrieve"], life.params).status == 404
        assert call(life.server, names["delete"], life.params).status == 404
    for param in re.findall(r"{(\w+)}", keeper.collection):
        if not (param in ("user_id", "group_id") and "roles" in each.resource):
            assert call(life.server, names["create"], {**life.params, param: "no_such"}).status == 404


@pytest.mark.parametrize("each", LIVING, ids=lambda each: each.resource)
def test_conjured_again_after_deletion(each: Kept, conjurer: FakeOpenAI) -> None:
    names = roles(each)
    params = {family(each.resource).id_param: "made_up"}
    for name in (names["retrieve"], names.get("update"), names.get("delete"), names["retrieve"]):
        if name is not None:
            answer = call(conjurer, name, params)
            valid(endpoint(name), answer)
            if name == names["retrieve"]:
                assert answer.json[each.key] == "made_up"


# The page


def test_tiers() -> None:
    found = coverage.tiers()
    assert len(found) == 390 + len(LEGACY)
    assert found["models.list"] == found["chat.completions.create"] == "behaves"
    assert found["containers.create"] == "generic"
    assert found["moderations.create"] in ("shape", "behaves")


def test_the_page_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "antiphon.server.coverage", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
