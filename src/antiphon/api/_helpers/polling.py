"""Waiting for what the server does in its own time: runs, files, vector stores, videos; and uploads in parts.

Each helper is a flow: it asks, pauses and asks again, in either voice. A pause is `poll_interval_ms` where the caller
gave one; otherwise what the answer's `openai-poll-after-ms` says; otherwise a second.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from antiphon.kernel.flow import Call, Pause
from antiphon.kernel.helper import Together, answered, ask, helper
from antiphon.kernel.omit import NotGiven, Omit, not_given, omit
from antiphon.kernel.operation import Resource, V

if TYPE_CHECKING:
    import os

    from antiphon.kernel.files import FileTypes
    from antiphon.kernel.flow import Flow
    from antiphon.kernel.operation import Operation
    from antiphon.kernel.options import Body, Headers, Query, Timeout
    from antiphon.types import video_create_params
    from antiphon.types.beta import thread_create_and_run_params
    from antiphon.types.beta.assistant_response_format_option_param import AssistantResponseFormatOptionParam
    from antiphon.types.beta.assistant_tool_choice_option_param import AssistantToolChoiceOptionParam
    from antiphon.types.beta.assistant_tool_param import AssistantToolParam
    from antiphon.types.beta.threads import run_create_params, run_submit_tool_outputs_params
    from antiphon.types.beta.threads.run import Run
    from antiphon.types.beta.threads.runs.run_step_include import RunStepInclude
    from antiphon.types.file_chunking_strategy_param import FileChunkingStrategyParam
    from antiphon.types.file_object import FileObject
    from antiphon.types.file_purpose import FilePurpose
    from antiphon.types.shared.chat_model import ChatModel
    from antiphon.types.shared.reasoning_effort import ReasoningEffort
    from antiphon.types.shared_params.metadata import Metadata
    from antiphon.types.upload import Upload
    from antiphon.types.vector_stores import file_batch_create_params
    from antiphon.types.vector_stores.vector_store_file import VectorStoreFile
    from antiphon.types.vector_stores.vector_store_file_batch import VectorStoreFileBatch
    from antiphon.types.video import Video
    from antiphon.types.video_model_param import VideoModelParam
    from antiphon.types.video_seconds import VideoSeconds
    from antiphon.types.video_size import VideoSize

__all__ = (
    "ChunkedUploads",
    "FileBatchPolling",
    "FileProcessing",
    "RunPolling",
    "ThreadPolling",
    "VectorStoreFilePolling",
    "VideoPolling",
)

PART_SIZE = 64 * 1024 * 1024
"""Bytes of one part of an upload, unless the caller says otherwise: the most the API takes."""

_ASSISTANTS = "the Assistants API gave way to the Responses API"
_VIDEOS = "the video API ends on 24 September 2026"
_DEFAULT_PAUSE = 1.0


# How often and how long


def _marked(poll_interval_ms: int | Omit, extra: Headers | None = None) -> dict[str, str | Omit]:
    """The headers that tell the server who polls, and how often where the caller says so."""
    headers: dict[str, str | Omit] = {"X-Stainless-Poll-Helper": "true", **(extra or {})}
    if not isinstance(poll_interval_ms, Omit):
        headers["X-Stainless-Custom-Poll-Interval"] = str(poll_interval_ms)
    return headers


def _pause(poll_interval_ms: int | Omit, headers: Any) -> float:
    """Seconds until the next look."""
    if not isinstance(poll_interval_ms, Omit):
        return poll_interval_ms / 1000
    said = headers.get("openai-poll-after-ms")
    try:
        return _DEFAULT_PAUSE if said is None else max(int(said), 0) / 1000
    except ValueError:
        return _DEFAULT_PAUSE


class _Patience:
    """How long somebody waits: by the machine's clock or by the pauses taken, whichever is more.

    The pauses count because under a virtual clock they take no time.
    """

    def __init__(self, limit: float | None) -> None:
        from time import monotonic

        self._clock = monotonic
        self._began = monotonic()
        self._paused = 0.0
        self.limit = limit

    @property
    def left(self) -> float:
        """Seconds left; negative once the time is over."""
        waited = max(self._clock() - self._began, self._paused)
        return float("inf") if self.limit is None else self.limit - waited

    def pause(self, seconds: float) -> Pause:
        self._paused += seconds
        return Pause(seconds)


def _limit(max_wait_seconds: float | Omit) -> float | None:
    from math import isfinite

    if isinstance(max_wait_seconds, Omit):
        return None
    if not isfinite(max_wait_seconds) or max_wait_seconds < 0:
        raise ValueError(f"max_wait_seconds is a number of seconds, 0 or more; it was {max_wait_seconds!r}")
    return max_wait_seconds


def _polled(
    resource: Resource[Any],
    operation: Operation[Any, Any],
    known: dict[str, Any],
    unfinished: Any,
    poll_interval_ms: int | Omit,
    options: dict[str, Any] | None = None,
) -> Flow[Any]:
    """What an operation answers once it is no longer `unfinished`."""
    options = {**(options or {})}
    options["extra_headers"] = _marked(poll_interval_ms, options.get("extra_headers"))
    while True:
        answer = yield from answered(resource, operation, **known, **options)
        if not unfinished(answer.result):
            return answer.result
        yield Pause(_pause(poll_interval_ms, answer.response.headers))


# Assistants

_RUN_ENDS = frozenset(("requires_action", "cancelled", "completed", "failed", "expired", "incomplete"))


def _run_polled(
    resource: Resource[Any],
    run_id: str,
    thread_id: str,
    poll_interval_ms: int | Omit,
    options: dict[str, Any],
) -> Flow[Run]:
    from ..beta.threads.runs import Runs

    run: Run = yield from _polled(
        resource,
        Runs.retrieve,
        {"run_id": run_id, "thread_id": thread_id},
        lambda run: run.status not in _RUN_ENDS,
        poll_interval_ms,
        options,
    )
    return run


def _split(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of the call that begins something, without those of the helper; and the options of every call."""
    given = {name: value for name, value in arguments.items() if name not in ("self", "poll_interval_ms")}
    names = ("extra_headers", "extra_query", "extra_body", "timeout")
    return given, {name: given[name] for name in names}


class RunPolling(Resource[V]):
    """Runs of assistants, waited for until they end or need something. Raise what the operations raise."""

    @helper(deprecated=_ASSISTANTS)
    def create_and_poll(
        self,
        *,
        assistant_id: str,
        include: list[RunStepInclude] | Omit = omit,
        additional_instructions: str | None | Omit = omit,
        additional_messages: Iterable[run_create_params.AdditionalMessage] | None | Omit = omit,
        instructions: str | None | Omit = omit,
        max_completion_tokens: int | None | Omit = omit,
        max_prompt_tokens: int | None | Omit = omit,
        metadata: Metadata | None | Omit = omit,
        model: str | ChatModel | None | Omit = omit,
        parallel_tool_calls: bool | Omit = omit,
        reasoning_effort: ReasoningEffort | None | Omit = omit,
        response_format: AssistantResponseFormatOptionParam | None | Omit = omit,
        temperature: float | None | Omit = omit,
        tool_choice: AssistantToolChoiceOptionParam | None | Omit = omit,
        tools: Iterable[AssistantToolParam] | None | Omit = omit,
        top_p: float | None | Omit = omit,
        truncation_strategy: run_create_params.TruncationStrategy | None | Omit = omit,
        poll_interval_ms: int | Omit = omit,
        thread_id: str,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[Run]:
        """Start a run and wait until it ends or needs tool outputs. See `poll`."""
        given, options = _split(locals())
        from ..beta.threads.runs import Runs

        run = yield from ask(self, Runs.create, **given, stream=False)
        return (yield from _run_polled(self, run.id, thread_id, poll_interval_ms, options))

    @helper(deprecated=_ASSISTANTS)
    def poll(
        self,
        run_id: str,
        thread_id: str,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
        poll_interval_ms: int | Omit = omit,
    ) -> Flow[Run]:
        """Wait until a run is `completed`, `failed`, `cancelled`, `expired` or `incomplete`, or `requires_action`."""
        _, options = _split(locals())
        return (yield from _run_polled(self, run_id, thread_id, poll_interval_ms, options))

    @helper(deprecated=_ASSISTANTS)
    def submit_tool_outputs_and_poll(
        self,
        *,
        tool_outputs: Iterable[run_submit_tool_outputs_params.ToolOutput],
        run_id: str,
        thread_id: str,
        poll_interval_ms: int | Omit = omit,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[Run]:
        """Give a run what its tools said and wait until it ends or needs more. See `poll`."""
        given, options = _split(locals())
        from ..beta.threads.runs import Runs

        run = yield from ask(self, Runs.submit_tool_outputs, **given, stream=False)
        return (yield from _run_polled(self, run.id, thread_id, poll_interval_ms, options))


class ThreadPolling(Resource[V]):
    """A thread and its first run at once."""

    @helper(deprecated=_ASSISTANTS)
    def create_and_run_poll(
        self,
        *,
        assistant_id: str,
        instructions: str | None | Omit = omit,
        max_completion_tokens: int | None | Omit = omit,
        max_prompt_tokens: int | None | Omit = omit,
        metadata: Metadata | None | Omit = omit,
        model: str | ChatModel | None | Omit = omit,
        parallel_tool_calls: bool | Omit = omit,
        response_format: AssistantResponseFormatOptionParam | None | Omit = omit,
        temperature: float | None | Omit = omit,
        thread: thread_create_and_run_params.Thread | Omit = omit,
        tool_choice: AssistantToolChoiceOptionParam | None | Omit = omit,
        tool_resources: thread_create_and_run_params.ToolResources | None | Omit = omit,
        tools: Iterable[AssistantToolParam] | None | Omit = omit,
        top_p: float | None | Omit = omit,
        truncation_strategy: thread_create_and_run_params.TruncationStrategy | None | Omit = omit,
        poll_interval_ms: int | Omit = omit,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[Run]:
        """Create a thread, start a run of it and wait until the run ends or needs tool outputs."""
        given, options = _split(locals())
        from ..beta.threads import Threads

        run = yield from ask(self, Threads.create_and_run, **given, stream=False)
        return (yield from _run_polled(self, run.id, run.thread_id, poll_interval_ms, options))


# Files


class _StillProcessing(RuntimeError, TimeoutError):
    """What the official package raises, told apart from a caller's mistake."""


class FileProcessing(Resource[V]):
    """Files, waited for."""

    @helper
    def wait_for_processing(
        self, id: str, *, poll_interval: float = 5.0, max_wait_seconds: float = 30 * 60
    ) -> Flow[FileObject]:
        """Wait until a file is `processed`, in `error` or `deleted`, looking every `poll_interval` seconds.

        Raises `RuntimeError` when it is not after `max_wait_seconds`.
        """
        from ..files import Files

        patience = _Patience(max_wait_seconds)
        file = yield from ask(self, Files.retrieve, id)
        while file.status not in ("processed", "error", "deleted"):
            yield patience.pause(poll_interval)
            file = yield from ask(self, Files.retrieve, id)
            if patience.left < 0:
                raise _StillProcessing(f"the file {id} is still {file.status!r} after {max_wait_seconds} seconds")
        return file


class ChunkedUploads(Resource[V]):
    """Files of any size, sent in parts."""

    @helper
    def upload_file_chunked(
        self,
        *,
        file: os.PathLike[str] | builtins.bytes,
        mime_type: str,
        purpose: FilePurpose,
        filename: str | None = None,
        bytes: int | None = None,
        part_size: int | None = None,
        md5: str | Omit = omit,
    ) -> Flow[Upload]:
        """Send a file, a path or bytes, as an upload of parts, one after the other.

        `bytes` is the file's whole size and `filename` its name: both are needed for a file in memory, and read from
        the path otherwise. `part_size` is the bytes of each part, 64 MiB unless given. `md5` is the checksum of the
        whole, in hexadecimal, for the server to check. Only one part is in memory at a time. Raises `TypeError` for
        a file in memory without name or size.
        """
        from ..uploads import Uploads
        from ..uploads.parts import Parts

        if isinstance(file, builtins.bytes):
            if filename is None or bytes is None:
                raise TypeError("upload_file_chunked() needs `filename` and `bytes` for a file in memory")
        elif filename is None or bytes is None:
            found, size = yield Call(_named_and_sized, file)
            filename, bytes = filename or found, size if bytes is None else bytes
        upload = yield from ask(
            self, Uploads.create, bytes=bytes, filename=filename, mime_type=mime_type, purpose=purpose
        )
        part_ids: list[str] = []
        size = PART_SIZE if part_size is None else part_size
        source = yield Call(_opened, file)
        try:
            while data := (yield Call(source.read, size)):
                part = yield from ask(self, Parts.create, upload.id, data=data)
                part_ids.append(part.id)
        finally:
            source.close()
        done: Upload = yield from ask(self, Uploads.complete, upload.id, part_ids=part_ids, md5=md5)
        return done


def _named_and_sized(path: os.PathLike[str]) -> tuple[str, int]:
    import os

    return os.path.basename(os.fspath(path)), os.stat(path).st_size


def _opened(file: Any) -> Any:
    import io

    return io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb", buffering=0)


# Vector stores


def _uploaded(resource: Resource[Any], file: FileTypes) -> Flow[FileObject]:
    from ..files import Files

    return (yield from ask(resource, Files.create, file=file, purpose="assistants"))


def _file_polled(
    resource: Resource[Any],
    file_id: str,
    vector_store_id: str,
    poll_interval_ms: int | Omit,
    max_wait_seconds: float | Omit,
) -> Flow[VectorStoreFile]:
    from ..vector_stores.files import Files

    patience = _Patience(_limit(max_wait_seconds))
    headers = _marked(poll_interval_ms)
    late = TimeoutError(f"the file {file_id} of the vector store {vector_store_id} was not processed in time")
    while True:
        if patience.left <= 0:
            raise late
        answer = yield from answered(
            resource, Files.retrieve, file_id, vector_store_id=vector_store_id, extra_headers=headers
        )
        if answer.result.status != "in_progress":
            return answer.result
        if patience.left <= 0:
            raise late
        yield patience.pause(min(_pause(poll_interval_ms, answer.response.headers), patience.left))


class VectorStoreFilePolling(Resource[V]):
    """Files of a vector store, waited for. A file that could not be processed is returned all the same: look at
    `status` and `last_error`."""

    @helper
    def create_and_poll(
        self,
        file_id: str,
        *,
        vector_store_id: str,
        attributes: dict[str, str | float | bool] | None | Omit = omit,
        poll_interval_ms: int | Omit = omit,
        max_wait_seconds: float | Omit = omit,
        chunking_strategy: FileChunkingStrategyParam | Omit = omit,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[VectorStoreFile]:
        """Put a file into a vector store and wait until it is processed. See `poll`."""
        from ..vector_stores.files import Files

        _limit(max_wait_seconds)
        yield from ask(
            self,
            Files.create,
            vector_store_id,
            file_id=file_id,
            attributes=attributes,
            chunking_strategy=chunking_strategy,
            extra_headers=extra_headers,
            extra_query=extra_query,
            extra_body=extra_body,
            timeout=timeout,
        )
        return (yield from _file_polled(self, file_id, vector_store_id, poll_interval_ms, max_wait_seconds))

    @helper
    def upload(
        self, *, vector_store_id: str, file: FileTypes, chunking_strategy: FileChunkingStrategyParam | Omit = omit
    ) -> Flow[VectorStoreFile]:
        """Upload a file and put it into a vector store, which processes it in its own time."""
        from ..vector_stores.files import Files

        uploaded = yield from _uploaded(self, file)
        return (
            yield from ask(
                self, Files.create, vector_store_id, file_id=uploaded.id, chunking_strategy=chunking_strategy
            )
        )

    @helper
    def upload_and_poll(
        self,
        *,
        vector_store_id: str,
        file: FileTypes,
        attributes: dict[str, str | float | bool] | None | Omit = omit,
        poll_interval_ms: int | Omit = omit,
        max_wait_seconds: float | Omit = omit,
        chunking_strategy: FileChunkingStrategyParam | Omit = omit,
    ) -> Flow[VectorStoreFile]:
        """Upload a file, put it into a vector store and wait until it is processed. See `poll`."""
        from ..vector_stores.files import Files

        _limit(max_wait_seconds)
        uploaded = yield from _uploaded(self, file)
        yield from ask(
            self,
            Files.create,
            vector_store_id,
            file_id=uploaded.id,
            attributes=attributes,
            chunking_strategy=chunking_strategy,
        )
        return (yield from _file_polled(self, uploaded.id, vector_store_id, poll_interval_ms, max_wait_seconds))

    @helper
    def poll(
        self,
        file_id: str,
        *,
        vector_store_id: str,
        poll_interval_ms: int | Omit = omit,
        max_wait_seconds: float | Omit = omit,
    ) -> Flow[VectorStoreFile]:
        """Wait until a file of a vector store is processed, or could not be.

        `max_wait_seconds` is how long to wait, 0 for not even one look, without it for ever. A request that is
        under way when the time is over is not broken off. Raises `TimeoutError` when it is over, `ValueError` for
        a time that is negative or not a number; the server goes on with the file.
        """
        return (yield from _file_polled(self, file_id, vector_store_id, poll_interval_ms, max_wait_seconds))


def _batch_polled(
    resource: Resource[Any], batch_id: str, vector_store_id: str, poll_interval_ms: int | Omit
) -> Flow[VectorStoreFileBatch]:
    from ..vector_stores.file_batches import FileBatches

    batch: VectorStoreFileBatch = yield from _polled(
        resource,
        FileBatches.retrieve,
        {"batch_id": batch_id, "vector_store_id": vector_store_id},
        lambda batch: batch.file_counts.in_progress > 0,
        poll_interval_ms,
    )
    return batch


class FileBatchPolling(Resource[V]):
    """Batches of files of a vector store, waited for. A batch is returned when files of it could not be processed
    too: look at `file_counts.failed`."""

    @helper
    def create_and_poll(
        self,
        vector_store_id: str,
        *,
        attributes: dict[str, str | float | bool] | None | Omit = omit,
        chunking_strategy: FileChunkingStrategyParam | Omit = omit,
        file_ids: Sequence[str] | Omit = omit,
        files: Iterable[file_batch_create_params.File] | Omit = omit,
        poll_interval_ms: int | Omit = omit,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[VectorStoreFileBatch]:
        """Put files into a vector store and wait until no file of the batch is in progress."""
        from ..vector_stores.file_batches import FileBatches

        batch = yield from ask(
            self,
            FileBatches.create,
            vector_store_id,
            attributes=attributes,
            chunking_strategy=chunking_strategy,
            file_ids=file_ids,
            files=files,
            extra_headers=extra_headers,
            extra_query=extra_query,
            extra_body=extra_body,
            timeout=timeout,
        )
        return (yield from _batch_polled(self, batch.id, vector_store_id, poll_interval_ms))

    @helper
    def upload_and_poll(
        self,
        vector_store_id: str,
        *,
        files: Iterable[FileTypes],
        max_concurrency: int = 5,
        file_ids: Sequence[str] = (),
        poll_interval_ms: int | Omit = omit,
        chunking_strategy: FileChunkingStrategyParam | Omit = omit,
    ) -> Flow[VectorStoreFileBatch]:
        """Upload files, `max_concurrency` at a time, put them into a vector store and wait until they are processed.

        `file_ids` are those of files that were uploaded before; they come first in the batch, the others follow in
        their order. When an upload fails its error is raised and no batch is made.
        """
        from ..vector_stores.file_batches import FileBatches

        uploaded = yield Together([_uploaded(self, file) for file in files], max_concurrency)
        batch = yield from ask(
            self,
            FileBatches.create,
            vector_store_id,
            file_ids=[*file_ids, *(file.id for file in uploaded)],
            chunking_strategy=chunking_strategy,
        )
        return (yield from _batch_polled(self, batch.id, vector_store_id, poll_interval_ms))

    @helper
    def poll(
        self, batch_id: str, *, vector_store_id: str, poll_interval_ms: int | Omit = omit
    ) -> Flow[VectorStoreFileBatch]:
        """Wait until no file of a batch is in progress."""
        return (yield from _batch_polled(self, batch_id, vector_store_id, poll_interval_ms))


# Videos


def _video_polled(resource: Resource[Any], video_id: str, poll_interval_ms: int | Omit) -> Flow[Video]:
    from ..videos import Videos

    video: Video = yield from _polled(
        resource,
        Videos.retrieve,
        {"video_id": video_id},
        lambda video: video.status in ("queued", "in_progress"),
        poll_interval_ms,
    )
    return video


class VideoPolling(Resource[V]):
    """Videos, waited for. One that could not be made is returned all the same: look at `status` and `error`."""

    @helper(deprecated=_VIDEOS)
    def create_and_poll(
        self,
        *,
        prompt: str,
        input_reference: video_create_params.InputReference | Omit = omit,
        model: VideoModelParam | Omit = omit,
        seconds: VideoSeconds | Omit = omit,
        size: VideoSize | Omit = omit,
        poll_interval_ms: int | Omit = omit,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[Video]:
        """Have a video made and wait until it is, or could not be."""
        given, _ = _split(locals())
        from ..videos import Videos

        video = yield from ask(self, Videos.create, **given)
        return (yield from _video_polled(self, video.id, poll_interval_ms))

    @helper(deprecated=_VIDEOS)
    def poll(self, video_id: str, *, poll_interval_ms: int | Omit = omit) -> Flow[Video]:
        """Wait until a video is made, or could not be."""
        return (yield from _video_polled(self, video_id, poll_interval_ms))
