"""Batches: a file of requests is really run, and what comes of it is in files."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest


def request_line(custom_id: str, text: str = "Hello", **changes: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body, **changes}


async def uploaded(api: Any, lines: list[Any], purpose: str = "batch") -> Any:
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines) + b"\n"
    if all(isinstance(line, dict) for line in lines):
        return await api.call("files.create", file=("in.jsonl", data), purpose=purpose)
    # It would be refused when it is uploaded: what a batch makes of it is seen when it is damaged afterwards.
    file = await api.call("files.create", file=("in.jsonl", b"{}"), purpose=purpose)
    api.fake.server.store.put_blob(file.id, data)
    return file


async def begun(api: Any, lines: list[Any], **options: Any) -> Any:
    file = await uploaded(api, lines)
    asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h", "input_file_id": file.id, **options}
    return await api.call("batches.create", **asked)


async def over(api: Any, batch: Any) -> Any:
    for _ in range(500):
        batch = await api.call("batches.retrieve", batch.id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
        await asyncio.sleep(0.02)
    raise AssertionError(batch)


async def rows(api: Any, file_id: str) -> list[Any]:
    binary = await api.call("files.content", file_id)
    return [json.loads(line) for line in (await api.read(binary)).splitlines()]


@pytest.mark.fake(engine="echo")
async def test_a_batch_is_run_line_by_line(api: Any) -> None:
    lines = [request_line(f"ask-{number}", f"Number {number}") for number in range(20)]
    lines[7]["body"]["temperature"] = 5
    batch = await begun(api, lines, metadata={"who": "me"})
    assert batch.id.startswith("batch_")
    assert batch.status == "validating"
    assert batch.object == "batch"
    assert batch.expires_at == batch.created_at + 86_400
    assert batch.metadata == {"who": "me"} or batch.metadata.to_dict() == {"who": "me"}
    assert batch.output_file_id is None
    done = await over(api, batch)
    assert done.status == "completed"
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (20, 19, 1)
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at
    assert done.model == "gpt-4o-mini"
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens > 0
    assert done.errors is None
    answers = await rows(api, done.output_file_id)
    assert [row["custom_id"] for row in answers] == [f"ask-{number}" for number in range(20) if number != 7]
    first = answers[0]
    assert first["id"].startswith("batch_req_")
    assert first["error"] is None
    assert first["response"]["status_code"] == 200
    assert first["response"]["body"]["choices"][0]["message"]["content"] == "Number 0"
    (refused,) = await rows(api, done.error_file_id)
    assert refused["custom_id"] == "ask-7"
    assert refused["response"]["status_code"] == 400
    assert refused["response"]["body"]["error"]["param"] == "temperature"
    file = await api.call("files.retrieve", done.output_file_id)
    assert file.purpose == "batch_output"
    assert [each.id for each in await api.items(await api.call("batches.list"))] == [batch.id]


@pytest.mark.fake(engine="echo")
@pytest.mark.parametrize(
    ("endpoint", "body", "found"),
    [
        ("/v1/responses", {"model": "m", "input": "Hi"}, lambda body: body["output"][0]["content"][0]["text"] == "Hi"),
        ("/v1/embeddings", {"model": "m", "input": "Hi"}, lambda body: len(body["data"][0]["embedding"]) == 1536),
        ("/v1/completions", {"model": "m", "prompt": "Hi"}, lambda body: body["choices"][0]["text"] == "Hi"),
        ("/v1/moderations", {"input": "Hi"}, lambda body: body["results"][0]["flagged"] is False),
        (
            "/v1/images/generations",
            {"model": "dall-e-2", "prompt": "Hi", "size": "256x256"},
            lambda body: body["data"][0]["url"].startswith("http"),
        ),
    ],
)
async def test_every_endpoint(api: Any, endpoint: str, body: dict[str, Any], found: Any) -> None:
    batch = await begun(api, [request_line("one", url=endpoint, body=body)], endpoint=endpoint)
    done = await over(api, batch)
    assert done.status == "completed"
    (row,) = await rows(api, done.output_file_id)
    assert row["response"]["status_code"] == 200
    assert found(row["response"]["body"])


async def test_what_is_wrong_is_told_with_its_line(api: Any) -> None:
    lines: list[Any] = [
        request_line("one"),
        b"{not json",
        b"",
        [1],
        request_line("one"),
        request_line("get", method="GET"),
        request_line("elsewhere", url="/v1/embeddings"),
        {"custom_id": "bare"},
        request_line("another", body={"model": "gpt-5", "messages": []}),
        request_line(5),  # type: ignore[arg-type]
    ]
    done = await over(api, await begun(api, lines))
    assert done.status == "failed"
    assert done.failed_at >= done.created_at
    assert done.output_file_id is None
    told = [(error.line, error.code, error.param) for error in done.errors.data]
    assert told == [
        (2, "invalid_json_line", None),
        (4, "invalid_json_line", None),
        (5, "duplicate_custom_id", "custom_id"),
        (6, "invalid_method", "method"),
        (7, "invalid_url", "url"),
        (8, "missing_required_parameter", "method"),
        (8, "missing_required_parameter", "url"),
        (8, "missing_required_parameter", "body"),
        (9, "mismatched_model", "body.model"),
        (10, "invalid_type", "custom_id"),
    ]
    empty = await over(api, await begun(api, [b""]))
    assert [(error.line, error.code) for error in empty.errors.data] == [(None, "empty_file")]


async def test_what_cannot_begin(api: Any) -> None:
    with pytest.raises(api.errors.NotFoundError):
        await api.call(
            "batches.create", endpoint="/v1/embeddings", completion_window="24h", input_file_id="file-nowhere"
        )
    file = await uploaded(api, [request_line("one")], purpose="assistants")
    with pytest.raises(api.errors.BadRequestError, match="has to be 'batch'") as caught:
        await api.call("batches.create", endpoint="/v1/embeddings", completion_window="24h", input_file_id=file.id)
    assert caught.value.param == "input_file_id"
    with pytest.raises(api.errors.BadRequestError):
        await begun(api, [request_line("one")], endpoint="/v1/nothing")
    with pytest.raises(api.errors.BadRequestError):
        await begun(api, [request_line("one")], completion_window="1h")
    with pytest.raises(api.errors.NotFoundError):
        await api.call("batches.cancel", "batch_nowhere")


@pytest.mark.fake(engine="echo", job_seconds=600)
async def test_a_batch_that_is_cancelled(api: Any) -> None:
    batch = await begun(api, [request_line("one")])
    stopped = await api.call("batches.cancel", batch.id)
    assert stopped.status == "cancelling"
    assert stopped.cancelling_at >= batch.created_at
    with pytest.raises(api.errors.ConflictError, match="Cannot cancel a batch with status 'cancelling'"):
        await api.call("batches.cancel", batch.id)
