"""Built-in styles of chat templates, by the families of models that were taught them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ("STYLES", "Style")


class Style(NamedTuple):
    """One style."""

    source: str
    stop: tuple[str, ...]
    """Strings with which a model of it ends what it says."""
    tool_parser: str
    tokens: Mapping[str, str] = {}


_CHATML = """\
{%- set system = messages[0].content if messages and messages[0].role == 'system' else '' -%}
{%- if tools -%}
<|im_start|>system
{% if system %}{{ system }}

{% endif %}# Tools

These functions may be called to help with what the user wants, one or several of them. <tools></tools> has the
signature of each:
<tools>
{% for tool in tools %}
{{ tool | tojson }}
{% endfor %}
</tools>

To call functions, answer with a JSON object for each call, its name and its arguments, within <tool_call></tool_call>:
<tool_call>
{"name": "<name of the function>", "arguments": <object of the arguments>}
</tool_call><|im_end|>
{% elif system -%}
<|im_start|>system
{{ system }}<|im_end|>
{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'system' and loop.first -%}
{%- elif message.role == 'tool' -%}
{%- if loop.first or loop.previtem.role != 'tool' -%}
<|im_start|>user
{%- endif %}

<tool_response>
{{ message.content }}
</tool_response>
{%- if loop.last or loop.nextitem.role != 'tool' -%}
<|im_end|>
{% endif -%}
{%- else -%}
<|im_start|>{{ message.role }}
{{ message.content }}
{%- if message.tool_calls -%}
{%- for call in message.tool_calls -%}
{%- if message.content or not loop.first %}

{% endif -%}
<tool_call>
{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""

_LLAMA3 = """\
{{- bos_token -}}
{%- set system = messages[0].content if messages and messages[0].role == 'system' else '' -%}
{%- if system or tools -%}
<|start_header_id|>system<|end_header_id|>

{% if tools -%}
Environment: ipython
{% endif -%}
{{ system }}
{%- if tools %}


These functions can be called. To call one, answer with nothing but JSON of the form
{"name": "<name of the function>", "parameters": {"<name of an argument>": <its value>}}, without variables.

{% for tool in tools -%}
{{ tool | tojson(indent=4) }}

{% endfor -%}
{%- endif -%}
<|eot_id|>
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'system' and loop.first -%}
{%- elif message.role == 'tool' -%}
<|start_header_id|>ipython<|end_header_id|>

{{ message.content | tojson }}<|eot_id|>
{%- elif message.tool_calls -%}
{%- for call in message.tool_calls -%}
<|start_header_id|>assistant<|end_header_id|>

{"name": {{ call.function.name | tojson }}, "parameters": {{ call.function.arguments | tojson }}}<|eot_id|>
{%- endfor -%}
{%- else -%}
<|start_header_id|>{{ message.role }}<|end_header_id|>

{{ message.content | trim }}<|eot_id|>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|start_header_id|>assistant<|end_header_id|>

{% endif -%}
"""

_MISTRAL = """\
{{- bos_token -}}
{%- set state = namespace(system='', last=-1) -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set state.system = state.system + message.content + '\n\n' -%}
{%- elif message.role == 'user' -%}
{%- set state.last = loop.index0 -%}
{%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{%- if tools and loop.index0 == state.last -%}
[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]
{%- endif -%}
[INST] {% if loop.index0 == state.last %}{{ state.system }}{% endif %}{{ message.content }}[/INST]
{%- elif message.role == 'tool' -%}
[TOOL_RESULTS] {"content": {{ message.content | tojson }}
{{- ', "call_id": ' + (message.tool_call_id | tojson) + '}' -}}
[/TOOL_RESULTS]
{%- elif message.role == 'assistant' and message.tool_calls -%}
[TOOL_CALLS] [
{%- for call in message.tool_calls -%}
{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}
{{- ', "id": ' + (call.id | tojson) + '}' -}}
{%- if not loop.last %}, {% endif -%}
{%- endfor -%}
]{{ eos_token }}
{%- elif message.role == 'assistant' %}
 {{ message.content | trim }}{{ eos_token }}
{%- endif -%}
{%- endfor -%}
"""

_PLAIN = """\
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{{ message.content }}

{% else -%}
{{ message.role | capitalize }}: {{ message.content }}
{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
Assistant:
{%- endif -%}
"""

STYLES: Final[dict[str, Style]] = {
    "chatml": Style(_CHATML, ("<|im_end|>",), "hermes", {"eos_token": "<|im_end|>"}),
    "llama3": Style(_LLAMA3, ("<|eot_id|>", "<|eom_id|>"), "llama3", {"eos_token": "<|eot_id|>"}),
    "mistral": Style(_MISTRAL, ("</s>",), "mistral", {"eos_token": "</s>"}),
    "plain": Style(_PLAIN, ("\nUser:",), "hermes"),
}
"""The styles by name."""
