"""Background responses and conversations against a small model of them, in any order that hypothesis thinks of."""

from __future__ import annotations

import copy
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

import antiphon
from antiphon import FakeOpenAI
from antiphon.server.clock import VirtualClock

TAKES = 8
QUEUED = 2
TEXTS = st.sampled_from(["one", "two", "three"])


class Machine(RuleBasedStateMachine):
    """What the API does, and beside it a model: when each Response began, and what each conversation has in it."""

    official = False

    responses = Bundle("responses")
    conversations = Bundle("conversations")

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeOpenAI(engine="echo", clock=VirtualClock(0), job_seconds=TAKES)
        self.errors: Any = openai if self.official else antiphon
        self.client: Any = self.fake.client(max_retries=0)
        if self.official:
            http = httpx2.Client(transport=self.fake.official_transport())
            self.client = openai.OpenAI(api_key="x", base_url="http://fake.test/v1", http_client=http, max_retries=0)
        self.began: dict[str, float] = {}
        self.text: dict[str, str] = {}
        self.stopped: set[str] = set()
        self.deleted: set[str] = set()
        self.others: set[str] = set()
        """Responses that were not made in the background. After a restore they may have ids that were used before."""
        self.items: dict[str, list[str]] = {}
        self.busy: dict[str, str] = {}
        """Conversations, and the Response that is made for each."""
        self.kept: Any = None

    def teardown(self) -> None:
        self.client.close()

    # The model

    @property
    def now(self) -> float:
        return self.fake.clock.now()

    def status(self, key: str) -> str:
        if key in self.stopped:
            return "cancelled"
        begins = self.began[key] + QUEUED
        return "queued" if self.now < begins else "in_progress" if self.now < begins + TAKES - QUEUED else "completed"

    def settle(self) -> None:
        for conversation, key in list(self.busy.items()):
            status = "completed" if key in self.deleted else self.status(key)
            if status in ("completed", "cancelled"):
                del self.busy[conversation]
                if status == "completed" and key not in self.deleted and conversation in self.items:
                    self.items[conversation] += [self.text[key]] * 2

    def refused(self, code: str, call: Any, *args: Any, **options: Any) -> None:
        with pytest.raises(self.errors.BadRequestError) as caught:
            call(*args, **options)
        assert caught.value.code == code

    # What may be done

    @rule(target=responses, text=TEXTS)
    def begin(self, text: str) -> str:
        response = self.client.responses.create(model="m", input=text, background=True)
        assert response.status == "queued"
        return self.begun(response.id, text)

    def begun(self, key: str, text: str) -> str:
        self.began[key], self.text[key] = self.now, text
        self.deleted.discard(key)
        self.stopped.discard(key)
        self.others.discard(key)
        return key

    @rule(target=responses, conversation=conversations, text=TEXTS)
    def begin_in_a_conversation(self, conversation: str, text: str) -> Any:
        options = {"model": "m", "input": text, "background": True, "conversation": conversation}
        if conversation not in self.items:
            with pytest.raises(self.errors.NotFoundError):
                self.client.responses.create(**options)
            return self.begin(text)
        if conversation in self.busy:
            self.refused("conversation_locked", self.client.responses.create, **options)
            return self.begin(text)
        response = self.client.responses.create(**options)
        self.busy[conversation] = response.id
        return self.begun(response.id, text)

    @rule(seconds=st.sampled_from([0, 1, 2, 5, 8, 100]))
    def wait(self, seconds: int) -> None:
        self.fake.clock.advance(seconds)
        self.settle()

    @rule(key=responses)
    def poll(self, key: str) -> None:
        if key in self.deleted or key not in self.began:
            if key not in self.others:
                with pytest.raises(self.errors.NotFoundError):
                    self.client.responses.retrieve(key)
            return
        response = self.client.responses.retrieve(key)
        assert response.status == self.status(key)
        if response.status == "completed":
            assert response.output_text == self.text[key]
            assert response.completed_at == int(self.began[key] + TAKES)
        else:
            assert response.output_text in ("", self.text[key])

    @rule(key=responses)
    def follow(self, key: str) -> None:
        if key in self.deleted or key not in self.began:
            return
        before = self.status(key)
        events = list(self.client.responses.retrieve(key, stream=True))
        self.settle()
        assert [event.sequence_number for event in events] == list(range(len(events)))
        if before != "cancelled":
            assert events[-1].type == "response.completed"
            assert events[-1].response.output_text == self.text[key]
            assert self.status(key) == "completed"  # to follow it took until its end

    @rule(key=responses)
    def cancel(self, key: str) -> None:
        if key in self.deleted or key not in self.began:
            return
        before = self.status(key)
        response = self.client.responses.cancel(key)
        if before in ("queued", "in_progress"):
            self.stopped.add(key)
        self.settle()
        assert response.status == self.status(key)

    @rule(key=consumes(responses))
    def delete(self, key: str) -> None:
        if key in self.deleted or key not in self.began:
            return
        self.client.responses.delete(key)
        self.deleted.add(key)
        self.settle()

    @rule(key=responses, text=TEXTS)
    def go_on(self, key: str, text: str) -> None:
        options = {"model": "m", "input": text, "previous_response_id": key}
        if key in self.others:
            return
        if key in self.deleted or key not in self.began:
            self.refused("previous_response_not_found", self.client.responses.create, **options)
        elif self.status(key) in ("queued", "in_progress"):
            self.refused("previous_response_not_completed", self.client.responses.create, **options)
        else:
            made = self.client.responses.create(**options)
            items = self.client.responses.input_items.list(made.id, order="asc", limit=100).data
            self.others.add(made.id)
            assert self.text[key] in [item.content[0].text for item in items[:-1]]
            assert items[-1].content[0].text == text

    @rule(target=conversations, texts=st.lists(TEXTS, max_size=3))
    def converse(self, texts: list[str]) -> str:
        items = [{"role": "user", "content": text} for text in texts]
        conversation = self.client.conversations.create(items=items)
        self.items[conversation.id] = list(texts)
        return str(conversation.id)

    @rule(conversation=conversations, text=TEXTS)
    def say(self, conversation: str, text: str) -> None:
        options = {"items": [{"role": "user", "content": text}]}
        if conversation not in self.items:
            with pytest.raises(self.errors.NotFoundError):
                self.client.conversations.items.create(conversation, **options)
        elif conversation in self.busy:
            self.refused("conversation_locked", self.client.conversations.items.create, conversation, **options)
        else:
            self.client.conversations.items.create(conversation, **options)
            self.items[conversation].append(text)

    @rule(conversation=conversations, text=TEXTS)
    def ask(self, conversation: str, text: str) -> None:
        if conversation in self.items and conversation not in self.busy:
            answer = self.client.responses.create(model="m", input=text, conversation=conversation)
            self.others.add(answer.id)
            assert answer.conversation.id == conversation
            self.items[conversation] += [text, text]

    @rule(conversation=conversations, at=st.integers(0, 5))
    def unsay(self, conversation: str, at: int) -> None:
        said = self.items.get(conversation, [])
        if at < len(said):
            items = list(self.client.conversations.items.list(conversation, order="asc"))
            self.client.conversations.items.delete(items[at].id, conversation_id=conversation)
            del said[at]

    @rule(conversation=conversations)
    def forget(self, conversation: str) -> None:
        if conversation in self.items and conversation not in self.busy:
            self.client.conversations.delete(conversation)
            del self.items[conversation]

    @rule()
    def keep(self) -> None:
        model = (self.began, self.text, self.stopped, self.deleted, self.others, self.items, self.busy)
        self.kept = (self.fake.snapshot(), copy.deepcopy(model))

    @rule()
    def restore(self) -> None:
        if self.kept is not None:
            state, model = self.kept
            self.fake.restore(state)
            copied = copy.deepcopy(model)
            self.began, self.text, self.stopped, self.deleted, self.others, self.items, self.busy = copied
            self.settle()  # the clock is not turned back

    @invariant()
    def conversations_have_what_was_said(self) -> None:
        for conversation, said in self.items.items():
            got = list(self.client.conversations.items.list(conversation, order="asc", limit=3))
            assert [item.content[0].text for item in got] == said
            back = list(self.client.conversations.items.list(conversation, limit=2))
            assert [item.id for item in back] == [item.id for item in reversed(got)]


@pytest.mark.parametrize("official", [False, True], ids=["antiphon", "official"])
def test_background_responses_and_conversations(official: bool) -> None:
    machine = type("Tried", (Machine,), {"official": official})
    examples = 8 if official else 25
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None, database=None)
    )
