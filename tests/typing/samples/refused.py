# ruff: noqa: F401, I001, T201
"""What checkers refuse: each line with an `# E` is an error to every one of them. Checked, not run."""

from __future__ import annotations

from antiphon.api import API
from antiphon.kernel.operation import Async, Sync
from antiphon.types import CompletionUsage
from antiphon.types.chat import ChatCompletion, ChatCompletionMessageParam
from antiphon.types.chat import NoSuchType  # E


def blocking(client: API[Sync]) -> None:
    client.chat.completions.create(model="m", messages=[], temprature=1.0)  # E
    client.chat.completions.create(model="m")  # E
    client.chat.completions.create("m", [])  # E
    client.chat.completions.create(model="m", messages=[], temperature="hot")  # E
    client.chat.completions.create(model="m", messages=[], reasoning_effort="enormous")  # E
    client.chat.completions.create(model="m", messages=[], stream="yes")  # E
    client.chat.completions.create(model="m", messages=[{"role": "robot", "content": "hi"}])  # E
    client.chat.completions.create(model="m", messages=[{"role": "user", "contents": "hi"}])  # E
    client.chat.completions.create(model="m", messages=[], response_format={"type": "yaml"})  # E
    client.chat.completions.create(model="m", messages=[], timeout="soon")  # E
    client.chat.completions.create(model="m", messages=[]).choice  # E
    client.chat.completions.creat(model="m", messages=[])  # E
    client.chat.completion  # E
    client.models.retrieve()  # E
    client.models.retrieve("m", "n")  # E
    client.files.list(order="up")  # E
    client.files.list(limit="2")  # E
    client.files.list(lim=2)  # E
    client.files.create(file=b"", purpose="mischief")  # E
    client.vector_stores.files.retrieve("file_1")  # E
    client.audio.transcriptions.create(file=b"", model="whisper-1", response_format="morse")  # E
    client.responses.create(model="m", input="hello", stream=True).output_text  # E
    client.models.list().data[0].owner  # E


async def awaited(client: API[Async]) -> None:
    client.chat.completions.create(model="m", messages=[]).choices  # E
    await client.chat.completions.create(model="m", messages=[], temprature=1.0)  # E
    await client.models.retrieve("m", extra=1)  # E
    await client.files.list(order="up")  # E
    (await client.chat.completions.create(model="m", messages=[])).choices[0].text  # E


def values(completion: ChatCompletion) -> None:
    message: ChatCompletionMessageParam = {"role": "tool", "content": "42"}  # E
    CompletionUsage(completion_tokens=1, prompt_tokens=2)  # E
    CompletionUsage(completion_tokens="1", prompt_tokens=2, total_tokens=3)  # E
    CompletionUsage(completion_tokens=1, prompt_tokens=2, total_tokens=3, dollars=4)  # E
    completion.choices[0].index.upper()  # E
    completion.usage.total_tokens  # E
    print(message)
