"""Conversations and their items, by hand and by Responses that are made in them."""

from __future__ import annotations

from typing import Any

import pytest

MODEL = "gpt-5"


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


async def texts(api: Any, key: str, **options: Any) -> list[str]:
    items = await api.items(await api.call("conversations.items.list", key, **options))
    return [item.content[0].text for item in items]


async def test_a_conversation(api: Any) -> None:
    made = await api.call("conversations.create", items=[user("one"), user("two")], metadata={"a": "b"})
    assert made.id.startswith("conv_")
    assert (made.object, made.metadata) == ("conversation", {"a": "b"})
    assert (await api.call("conversations.retrieve", made.id)).to_dict() == made.to_dict()
    changed = await api.call("conversations.update", made.id, metadata={"c": "d"})
    assert (changed.id, changed.created_at, changed.metadata) == (made.id, made.created_at, {"c": "d"})
    gone = await api.call("conversations.delete", made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "conversation.deleted", True)
    for call in (
        api.call("conversations.retrieve", made.id),
        api.call("conversations.update", made.id, metadata={}),
        api.call("conversations.delete", made.id),
        api.call("conversations.items.create", made.id, items=[user("x")]),
        api.call("responses.create", model=MODEL, input="x", conversation=made.id),
    ):
        with pytest.raises(api.errors.NotFoundError, match=f"Conversation with id '{made.id}' not found"):
            await call


async def test_items_are_listed_in_both_orders_page_by_page(api: Any) -> None:
    made = await api.call("conversations.create", items=[user(str(number)) for number in range(20)])
    await api.call("conversations.items.create", made.id, items=[user(str(number)) for number in range(20, 25)])
    numbers = [str(number) for number in range(25)]
    assert await texts(api, made.id, order="asc", limit=7) == numbers
    assert await texts(api, made.id, limit=7) == numbers[::-1]
    page = await api.call("conversations.items.list", made.id, order="asc", limit=3)
    assert (page.has_more, page.first_id, page.last_id) == (True, page.data[0].id, page.data[2].id)
    after = await api.call("conversations.items.list", made.id, order="asc", limit=3, after=page.last_id)
    assert [item.content[0].text for item in after.data] == ["3", "4", "5"]
    last = await api.call("conversations.items.list", made.id, order="asc", limit=100)
    assert (last.has_more, len(last.data)) == (False, 25)
    with pytest.raises(api.errors.NotFoundError):
        await api.call("conversations.items.list", made.id, after="msg_no")


async def test_items_are_added_read_and_taken_out(api: Any) -> None:
    made = await api.call("conversations.create")
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    added = await api.call("conversations.items.create", made.id, items=[user("one"), call, output])
    assert [item.type for item in added.data] == ["message", "function_call", "function_call_output"]
    assert [item.id.partition("_")[0] for item in added.data] == ["msg", "fc", "fc"]
    assert (added.first_id, added.last_id, added.has_more) == (added.data[0].id, added.data[2].id, False)
    first = added.data[0]
    assert (first.role, first.status, first.content[0].type) == ("user", "completed", "input_text")
    found = await api.call("conversations.items.retrieve", first.id, conversation_id=made.id)
    assert found.to_dict() == first.to_dict()
    left = await api.call("conversations.items.delete", first.id, conversation_id=made.id)
    assert left.to_dict() == made.to_dict()
    for name in ("retrieve", "delete"):
        with pytest.raises(api.errors.NotFoundError, match=f"Item with id '{first.id}' not found"):
            await api.call(f"conversations.items.{name}", first.id, conversation_id=made.id)


async def test_what_cannot_be_added_changes_nothing(api: Any) -> None:
    made = await api.call("conversations.create", items=[user("one")])
    (there,) = await api.items(await api.call("conversations.items.list", made.id))
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("conversations.items.create", made.id, items=[user("x")] * 21)
    assert (caught.value.param, caught.value.code) == ("items", "array_above_max_length")
    with pytest.raises(api.errors.BadRequestError, match=f"Duplicate item found with id {there.id}") as caught:
        await api.call("conversations.items.create", made.id, items=[user("two"), there.to_dict()])
    assert caught.value.param == "items"
    with pytest.raises(api.errors.NotFoundError, match="Item with id 'msg_no' not found"):
        await api.call("conversations.items.create", made.id, items=[{"type": "item_reference", "id": "msg_no"}])
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("conversations.create", metadata={"a": "x" * 513})
    assert caught.value.param == "metadata.a"
    assert await texts(api, made.id) == ["one"]


@pytest.mark.fake(engine="reverse")
async def test_responses_are_made_in_a_conversation(api: Any) -> None:
    made = await api.call("conversations.create", items=[user("one")])
    answer = await api.call("responses.create", model=MODEL, input="two", conversation=made.id)
    assert answer.conversation.id == made.id
    assert await texts(api, made.id, order="asc") == ["one", "two", "owt"]
    events = await api.call(
        "responses.create", model=MODEL, input="three", conversation={"id": made.id}, stream=True, store=False
    )
    assert (await api.items(events))[-1].type == "response.completed"
    assert await texts(api, made.id, order="asc") == ["one", "two", "owt", "three", "eerht"]
    # What a Response answered is what the conversation had then.
    await api.call("conversations.items.create", made.id, items=[user("later")])
    asked = await api.items(await api.call("responses.input_items.list", answer.id, order="asc"))
    assert [item.content[0].text for item in asked] == ["one", "two"]
    with pytest.raises(api.errors.BadRequestError, match="Mutually exclusive parameters") as caught:
        await api.call("responses.create", model=MODEL, input="x", conversation=made.id, previous_response_id=answer.id)
    assert caught.value.code == "mutually_exclusive_parameters"
    assert len(await texts(api, made.id)) == 6


async def test_what_tools_found_is_in_the_conversation(api: Any) -> None:
    made = await api.call("conversations.create")
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    await api.call("responses.create", model=MODEL, input="code_interpreter 1+1", tools=[tool], conversation=made.id)
    items = await api.items(await api.call("conversations.items.list", made.id, order="asc"))
    assert [item.type for item in items] == ["message", "code_interpreter_call", "message"]
    assert items[1].outputs is None
    shown = {"include": ["code_interpreter_call.outputs"]}
    found = await api.call("conversations.items.retrieve", items[1].id, conversation_id=made.id, **shown)
    assert found.outputs[0].logs == "2\n"
    listed = await api.items(await api.call("conversations.items.list", made.id, order="asc", **shown))
    assert listed[1].to_dict() == found.to_dict()
