"""Chat templates: what becomes of conversations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from antiphon.gateway.templates import template
from antiphon.kernel.errors import BadRequestError, InternalServerError
from tests.unit.gateway.double import Double, asked_through, tensor

TALK: Any = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Weather"}, {"type": "text", "text": "?"}]},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "w", "arguments": '{"city": "Paris"}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]
TOOLS: Any = [{"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}]

WRITTEN = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWeather?<|im_end|>\n<|im_start|>assistant\n"
    '<tool_call>\n{"name": "w", "arguments": {"city": "Paris"}}\n</tool_call><|im_end|>\n<|im_start|>user\n'
    "<tool_response>\nsunny\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
    "llama3": "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
    'Weather?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{"name": "w", "parameters": {"city": "Paris"}}'
    '<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n\n"sunny"<|eot_id|><|start_header_id|>assistant'
    "<|end_header_id|>\n\n",
    "mistral": '[INST] Be brief.\n\nWeather?[/INST][TOOL_CALLS] [{"name": "w", "arguments": {"city": "Paris"}, "id": "c1"}]'
    '</s>[TOOL_RESULTS] {"content": "sunny", "call_id": "c1"}[/TOOL_RESULTS]',
}


@pytest.mark.parametrize("style", WRITTEN)
def test_styles(style: str) -> None:
    assert template(style).render(TALK) == WRITTEN[style]
    assert '"parameters":{"type":"object"}' in "".join(template(style).render(TALK, TOOLS).split())


def _call(id: str, city: str) -> Any:
    return {"id": id, "type": "function", "function": {"name": "w", "arguments": json.dumps({"city": city})}}


SEVERAL: Any = [
    {"role": "system", "content": ""},
    {"role": "user", "content": "Both?"},
    {"role": "assistant", "content": "See.", "tool_calls": [_call("c1", "Paris"), _call("c2", "Rome")]},
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    {"role": "tool", "tool_call_id": "c2", "content": "wet"},
    {"role": "assistant", "content": " Paris. "},
    {"role": "user", "content": "Thanks"},
]


def test_several_calls_and_their_results() -> None:
    assert template("chatml").render(SEVERAL) == (
        "<|im_start|>user\nBoth?<|im_end|>\n<|im_start|>assistant\nSee.\n"
        '<tool_call>\n{"name": "w", "arguments": {"city": "Paris"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "w", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\nsunny\n</tool_response>\n<tool_response>\nwet\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n Paris. <|im_end|>\n<|im_start|>user\nThanks<|im_end|>\n<|im_start|>assistant\n"
    )
    said = "".join(
        f"<|start_header_id|>{role}<|end_header_id|>\n\n{text}<|eot_id|>"
        for role, text in (
            ("user", "Both?"),
            ("assistant", '{"name": "w", "parameters": {"city": "Paris"}}'),
            ("assistant", '{"name": "w", "parameters": {"city": "Rome"}}'),
            ("ipython", '"sunny"'),
            ("ipython", '"wet"'),
            ("assistant", "Paris."),
            ("user", "Thanks"),
        )
    )
    assert template("llama3").render(SEVERAL, add_generation_prompt=False) == said
    assert template("mistral").render(SEVERAL) == (
        '[INST] Both?[/INST][TOOL_CALLS] [{"name": "w", "arguments": {"city": "Paris"}, "id": "c1"}, '
        '{"name": "w", "arguments": {"city": "Rome"}, "id": "c2"}]</s>'
        '[TOOL_RESULTS] {"content": "sunny", "call_id": "c1"}[/TOOL_RESULTS]'
        '[TOOL_RESULTS] {"content": "wet", "call_id": "c2"}[/TOOL_RESULTS] Paris.</s>[INST] \n\nThanks[/INST]'
    )


def test_where_tools_are_told_of() -> None:
    tools: Any = [{"type": "function", "function": {"name": "w"}}]
    told = {style: template(style).render(SEVERAL[1:2], tools) for style in WRITTEN}
    assert told["chatml"].startswith("<|im_start|>system\n# Tools\n\nThese")
    assert '\n<tools>\n{"type": "function", "function": {"name": "w"}}\n</tools>\n\nTo' in told["chatml"]
    assert "of the arguments>}\n</tool_call><|im_end|>\n<|im_start|>user\nBoth?<|im_end|>\n" in told["chatml"]
    assert "<|end_header_id|>\n\nEnvironment: ipython\n\n\nThese functions" in told["llama3"]
    assert 'variables.\n\n{\n    "type": "function",\n' in told["llama3"]
    assert "    }\n}\n\n<|eot_id|><|start_header_id|>user" in told["llama3"]
    assert told["mistral"] == (
        '[AVAILABLE_TOOLS] [{"type": "function", "function": {"name": "w"}}][/AVAILABLE_TOOLS][INST] Both?[/INST]'
    )


def test_models_that_were_taught_none() -> None:
    assert template("plain").render([{"role": "system", "content": "S."}, {"role": "user", "content": "hi"}]) == (
        "S.\n\nUser: hi\nAssistant:"
    )
    # Tools are told of in words, and calls are written as they are to be.
    told = template("plain").render(TALK, TOOLS)
    assert "<tool_call>" in told
    assert '{"name": "w", "arguments": {"city": "Paris"}}' in told
    assert "<tool_response>\nsunny" in told


def test_the_functions_of_hugging_faces_templates() -> None:
    source = (
        "{{ bos_token }}{% for message in messages %}{% generation %}{{ message['role'] }}{% endgeneration %}"
        "{% if loop.index > 1 %}{% break %}{% endif %}{% endfor %}"
        "{{ strftime_now('%Y') | length }}{{ {'a': 'é<'} | tojson }}{% if add_generation_prompt %}>{% endif %}"
    )
    assert template(source).render(TALK) == 'systemuser4{"a": "é<"}>'
    assert template("{{ enable_thinking }}{{ messages | length }}").render(TALK, enable_thinking=False) == "False4"


def test_parts_are_given_to_templates_that_read_them() -> None:
    parts: Any = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    message: Any = [{"role": "user", "content": parts}]
    source = "{% for m in messages %}{% for part in m['content'] %}{{ part.type }} {% endfor %}{% endfor %}"
    assert template(source).render(message) == "text image "
    assert template("{{ messages[0].content }}").render(message) == "a"


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ValueError, match="line 2"):
        template("{{ a }}\n{% if %}")
    with pytest.raises(ValueError, match="one of the styles chatml, llama3, mistral, plain"):
        template("no-such-style")
    with pytest.raises(BadRequestError, match="roles must alternate") as refused:
        template("{{ raise_exception('roles must alternate') }}").render(TALK)
    assert refused.value.code == "chat_template_error"
    with pytest.raises(InternalServerError, match="UndefinedError") as failed:
        template("{{ messages[0].nothing.further }}").render(TALK)
    assert failed.value.status_code == 500
    # Templates may not reach what is around them.
    with pytest.raises(InternalServerError, match="SecurityError"):
        template("{{ messages.__class__.__mro__ }}").render(TALK)


def test_files_of_models(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages[-1].content }}!")
    assert template(str(tmp_path / "chat.jinja")).render(TALK) == "sunny!"
    told = {
        "chat_template": [{"name": "other", "template": "x"}, {"name": "default", "template": "{{ bos_token }}a{{ eos_token }}"}],
        "bos_token": "<s>",
        "eos_token": {"content": "</s>"},
    }  # fmt: skip
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    made = template(str(tmp_path / "tokenizer_config.json"))
    assert made.render(TALK) == "a</s>"
    assert made.stop == ("</s>",)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="has no `chat_template`"):
        template(str(tmp_path / "other.json"))


def test_through_the_gateway() -> None:
    double = Double(
        ["text_input BYTES [1]", "sampling_parameters BYTES [1]"], [], lambda *_: [tensor("text_output", "Hi")]
    )
    source = "{% if messages[0].content == 'no' %}{{ raise_exception('not that') }}{% endif %}{{ mood }}: {{ messages[0].content }}"
    with asked_through(double, template=source) as client:
        extra = {"chat_template_kwargs": {"mood": "glad"}}
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], extra_body=extra)
        assert double.asked["text_input"] == "glad: x"
        with pytest.raises(openai.BadRequestError, match="not that"):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "no"}])
        client.completions.create(model="m", prompt="raw {{ prompt }}")
        assert double.asked["text_input"] == "raw {{ prompt }}"
