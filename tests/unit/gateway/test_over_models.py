"""The rest of the API over models behind the gateway: what the server keeps and does by itself asks them."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import httpx2
import openai
import pytest

from antiphon import Gateway
from antiphon.gateway import GatewayConfig, ModelConfig
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.http import Request, Response
from tests.unit.gateway.double import Double, tensor

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of assistants

VLLM = ["text_input BYTES [1]", "stream BOOL [1]", "sampling_parameters BYTES [1]", "exclude_input_in_output BOOL [1]"]
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def answer(asked: dict[str, Any], stream: bool) -> list[Any]:
    """Calls a tool where it is asked about the weather, and else counts the turns of the conversation."""
    prompt: str = asked["text_input"]
    turns = prompt.count("<|im_start|>user")
    if "weather?" in prompt and "<tool_response>" not in prompt:
        text = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
    elif "<tool_response>" in prompt:
        text = "It is " + prompt.rpartition("<tool_response>\n")[2].partition("\n")[0]
    else:
        text = f"Turn {turns}."
    reason = tensor("finish_reason", "stop")
    if not stream:
        return [tensor("text_output", text), reason]
    return [[tensor("text_output", each), tensor("finish_reason", "None")] for each in text] + [
        [tensor("text_output", ""), reason]
    ]


def embedded(asked: dict[str, Any], stream: bool) -> list[Any]:
    texts = asked["TEXT"] if isinstance(asked["TEXT"], list) else [asked["TEXT"]]
    rows = [[1.0, 0.0] if "cat" in text or "feline" in text else [0.0, 1.0] for text in texts]
    return [tensor("V", *(value for row in rows for value in row), datatype="FP32", shape=[len(rows), 2])]


@pytest.fixture
def client() -> Generator[openai.OpenAI]:
    chat, vectors = Double(VLLM, [], answer), Double(["TEXT BYTES [-1]"], ["V FP32 [-1, 2]"], embedded)

    def both(request: Request) -> Response:
        return (vectors if "/models/embed" in request.path else chat)(request)

    with serve_in_background(both) as server:
        models = {name: ModelConfig(name, (server.url,)) for name in ("chat", "embed")}
        gateway = Gateway(GatewayConfig(models=models, embedder="embed"))
        http = httpx2.Client(transport=gateway.official_transport())
        with (
            gateway,
            openai.OpenAI(base_url="http://gateway.test/v1", api_key="k", max_retries=0, http_client=http) as made,
        ):
            yield made


def test_responses_and_conversations(client: openai.OpenAI) -> None:
    first = client.responses.create(model="chat", input="one", instructions="Be brief.")
    assert first.output_text == "Turn 1."
    assert first.usage is not None
    assert first.usage.input_tokens > 0
    again = client.responses.create(model="chat", input="two", previous_response_id=first.id)
    assert again.output_text == "Turn 2."
    conversation = client.conversations.create()
    for turn in (1, 2, 3):
        told = client.responses.create(model="chat", input="x", conversation=conversation.id)
        assert told.output_text == f"Turn {turn}."
    assert len(list(client.conversations.items.list(conversation.id))) == 6
    events = [each.type for each in client.responses.create(model="chat", input="x", stream=True)]
    assert events[0] == "response.created"
    assert events[-1] == "response.completed"
    assert events.count("response.output_text.delta") == len("Turn 1.")


def test_responses_call_tools(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", **TOOL["function"], "strict": False}
    first = client.responses.create(model="chat", input="weather?", tools=[tool])
    call: Any = first.output[0]
    assert (call.type, json.loads(call.arguments)) == ("function_call", {"city": "Paris"})
    given: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    done = client.responses.create(model="chat", input=given, previous_response_id=first.id, tools=[tool])
    assert done.output_text == "It is sunny"


def test_runs_of_assistants(client: openai.OpenAI) -> None:
    beta: Any = client.beta
    assistant = beta.assistants.create(model="chat", instructions="Be brief.", tools=[TOOL])
    thread = beta.threads.create(messages=[{"role": "user", "content": "weather?"}])
    run = beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=20)
    assert run.status == "requires_action"
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    outputs = [{"tool_call_id": call.id, "output": "rainy"}]
    run = beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=outputs, poll_interval_ms=20
    )
    assert run.status == "completed"
    assert beta.threads.messages.list(thread.id).data[0].content[0].text.value == "It is rainy"
    with pytest.raises(openai.BadRequestError, match="'nope' does not exist"):
        beta.assistants.create(model="nope")


def test_batches(client: openai.OpenAI) -> None:
    lines = [
        {"custom_id": f"line-{at}", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "chat", "messages": [{"role": "user", "content": "x"}]}}
        for at in range(3)
    ]  # fmt: skip
    content = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    for _ in range(200):
        batch = client.batches.retrieve(batch.id)
        if batch.status in ("completed", "failed"):
            break
    assert batch.status == "completed"
    assert batch.output_file_id is not None
    told = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert [each["response"]["body"]["choices"][0]["message"]["content"] for each in told] == ["Turn 1."] * 3


def test_runs_of_evals(client: openai.OpenAI) -> None:
    criterion: Any = {"type": "string_check", "name": "same", "operation": "eq"}
    criterion |= {"input": "{{sample.output_text}}", "reference": "{{item.told}}"}
    config: Any = {"type": "custom", "item_schema": {"type": "object"}, "include_sample_schema": True}
    of = client.evals.create(data_source_config=config, testing_criteria=[criterion])
    rows: Any = {"type": "file_content", "content": [{"item": {"told": "Turn 1."}}, {"item": {"told": "Turn 2."}}]}
    asks: Any = {"type": "template", "template": [{"role": "user", "content": "x"}]}
    for kind in ("completions", "responses"):
        source: Any = {"type": kind, "model": "chat", "source": rows, "input_messages": asks}
        run = client.evals.runs.create(of.id, data_source=source)
        for _ in range(200):
            run = client.evals.runs.retrieve(run.id, eval_id=of.id)
            if run.status in ("completed", "failed"):
                break
        counts = run.result_counts
        assert (run.status, counts.passed, counts.failed, counts.errored) == ("completed", 1, 1, 0)
    nowhere: Any = {"type": "completions", "model": "nope", "source": rows, "input_messages": asks}
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.create(of.id, data_source=nowhere)


def test_vector_stores_are_searched_by_the_models_vectors(client: openai.OpenAI) -> None:
    store = client.vector_stores.create(name="animals")
    for name, text in (("a.txt", "A cat sleeps."), ("b.txt", "A dog barks.")):
        client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=(name, text.encode()), poll_interval_ms=20
        )
    # No word of the query is in the files: it is the vectors that are near.
    found = client.vector_stores.search(store.id, query="feline").data
    assert found[0].filename == "a.txt"
    assert found[0].score > found[1].score


def test_limits_of_openais_models_are_not_those_of_others(client: openai.OpenAI) -> None:
    long = "cat " * 20_000
    assert client.embeddings.create(model="embed", input=long).usage.prompt_tokens > 8192
    told = client.chat.completions.create(
        model="chat", messages=[{"role": "user", "content": "x"}], response_format={"type": "json_object"}
    )
    assert told.choices[0].message.content == "Turn 1."
