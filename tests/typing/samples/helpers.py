"""Helpers around operations, Azure, identities and the module's own resources. Checked, not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

import antiphon
from antiphon import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from antiphon.auth import WorkloadIdentity, k8s_service_account_token_provider, x509_workload_identity
from antiphon.kernel.pages import SyncPage
from antiphon.kernel.stream import AsyncStream, Stream
from antiphon.types import FileObject, Model, Upload, Video
from antiphon.types.beta.threads import Run
from antiphon.types.edit import Edit
from antiphon.types.fine_tune import FineTune
from antiphon.types.fine_tune_event import FineTuneEvent, FineTuneEventsListResponse
from antiphon.types.vector_stores import VectorStoreFile, VectorStoreFileBatch
from antiphon.types.webhooks import BatchCompletedWebhookEvent, UnwrapWebhookEvent


def blocking(client: OpenAI, path: Path) -> None:
    assert_type(client.files.wait_for_processing("file-1", poll_interval=1), FileObject)
    assert_type(
        client.vector_stores.files.poll("file-1", vector_store_id="vs_1", max_wait_seconds=1.5), VectorStoreFile
    )
    assert_type(client.vector_stores.files.upload(vector_store_id="vs_1", file=path), VectorStoreFile)
    assert_type(client.vector_stores.file_batches.upload_and_poll("vs_1", files=[path, b"x"]), VectorStoreFileBatch)
    assert_type(client.videos.create_and_poll(prompt="a fox", poll_interval_ms=10), Video)
    assert_type(client.beta.threads.runs.poll("run_1", "thread_1"), Run)
    assert_type(client.beta.threads.create_and_run_poll(assistant_id="asst_1"), Run)
    assert_type(client.uploads.upload_file_chunked(file=path, mime_type="text/plain", purpose="assistants"), Upload)
    client.files.wait_for_processing()  # E
    client.files.wait_for_processing("file-1", 5)  # E
    client.vector_stores.files.poll("file-1")  # E
    client.vector_stores.files.poll("file-1", vector_store_id="vs_1", max_wait=3)  # E
    client.vector_stores.file_batches.upload_and_poll("vs_1", files=[1])  # E
    client.uploads.upload_file_chunked(file=path, mime_type="text/plain", purpose=1)  # E


async def awaited(client: AsyncOpenAI, path: Path) -> None:
    assert_type(await client.files.wait_for_processing("file-1"), FileObject)
    assert_type(await client.vector_stores.files.poll("file-1", vector_store_id="vs_1"), VectorStoreFile)
    assert_type(await client.vector_stores.file_batches.upload_and_poll("vs_1", files=[path]), VectorStoreFileBatch)
    assert_type(await client.videos.poll("video_1"), Video)
    assert_type(
        await client.beta.threads.runs.submit_tool_outputs_and_poll(
            tool_outputs=[], run_id="run_1", thread_id="thread_1"
        ),
        Run,
    )
    client.videos.poll("video_1").status  # E
    await client.videos.poll(1)  # E


def webhooks(client: OpenAI, asked: AsyncOpenAI, body: bytes, headers: dict[str, str]) -> None:
    event = client.webhooks.unwrap(body, headers)
    assert_type(event, UnwrapWebhookEvent)
    assert_type(asked.webhooks.unwrap(body, headers, secret="s"), UnwrapWebhookEvent)
    if isinstance(event, BatchCompletedWebhookEvent):
        assert_type(event.data.id, str)
    client.webhooks.verify_signature(body, headers, tolerance=10)
    client.webhooks.verify_signature(body, [("webhook-id", "1")])
    client.webhooks.verify_signature(body)  # E
    client.webhooks.unwrap({}, headers)  # E


def legacy(client: OpenAI) -> None:
    assert_type(client.edits.create(model="m", instruction="i"), Edit)
    assert_type(client.fine_tunes.list(), SyncPage[FineTune])
    assert_type(client.fine_tunes.list_events("ft-1"), FineTuneEventsListResponse)
    assert_type(client.fine_tunes.list_events("ft-1", stream=True), Stream[FineTuneEvent])
    client.edits.create(model="m")  # E


async def legacy_awaited(client: AsyncOpenAI) -> None:
    assert_type(await client.edits.create(model="m", instruction="i"), Edit)
    assert_type(await client.fine_tunes.list_events("ft-1", stream=True), AsyncStream[FineTuneEvent])


async def azure(token: Callable[[], str]) -> None:
    client = AzureOpenAI(azure_endpoint="https://x", api_version="v", azure_ad_token_provider=token)
    assert_type(client.models.retrieve("m"), Model)
    assert_type(client.with_options(timeout=3), AzureOpenAI)

    async def later() -> str:
        return "t"

    asked = AsyncAzureOpenAI(azure_endpoint="https://x", api_version="v", azure_ad_token_provider=later)
    assert_type(await asked.models.retrieve("m"), Model)
    assert_type(asked.copy(api_version="v2"), AsyncAzureOpenAI)
    AzureOpenAI(azure_endpoint=1)  # E
    AzureOpenAI(azure_ad_token_provider=later)  # E


def made(anything: Any) -> None:
    who: WorkloadIdentity = {
        "identity_provider_id": "i",
        "service_account_id": "s",
        "provider": k8s_service_account_token_provider(),
    }
    OpenAI(workload_identity=who, data_residency="eu", http_client=anything)
    OpenAI(workload_identity=x509_workload_identity(identity_provider_id="i", service_account_id="s"))
    OpenAI(data_residency="mars")  # E
    OpenAI(workload_identity={"identity_provider_id": "i"})  # E


def module_level() -> None:
    antiphon.api_key = "sk"
    antiphon.api_key = lambda: "sk"
    antiphon.timeout = 3.0
    antiphon.default_headers = {"x": "y"}
    assert_type(antiphon.models.retrieve("m"), Model)
    assert_type(antiphon.videos.poll("v"), Video)
    antiphon.models.retrieve()  # E
