"""Conventions: what models are sent, and what is made of their answers, through the gateway with the official client."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import openai
import pytest
from PIL import Image

from antiphon import Gateway
from antiphon.gateway import ConfigError
from antiphon.gateway.config import ModelConfig, TensorConfig
from antiphon.gateway.conventions import conventions, recognised
from antiphon.gateway.oip.messages import ModelMetadata, TensorSpec
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Request, Response, json_response
from tests.unit.gateway.double import Double, asked_through, tensor

ASKED: Any = [{"role": "user", "content": "hi"}]
PROMPT = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}

VLLM = [
    "text_input BYTES [1]",
    "image BYTES [-1]",
    "stream BOOL [1]",
    "sampling_parameters BYTES [1]",
    "exclude_input_in_output BOOL [1]",
    "return_finish_reason BOOL [1]",
    "return_logprobs BOOL [1]",
    "return_num_input_tokens BOOL [1]",
    "return_num_output_tokens BOOL [1]",
    "embedding_request BYTES [1]",
]
VLLM_OUT = ["text_output BYTES [-1]", "finish_reason BYTES [-1]"]
TRTLLM = [
    "text_input BYTES [-1, 1]",
    "max_tokens INT32 [-1, 1]",
    "stop_words BYTES [-1, -1]",
    "temperature FP32 [-1, 1]",
    "random_seed UINT64 [-1, 1]",
    "stream BOOL [-1, 1]",
]


def said(*texts: str, reason: str = "stop") -> list[Any]:
    return [tensor("text_output", *texts), tensor("finish_reason", *[reason] * len(texts))]


def parts(*texts: str, reason: str = "stop") -> list[Any]:
    """A stream as vLLM's backend gives it."""
    reasons = ["None"] * (len(texts) - 1) + [reason]
    return [said(text, reason=why) for text, why in zip(texts, reasons, strict=True)]


def spoken(*texts: str) -> Any:
    return lambda asked, stream: parts(*texts) if stream else said("".join(texts))


def metadata(inputs: str, outputs: str = "", **more: Any) -> ModelMetadata:
    def specs(text: str) -> tuple[TensorSpec, ...]:
        told = (each.split(":") for each in text.split())
        return tuple(TensorSpec(name, datatype, tuple(json.loads(shape))) for name, datatype, shape in told)

    return ModelMetadata("m", specs(inputs), specs(outputs), **more)


@pytest.mark.parametrize(
    ("key", "inputs", "outputs"),
    [
        ("seldon-chat", "role:BYTES:[-1] content:BYTES:[-1]", ""),
        ("seldon-embeddings", "input:BYTES:[-1]", "embedding:FP64:[-1,8]"),
        ("seldon-images", "prompt:BYTES:[-1]", "output_all:BYTES:[-1]"),
        ("triton-vllm", "text_input:BYTES:[1] sampling_parameters:BYTES:[1] max_tokens:INT32:[1]", "text_output:BYTES:[-1]"),
        ("triton-trtllm", "text_input:BYTES:[-1,1] max_tokens:INT32:[-1,1]", "text_output:BYTES:[-1,-1]"),
        ("triton-llmapi", "text_input:BYTES:[-1] sampling_param_max_tokens:INT32:[1]", "text_output:BYTES:[-1]"),
        ("triton-text", "text_input:BYTES:[-1]", "text_output:BYTES:[-1]"),
        ("mlserver-hf", "args:BYTES:[-1]", "output:BYTES:[-1]"),
        ("embeddings", "TEXT:BYTES:[-1,1]", "EMBEDDING:FP32:[-1,384]"),
        ("embeddings", "text_input:BYTES:[-1,1]", "vector:FP16:[-1,-1,384]"),
        ("images", "prompt:BYTES:[1]", "image:BYTES:[1]"),
        ("images", "TEXT:BYTES:[1] steps:INT32:[1]", "pixels:UINT8:[-1,-1,-1,3]"),
        (None, "x:FP32:[-1,4]", "y:FP32:[-1,2]"),
        (None, "", ""),
    ],
)  # fmt: skip
def test_conventions_are_recognised(key: str | None, inputs: str, outputs: str) -> None:
    found = recognised(metadata(inputs, outputs))
    assert (None if found is None else found.key) == key


def test_every_convention_is_one_of_these() -> None:
    assert sorted(conventions()) == [
        "custom", "embeddings", "images", "mlserver-hf", "seldon-chat", "seldon-embeddings", "seldon-images",
        "triton-llmapi", "triton-text", "triton-trtllm", "triton-vllm",
    ]  # fmt: skip


# vLLM


def test_vllm_is_asked_with_a_prompt_and_its_own_names_of_parameters() -> None:
    double = Double(VLLM, VLLM_OUT, spoken("Hel", "lo"))
    with asked_through(double, defaults={"temperature": 0.5, "max_tokens": 77}, stop=("###",)) as client:
        whole = client.chat.completions.create(
            model="m", messages=ASKED, top_p=0.9, stop="END", seed=3, user="u", extra_body={"top_k": 5, "unheard": 1}
        )
        assert whole.choices[0].message.content == "Hello"
        assert double.asked["text_input"] == PROMPT
        assert all(each["shape"] == [1] for each in double.tensors.values())
        assert double.asked["stream"] is False
        assert double.asked["exclude_input_in_output"] is True
        assert "image" not in double.asked
        assert json.loads(double.asked["sampling_parameters"]) == {
            "temperature": 0.5, "top_p": 0.9, "top_k": 5, "max_tokens": 77, "seed": 3, "stop": ["END", "###", "<|im_end|>"],
        }  # fmt: skip
        client.chat.completions.create(model="m", messages=ASKED, max_completion_tokens=5)
        assert json.loads(double.asked["sampling_parameters"])["max_tokens"] == 5
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, stream=True))
        assert [each.choices[0].delta.content for each in chunks] == ["", "Hel", "lo", None]
        assert double.asked["stream"] is True


def test_only_declared_tensors_are_sent() -> None:
    double = Double(
        ["text_input BYTES [1]", "stream BOOL [1]", "sampling_parameters BYTES [1]"],
        VLLM_OUT,
        lambda asked, _: [tensor("text_output", asked["text_input"] + "Hello")],
    )
    with asked_through(double) as client:
        # One that has no `exclude_input_in_output` repeats the prompt.
        whole = client.chat.completions.create(model="m", messages=ASKED)
        assert whole.choices[0].message.content == "Hello"
        assert sorted(double.asked) == ["sampling_parameters", "stream", "text_input"]


def test_finish_reasons_and_usage_are_those_of_the_server() -> None:
    def answer(asked: Any, stream: bool) -> list[Any]:
        counts = [tensor("num_input_tokens", 11, datatype="UINT32"), tensor("num_output_tokens", 2, datatype="UINT32")]
        if stream:
            return [[*each, *counts] for each in parts("a", "b", "c", reason="length")]
        return [*said("abc", reason="length"), *counts]

    with asked_through(Double(VLLM, VLLM_OUT, answer)) as client:
        whole = client.chat.completions.create(model="m", messages=ASKED)
        assert whole.choices[0].finish_reason == "length"
        assert whole.usage is not None
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (11, 2)
        chunks = list(
            client.chat.completions.create(
                model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        )
        assert chunks[-1].usage is not None
        assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (11, 6)
        assert chunks[-2].choices[0].finish_reason == "length"


def test_several_choices_are_one_request() -> None:
    def answer(asked: Any, stream: bool) -> list[Any]:
        if not stream:
            return said("one", "two", "three")
        return [[tensor("text_output", a, b, c), tensor("finish_reason", x, y, z)] for a, b, c, x, y, z in (
            ("o", "t", "th", "None", "None", "None"), ("ne", "wo", "ree", "stop", "length", "stop"),
        )]  # fmt: skip

    double = Double(VLLM, VLLM_OUT, answer)
    with asked_through(double) as client:
        whole = client.chat.completions.create(model="m", messages=ASKED, n=3)
        assert [each.message.content for each in whole.choices] == ["one", "two", "three"]
        assert json.loads(double.asked["sampling_parameters"])["n"] == 3
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, n=3, stream=True))
        texts = ["", "", ""]
        for chunk in chunks:
            texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
        assert texts == ["one", "two", "three"]
        ends = {c.choices[0].index: c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason}
        assert ends == {0: "stop", 1: "length", 2: "stop"}
        assert len(double.bodies) == 2


def test_log_probabilities_are_those_of_the_model() -> None:
    tokens = [{"5": {"logprob": -0.5, "rank": 1, "decoded_token": "He"}, "6": {"logprob": -2.0, "rank": 2, "decoded_token": "Ho"}},
              {"9": {"logprob": -3.0, "rank": 2, "decoded_token": "y"}, "7": {"logprob": -0.1, "rank": 1, "decoded_token": "x"}}]  # fmt: skip

    def answer(asked: Any, stream: bool) -> list[Any]:
        if stream:
            return [
                [tensor("text_output", t), tensor("logprobs", json.dumps([each]))]
                for t, each in zip(("He", "y"), tokens, strict=True)
            ]
        return [tensor("text_output", "Hey"), tensor("logprobs", json.dumps(tokens))]

    double = Double(VLLM, VLLM_OUT, answer)
    with asked_through(double) as client:
        whole = client.chat.completions.create(model="m", messages=ASKED, logprobs=True, top_logprobs=2)
        assert json.loads(double.asked["sampling_parameters"])["logprobs"] == 2
        assert double.asked["return_logprobs"] is True
        told = whole.choices[0].logprobs
        assert told is not None
        assert told.content is not None
        assert [(each.token, each.logprob) for each in told.content] == [("He", -0.5), ("y", -3.0)]
        assert [each.token for each in told.content[1].top_logprobs] == ["x", "y"]
        assert told.content[0].bytes == [72, 101]
        include: Any = ["message.output_text.logprobs"]
        part: Any = client.responses.create(model="m", input="hi", include=include, top_logprobs=2).output[0]
        assert [each.logprob for each in part.content[0].logprobs] == [-0.5, -3.0]
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, logprobs=True, stream=True))
        assert (
            "".join(t.token for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content or ())
            == "Hey"
        )


def test_models_without_log_probabilities_make_none_up() -> None:
    with asked_through(Double(["text_input BYTES [1]"], VLLM_OUT, spoken("Hey"))) as client:
        told = client.chat.completions.create(model="m", messages=ASKED, logprobs=True).choices[0].logprobs
        assert told is not None
        assert told.content == []
        include: Any = ["message.output_text.logprobs"]
        part: Any = client.responses.create(model="m", input="hi", include=include).output[0]
        assert part.content[0].logprobs == []


def test_formats_guide_the_model() -> None:
    double = Double(VLLM, VLLM_OUT, spoken('{"a": 1}'))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    with asked_through(double) as client:
        form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        client.chat.completions.create(model="m", messages=ASKED, response_format=form)
        assert json.loads(json.loads(double.asked["sampling_parameters"])["structured_outputs"]) == {"json": schema}
        client.chat.completions.create(model="m", messages=ASKED, response_format={"type": "json_object"})
        assert json.loads(json.loads(double.asked["sampling_parameters"])["structured_outputs"]) == {
            "json_object": True
        }


def test_pictures_go_beside_the_prompt() -> None:
    double = Double(VLLM, VLLM_OUT, spoken("A cat."))
    content: Any = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    with asked_through(double) as client:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])
        assert double.asked["image"] == "AAAA"
        assert "What?" in double.asked["text_input"]
        content[1]["image_url"]["url"] = "https://example.com/cat.png"
        with pytest.raises(openai.BadRequestError, match="only as 'data:' addresses"):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])


def test_vllm_embeds() -> None:
    def answer(asked: Any, stream: bool) -> list[Any]:
        want = json.loads(asked["embedding_request"])
        length = want.get("pooling_params", {}).get("dimensions", [4])[0]
        vector = [float(len(want["input"]))] * length
        return [tensor("text_output", json.dumps(vector)), tensor("num_input_tokens", 3, datatype="UINT32")]

    with asked_through(Double(VLLM, VLLM_OUT, answer)) as client:
        found = client.embeddings.create(model="m", input=["a", "bb"])
        assert [each.embedding for each in found.data] == [[1.0] * 4, [2.0] * 4]
        assert found.usage.prompt_tokens == 6
        assert len(client.embeddings.create(model="m", input="a", dimensions=2).data[0].embedding) == 2


# Tools, with models that write text


def test_calls_of_tools_are_read_from_text_and_streamed() -> None:
    text = 'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
    double = Double(VLLM, VLLM_OUT, spoken(*text))
    with asked_through(double) as client:
        whole = client.chat.completions.create(model="m", messages=ASKED, tools=[TOOL])
        assert '"name": "weather"' in double.asked["text_input"]
        choice = whole.choices[0]
        assert choice.message.content == "Let me see."
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls is not None
        call: Any = choice.message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})
        with client.chat.completions.stream(model="m", messages=ASKED, tools=[TOOL]) as stream:
            final = stream.get_final_completion()
        made: Any = final.choices[0].message.tool_calls
        assert json.loads(made[0].function.arguments) == {"city": "Paris"}
        assert final.choices[0].finish_reason == "tool_calls"
        # Without tools, or where none may be called, it is text like any other.
        plain = client.chat.completions.create(model="m", messages=ASKED)
        assert plain.choices[0].message.content == text
        none = client.chat.completions.create(model="m", messages=ASKED, tools=[TOOL], tool_choice="none")
        assert none.choices[0].message.content == text
        assert "weather" not in double.asked["text_input"]
        flat: Any = {"type": "function", **TOOL["function"], "strict": False}
        response = client.responses.create(model="m", input="hi", tools=[flat])
        kinds = [each.type for each in response.output]
        assert kinds == ["message", "function_call"]


def test_a_call_that_has_to_be_made_is_guided() -> None:
    double = Double(VLLM, VLLM_OUT, spoken('[{"name": "weather", "argu', 'ments": {"city": "Oslo"}}]'))
    with asked_through(double) as client:
        chosen: Any = {"type": "function", "function": {"name": "weather"}}
        whole = client.chat.completions.create(model="m", messages=ASKED, tools=[TOOL], tool_choice=chosen)
        guide = json.loads(json.loads(double.asked["sampling_parameters"])["structured_outputs"])["json"]
        assert guide["items"]["anyOf"][0]["properties"]["name"] == {"enum": ["weather"]}
        call: Any = whole.choices[0].message.tool_calls
        assert json.loads(call[0].function.arguments) == {"city": "Oslo"}
        assert whole.choices[0].message.content is None


def test_parallel_calls_may_be_forbidden_and_special_tokens_are_told() -> None:
    text = '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "A"}}, {"name": "weather", "arguments": {"city": "B"}}]'
    double = Double(VLLM, VLLM_OUT, spoken(text))
    with asked_through(double, template="mistral") as client:
        both = client.chat.completions.create(model="m", messages=ASKED, tools=[TOOL])
        assert len(both.choices[0].message.tool_calls or ()) == 2
        assert json.loads(double.asked["sampling_parameters"])["skip_special_tokens"] is False
        one = client.chat.completions.create(model="m", messages=ASKED, tools=[TOOL], parallel_tool_calls=False)
        assert len(one.choices[0].message.tool_calls or ()) == 1


# TensorRT-LLM


def test_trtllm_has_an_input_for_each_parameter_and_a_dimension_of_batches() -> None:
    double = Double(
        TRTLLM, ["text_output BYTES [-1, -1]"], lambda asked, stream: [tensor("text_output", "Hello", shape=[1, 1])]
    )
    with asked_through(double, template="llama3") as client:
        whole = client.chat.completions.create(model="m", messages=ASKED, stop=["a", "b"], temperature=0, seed=7, n=2)
        assert [each.message.content for each in whole.choices] == ["Hello", "Hello"]
        first, second = ({each["name"]: each for each in body["inputs"]} for body in double.bodies)
        assert first["max_tokens"] == {"name": "max_tokens", "datatype": "INT32", "shape": [1, 1], "data": [1024]}
        assert first["stop_words"]["shape"] == [1, 4]
        assert first["stop_words"]["data"] == ["a", "b", "<|eot_id|>", "<|eom_id|>"]
        assert first["temperature"]["data"] == [0.0]
        # Each choice is a request of its own, and has a seed of its own.
        assert (first["random_seed"]["data"], second["random_seed"]["data"]) == ([7], [8])
        assert first["text_input"]["data"][0].startswith("<|start_header_id|>user")


@pytest.mark.parametrize("texts", [("Hel", "lo ", "world"), ("Hel", "Hello ", "Hello world")])
def test_trtllm_may_repeat_itself(texts: tuple[str, ...]) -> None:
    double = Double(
        TRTLLM, ["text_output BYTES [-1, -1]"], lambda asked, stream: [[tensor("text_output", text)] for text in texts]
    )
    with asked_through(double) as client:
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, stream=True))
        assert [each.choices[0].delta.content for each in chunks][1:-1] == ["Hel", "lo ", "world"]


def test_llmapi_has_its_own_names() -> None:
    inputs = ["text_input BYTES [-1]", "streaming BOOL [1]", "sampling_param_max_tokens INT32 [1]", "sampling_param_stop BYTES [-1]",
              "sampling_param_exclude_input_from_output BOOL [1]", "return_finish_reason BOOL [1]", "sampling_param_min_p FP32 [1]"]  # fmt: skip
    double = Double(inputs, VLLM_OUT, spoken("a", "b"))
    with asked_through(double) as client:
        list(
            client.chat.completions.create(model="m", messages=ASKED, stream=True, stop="x", extra_body={"min_p": 0.25})
        )
        assert double.asked == {
            "text_input": PROMPT, "streaming": True, "sampling_param_max_tokens": 1024,
            "sampling_param_stop": ["x", "<|im_end|>"], "sampling_param_exclude_input_from_output": True,
            "return_finish_reason": True, "sampling_param_min_p": 0.25,
        }  # fmt: skip


# Text, and Hugging Face


def test_a_model_that_keeps_no_limits_is_cut() -> None:
    def answer(asked: Any, stream: bool) -> list[Any]:
        whole = "one two three four five six"
        return (
            [[tensor("text_output", word)] for word in whole.split(" ")] if stream else [tensor("text_output", whole)]
        )

    double = Double(["text_input BYTES [1]"], ["text_output BYTES [1]"], answer)
    with asked_through(double) as client:
        whole = client.chat.completions.create(model="m", messages=ASKED, max_tokens=3, temperature=0.5)
        assert whole.choices[0].message.content == "one two three"
        assert whole.choices[0].finish_reason == "length"
        assert double.bodies[-1]["parameters"] == {"max_tokens": 3, "temperature": 0.5}
        stopped = client.chat.completions.create(model="m", messages=ASKED, stop=["four"])
        assert stopped.choices[0].message.content == "one two three "
        assert stopped.choices[0].finish_reason == "stop"
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, stop=["four"], stream=True))
        assert "".join(each.choices[0].delta.content or "" for each in chunks) == "onetwothree"


def test_hugging_faces_pipelines() -> None:
    def answer(asked: Any, stream: bool) -> list[Any]:
        return [tensor("output", json.dumps([{"generated_text": asked["args"] + "Hello"}]), shape=[1, 1])]

    double = Double(["args BYTES [-1]"], ["output BYTES [-1]"], answer, server="mlserver", platform="")
    with asked_through(double, template="plain") as client:
        chunks = list(
            client.chat.completions.create(model="m", messages=ASKED, stream=True, max_tokens=9, temperature=0.5)
        )
        assert "".join(each.choices[0].delta.content or "" for each in chunks) == "Hello"
        assert double.tensors["max_new_tokens"] == {
            "name": "max_new_tokens", "datatype": "INT64", "shape": [1], "data": [9], "parameters": {"content_type": "raw"},
        }  # fmt: skip
        assert double.asked["args"] == "User: hi\nAssistant:"


def test_vectors_of_hugging_faces_tokens_are_averaged() -> None:
    tokens = json.dumps([[[1.0, 2.0], [3.0, 4.0]]])
    double = Double(["args BYTES [-1]"], ["output BYTES [-1]"], lambda *_: [tensor("output", tokens)], platform="")
    with asked_through(double) as client:
        assert client.embeddings.create(model="m", input="x").data[0].embedding == [2.0, 3.0]


# A server that does not stream


def test_one_answer_is_streamed() -> None:
    double = Double(VLLM, VLLM_OUT, spoken("Hello big world"))
    with asked_through(double, stream="infer") as client:
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, stream=True))
        told = [each.choices[0].delta.content for each in chunks]
        assert "".join(text or "" for text in told) == "Hello big world"
        assert len(told) > 4
        assert double.asked["stream"] is False
        assert chunks[-1].choices[0].finish_reason == "stop"


# Vectors


@pytest.mark.parametrize(
    ("shape", "data", "vectors"),
    [
        ([2, 2], [1, 2, 3, 4], [[1, 2], [3, 4]]),
        ([2, 1, 2], [1, 2, 3, 4], [[1, 2], [3, 4]]),
        ([1, 2, 2], [1, 2, 3, 4], [[1, 2], [3, 4]]),
        ([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8], [[2, 3], [6, 7]]),
        ([2, 2], [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ],
)
def test_vectors_of_every_shape(shape: list[int], data: list[Any], vectors: list[list[float]]) -> None:
    double = Double(
        ["TEXT BYTES [-1, 1]"],
        ["VECTOR FP32 [-1, 2]"],
        lambda *_: [tensor("VECTOR", *data, datatype="FP32", shape=shape)],
    )
    with asked_through(double) as client:
        found = client.embeddings.create(model="m", input=["a", "b"])
        assert [each.embedding for each in found.data] == vectors
        assert double.tensors["TEXT"]["shape"] == [2, 1]


def test_texts_are_sent_in_batches() -> None:
    def answer(asked: Any, stream: bool) -> list[Any]:
        texts = asked["TEXT"] if isinstance(asked["TEXT"], list) else [asked["TEXT"]]
        return [tensor("VECTOR", *map(float, texts), datatype="FP32", shape=[len(texts), 1])]

    double = Double(["TEXT BYTES [-1]"], ["VECTOR FP32 [-1, 1]"], answer)
    with asked_through(double, batch=2) as client:
        found = client.embeddings.create(model="m", input=["1", "2", "3", "4", "5"])
        assert [each.embedding for each in found.data] == [[1.0], [2.0], [3.0], [4.0], [5.0]]
        assert [len(body["inputs"][0]["data"]) for body in double.bodies] == [2, 2, 1]
        assert found.usage.prompt_tokens == 5


def test_answers_that_make_no_sense_are_errors() -> None:
    double = Double(
        ["TEXT BYTES [-1]"], ["VECTOR FP32 [-1, 2]"], lambda *_: [tensor("VECTOR", 1, 2, datatype="FP32", shape=[1, 2])]
    )
    with asked_through(double) as client:
        with pytest.raises(openai.InternalServerError, match="where 2 were asked for") as caught:
            client.embeddings.create(model="m", input=["a", "b"])
        assert caught.value.status_code == 502
        assert caught.value.response.headers["x-should-retry"] == "false"
    double = Double(VLLM, VLLM_OUT, lambda *_: [tensor("other", "x")])
    with asked_through(double) as client, pytest.raises(openai.InternalServerError, match="no output 'text_output'"):
        client.chat.completions.create(model="m", messages=ASKED)


# Pictures


def png(size: tuple[int, int] = (4, 2)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, "red").save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("image BYTES [-1]", tensor("image", base64.b64encode(png()).decode())),
        ("image BYTES [-1]", tensor("image", "data:image/png;base64," + base64.b64encode(png()).decode())),
        ("pixels UINT8 [-1,-1,-1,3]", tensor("pixels", *[255, 0, 0] * 8, datatype="UINT8", shape=[1, 2, 4, 3])),
        ("pixels UINT8 [3,-1,-1]", tensor("pixels", *[255] * 10, *[0] * 20, datatype="UINT8", shape=[3, 2, 5])),
    ],
)
def test_pictures_of_every_kind(output: str, answer: Any) -> None:
    double = Double(["prompt BYTES [1]", "width INT32 [1]", "num_steps INT32 [1]"], [output], lambda *_: [answer])
    with asked_through(double) as client:
        made = client.images.generate(
            model="m", prompt="x", size="16x8", output_format="webp", n=2, extra_body={"num_steps": 9}
        )
        assert double.asked == {"prompt": "x", "width": 16, "num_steps": 9}
        assert len(made.data or ()) == 2
        file = Image.open(BytesIO(base64.b64decode((made.data or [])[0].b64_json or "")))
        assert (file.format, file.size) == ("WEBP", (16, 8))
        pixel: Any = file.convert("RGB").getpixel((8, 4))
        assert pixel[0] > 240
        assert pixel[1] < 15


# Custom tensors


def custom(*tensors: tuple[str, str, str]) -> tuple[TensorConfig, ...]:
    return tuple(TensorConfig(name, datatype, path) for name, datatype, path in tensors)


def test_tensors_as_configured_for_chat() -> None:
    def answer(asked: Any, stream: bool) -> list[Any]:
        return [tensor("reply", "Hi there"), tensor("why", "length"), tensor("tokens", 4, datatype="INT32")]

    double = Double([], [], answer, platform="")
    inputs = (
        *custom(
            ("question", "BYTES", "messages[-1].content"),
            ("heat", "FP32", "temperature"),
            ("all", "BYTES", "$messages"),
        ),
        TensorConfig("most", "INT32", "$max_tokens", (1, 1), 50),
        TensorConfig("mode", default="fast"),
        TensorConfig("words", "BYTES", "$stop", (1, -1)),
    )
    outputs = custom(
        ("reply", "BYTES", "text"), ("why", "BYTES", "finish_reason"), ("tokens", "INT32", "output_tokens")
    )
    with asked_through(double, convention="custom", inputs=inputs, outputs=outputs) as client:
        whole = client.chat.completions.create(model="m", messages=ASKED, temperature=1, stop=["a", "b"])
        assert whole.choices[0].message.content == "Hi there"
        assert whole.choices[0].finish_reason == "length"
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 4
        assert double.asked == {
            "question": "hi", "heat": 1.0, "all": '[{"role":"user","content":"hi"}]', "most": 50, "mode": "fast",
            "words": ["a", "b"],
        }  # fmt: skip
        assert double.tensors["words"]["shape"] == [1, 2]


def test_tensors_as_configured_for_vectors_and_pictures() -> None:
    double = Double([], [], lambda *_: [tensor("v", 1, 2, datatype="FP32", shape=[1, 2])], platform="")
    options: Any = {"inputs": custom(("t", "BYTES", "$inputs")), "outputs": custom(("v", "FP32", "vectors"))}
    with asked_through(double, convention="custom", **options) as client:
        assert client.embeddings.create(model="m", input="x").data[0].embedding == [1.0, 2.0]
        with pytest.raises(openai.BadRequestError, match="does not do chat: it does embeddings"):
            client.chat.completions.create(model="m", messages=ASKED)
    double = Double([], [], lambda *_: [tensor("i", base64.b64encode(png()).decode())], platform="")
    options = {
        "inputs": custom(("t", "BYTES", "$prompt"), ("w", "INT32", "$width")),
        "outputs": custom(("i", "BYTES", "images")),
    }
    with asked_through(double, convention="custom", **options) as client:
        client.images.generate(model="m", prompt="x", size="64x32")
        assert double.asked == {"t": "x", "w": 64}


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ((), (), "needs inputs and outputs"),
        ((("a", "BYTES", "$nope"),), (("b", "BYTES", "text"),), "is from '\\$nope'; there are"),
        ((("a", "BYTES", "messages[x]"),), (("b", "BYTES", "text"),), "no way such as"),
        ((("a", "BYTES", ""),), (("b", "BYTES", "text"),), "neither a path nor a default"),
        ((("a", "BYTES", "$prompt"),), (("b", "BYTES", "txt"),), "an output is one of"),
    ],
)
def test_wrong_configurations_are_told(inputs: Any, outputs: Any, message: str) -> None:
    from antiphon.gateway.conventions.custom import Custom

    with pytest.raises(ValueError, match=message):
        Custom(ModelConfig("m", inputs=custom(*inputs), outputs=custom(*outputs)))


# Seldon's


def test_choices_of_a_runtime_that_gives_fewer_are_asked_for_again() -> None:
    count = 0

    def answer(asked: Any, stream: bool) -> list[Any]:
        nonlocal count
        count += 1
        outputs = [tensor("role", "assistant"), tensor("content", f"answer {count}")]
        return [outputs] if stream else outputs

    double = Double(["role BYTES [-1]", "content BYTES [-1]"], [], answer, platform="")
    with asked_through(double) as client:
        whole = client.chat.completions.create(model="m", messages=ASKED, n=2)
        assert [each.message.content for each in whole.choices] == ["answer 1", "answer 2"]
        assert [body["parameters"]["kwargs"].get("n") for body in double.bodies] == [2, None]
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, n=2, stream=True))
        texts = ["", ""]
        for chunk in chunks:
            texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
        assert texts == ["answer 3", "answer 4"]


def test_a_provider_that_gives_several_choices_is_asked_once() -> None:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": str(at)}, "finish_reason": "stop"} for at in (0, 1)
    ]
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "x", "choices": choices}

    def answer(asked: Any, stream: bool) -> list[Any]:
        if not stream:
            return [tensor("role", "assistant"), tensor("content", "0"), tensor("output_all", json.dumps(whole))]
        return [
            [
                tensor(
                    "output_all",
                    json.dumps(
                        {
                            "id": "chatcmpl-2",
                            "model": "x",
                            "choices": [{"index": at, "delta": {"content": text}, "finish_reason": end}],
                        }
                    ),
                )
            ]
            for at, text, end in ((0, "a", None), (1, "x", None), (1, "y", "length"), (0, "b", "stop"))
        ]

    double = Double(["role BYTES [-1]", "content BYTES [-1]"], [], answer, platform="")
    with asked_through(double) as client:
        found = client.chat.completions.create(model="m", messages=ASKED, n=2)
        assert [each.message.content for each in found.choices] == ["0", "1"]
        assert found.id == "chatcmpl-1"
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, n=2, stream=True))
        assert {(chunk.id, chunk.model) for chunk in chunks} == {("chatcmpl-2", "x")}
        texts = ["", ""]
        for chunk in chunks:
            texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
        assert texts == ["ab", "xy"]
        assert client.responses.create(model="m", input="x").output_text == "0"
        events = list(client.responses.create(model="m", input="x", stream=True))
        assert "".join(each.delta for each in events if each.type == "response.output_text.delta") == "ab"
        assert len(double.bodies) == 4


def test_a_providers_error_is_an_error() -> None:
    double = Double(
        ["role BYTES [-1]", "content BYTES [-1]"], [],
        lambda *_: [tensor("output_all", json.dumps({"error": {"message": "quota is used up"}}))], platform="",
    )  # fmt: skip
    with asked_through(double) as client, pytest.raises(openai.InternalServerError, match="quota is used up"):
        client.chat.completions.create(model="m", messages=ASKED)


def test_what_is_wrong_with_a_convention_is_told_with_the_configuration() -> None:
    model = {"url": "http://x", "template": "lama3", "tool_parser": "hermis"}
    tensors = {"inputs": [{"name": "A", "path": "$promt"}], "outputs": [{"name": "B", "path": "text"}]}
    with pytest.raises(ConfigError) as caught:
        Gateway({"models": {"a": model, "b": {"url": "http://x", "convention": "custom", **tensors}}})
    told = str(caught.value)
    assert "there is no chat template 'lama3'" in told
    assert "did you mean hermes?" in told
    assert "'A' is from '$promt'" in told


def test_a_model_that_is_another_one_now_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.gateway.model._AGAIN", 0.0)
    double = Double(["text_input BYTES [1]", "sampling_parameters BYTES [1]"], VLLM_OUT, spoken("old"))

    def upstream(request: Request) -> Response:
        answer = double(request)
        if request.method == "POST" and double.bodies[-1]["inputs"][0]["name"] != double.inputs[0]["name"]:
            return json_response(400, {"error": "unexpected inference input 'text_input' for model 'm'"})
        return answer

    with asked_through(upstream) as client:
        assert client.chat.completions.create(model="m", messages=ASKED).choices[0].message.content == "old"
        double = Double(
            ["role BYTES [-1]", "content BYTES [-1]"], [], lambda *_: [tensor("role", "a"), tensor("content", "new")]
        )
        with pytest.raises(openai.BadRequestError, match="unexpected inference input"):
            client.chat.completions.create(model="m", messages=ASKED)
        assert client.chat.completions.create(model="m", messages=ASKED).choices[0].message.content == "new"


def test_pictures_keep_their_size_where_none_is_asked_for() -> None:
    answer = tensor("image", base64.b64encode(png((6, 3))).decode())
    double = Double(
        ["prompt BYTES [1]", "width INT32 [1]", "height INT32 [1]"], ["image BYTES [-1]"], lambda *_: [answer]
    )
    with asked_through(double, defaults={"width": 6}) as client:
        made = client.images.generate(model="m", prompt="x")
        file = Image.open(BytesIO(base64.b64decode((made.data or [])[0].b64_json or "")))
        assert (file.format, file.size) == ("PNG", (6, 3))
        assert double.asked == {"prompt": "x", "width": 6, "height": 1024}
        link: Any = client.images.generate(model="m", prompt="x", response_format="url").data
        assert link[0].url.startswith("http://gateway.test/")


def test_batches_are_asked_together() -> None:
    under_way, most = 0, 0

    def upstream(request: Request) -> Any:
        nonlocal under_way, most
        if request.method == "GET":
            shape: Any = {"inputs": [{"name": "T", "datatype": "BYTES", "shape": [1]}], "outputs": []}
            return json_response(200, {"name": "m", "platform": "", **shape})
        under_way += 1
        most = max(most, under_way)
        yield Pause(0.05)
        under_way -= 1
        text = json.loads(request.content())["inputs"][0]["data"][0]
        outputs = [tensor("V", float(text), 0.0, datatype="FP32", shape=[1, 2])]
        return json_response(200, {"model_name": "m", "outputs": outputs})

    with serve_in_background(upstream) as server:
        gateway = Gateway(models={"m": ModelConfig("m", (server.url,), convention="embeddings")})
        with gateway, gateway.start(port=0, host="127.0.0.1") as running:
            client = openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0)
            found = client.embeddings.create(model="m", input=[str(number) for number in range(12)])
            assert [each.embedding[0] for each in found.data] == list(range(12))
            assert 2 <= most <= 8
