from __future__ import annotations

import json
from array import array
from typing import Any

from antiphon.server.sounds import Sound, encoded

HI = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
JSON = {"content-type": "application/json"}


async def test_a_deployment_is_a_model(api: Any) -> None:
    path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    answer = api.raw("POST", path, HI, {**JSON, "api-key": "x"}, key=False)
    assert answer.status == 200
    assert json.loads(answer.body)["model"] == "gpt-4o"
    assert api.raw("POST", path, HI, JSON, key=False).status == 401


async def test_the_deployment_decides_whatever_the_body_says(api: Any) -> None:
    body = json.dumps({"model": "another", "messages": [{"role": "user", "content": "hi"}]}).encode()
    path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    answer = api.raw("POST", path, body, {**JSON, "api-key": "x"}, key=False)
    assert json.loads(answer.body)["model"] == "gpt-4o"
    form = {"content-type": "multipart/form-data; boundary=b", "api-key": "x"}
    sound = encoded(Sound(array("h", bytes(2000))), "wav")
    parts = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nanother\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n%b\r\n--b--\r\n' % sound
    )
    path = "/openai/deployments/whisper-1/audio/transcriptions?api-version=2024-10-21"
    answer = api.raw("POST", path, parts, form, key=False)
    assert (answer.status, "text" in json.loads(answer.body)) == (200, True)
    endpoint = {"azure_endpoint": api.url or "http://fake.test", "base_url": None, "api_version": "2024-10-21"}
    client = api.make("Azure", **endpoint, azure_deployment="gpt-4o")
    messages = json.loads(HI)["messages"]
    completion = await api.call("chat.completions.create", client=client, model="another", messages=messages)
    assert completion.model == "gpt-4o"
    await api.settled(client.close())


async def test_the_second_layout(api: Any) -> None:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}).encode()
    answer = api.raw("POST", "/openai/v1/chat/completions", body, {**JSON, "api-key": "x"}, key=False)
    assert answer.status == 200


async def test_the_azure_client(api: Any) -> None:
    endpoint = {"azure_endpoint": api.url or "http://fake.test", "base_url": None, "api_version": "2024-10-21"}
    client = api.make("Azure", **endpoint)
    answer = await api.call(
        "chat.completions.create", client=client, model="gpt-4o", messages=json.loads(HI)["messages"]
    )
    assert answer.model == "gpt-4o"
    stream = await api.call(
        "chat.completions.create",
        client=client,
        model="my",
        messages=[],
        stream=True,
        extra_body={"messages": json.loads(HI)["messages"]},
    )
    assert len(await api.items(stream)) > 3
    await api.settled(client.close())
