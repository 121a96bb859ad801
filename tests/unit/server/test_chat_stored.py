"""Chat completions that were stored: listed, retrieved, changed, deleted, their messages read."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.unit.server.sdk import ask, chat, official, serve


def test_what_is_stored_can_be_retrieved_and_what_is_not_cannot() -> None:
    client = official(serve())
    kept = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "a"}], store=True)
    lost = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "b"}])
    found = client.chat.completions.retrieve(kept.id)
    assert found.choices[0].message.content == kept.choices[0].message.content
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(lost.id)


def test_a_streamed_completion_is_stored_as_the_plain_one() -> None:
    server = serve()
    events = chat(server, "x", stream=True, store=True, n=2).events
    stored = ask(server, "GET", f"/chat/completions/{events[0]['id']}").json
    plain = chat(server, "x", n=2).json
    assert stored["choices"] == plain["choices"]
    assert stored["usage"] == plain["usage"]


def test_the_list_filters_and_pages() -> None:
    server = serve()
    client = official(server)
    made = [
        chat(server, str(n), model=model, store=True, metadata={"n": str(n)}).json["id"]
        for n, model in enumerate(["gpt-4o", "gpt-4o-mini", "gpt-4o", "gpt-4o"])
    ]
    assert [each.id for each in client.chat.completions.list()] == made
    assert [each.id for each in client.chat.completions.list(model="gpt-4o", limit=1)] == [made[0], made[2], made[3]]
    assert [each.id for each in client.chat.completions.list(metadata={"n": "1"})] == [made[1]]
    assert [each.id for each in client.chat.completions.list(order="desc")] == made[::-1]
    page = client.chat.completions.list(after=made[1], limit=1)
    assert [each.id for each in page.data] == [made[2]]
    assert page.has_more


def test_metadata_can_be_changed() -> None:
    client = official(serve())
    kept = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "a"}], store=True, metadata={"a": "1"}
    )
    assert client.chat.completions.update(kept.id, metadata={"b": "2"}).metadata == {"b": "2"}
    assert client.chat.completions.retrieve(kept.id).metadata == {"b": "2"}


def test_deletion_forgets_the_messages_too() -> None:
    server = serve()
    client = official(server)
    messages: Any = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    kept = client.chat.completions.create(model="gpt-4o", messages=messages, store=True)
    read = list(client.chat.completions.messages.list(kept.id))
    assert [(m.id, m.role, m.content) for m in read] == [  # type: ignore[comparison-overlap]
        (f"{kept.id}-0", "system", "s"),
        (f"{kept.id}-1", "user", None),
    ]
    assert read[1].content_parts is not None
    assert client.chat.completions.delete(kept.id).deleted
    for path in ("", "/messages"):
        answer = ask(server, "GET", f"/chat/completions/{kept.id}{path}")
        assert answer.status == 404
        assert answer.json["error"]["message"] == f"Chat completion with ID {kept.id} not found"


def test_a_server_that_conjures_knows_every_id() -> None:
    server = serve(unknown_ids="conjure")
    assert ask(server, "GET", "/chat/completions/any").json["id"] == "any"
    assert ask(server, "GET", "/chat/completions/any/messages").json["data"] == []
    assert ask(server, "POST", "/chat/completions/any", {"metadata": {"a": "b"}}).json["metadata"] == {"a": "b"}
    assert ask(server, "DELETE", "/chat/completions/any").json["deleted"] is True
