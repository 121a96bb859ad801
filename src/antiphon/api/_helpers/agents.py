"""Around sessions of agents: the stream of a turn, what a session is created with, files for environments, artifacts.

What they are made of is in `antiphon.lib.beta.agents` and `antiphon.lib.streaming.agents`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

from antiphon.kernel.flow import Call
from antiphon.kernel.helper import ask, helper
from antiphon.kernel.omit import NotGiven, Omit, not_given, omit
from antiphon.kernel.operation import Resource, V
from antiphon.lib.beta.agents._options import request_options

from .structured import client_of

if TYPE_CHECKING:
    from antiphon.kernel.files import FileTypes
    from antiphon.kernel.flow import Flow
    from antiphon.kernel.operation import Async, Bound, Sync
    from antiphon.kernel.options import Body, Headers, Query, Timeout
    from antiphon.lib.beta.agents import (
        AgentResultArtifacts,
        AgentTurnResult,
        AsyncAgentResultArtifacts,
        PreparedAgentFiles,
        StagedAgentFile,
    )
    from antiphon.lib.beta.agents._result import OutputT
    from antiphon.lib.beta.agents._tool_error import AsyncToolErrorHandler, ToolErrorHandler
    from antiphon.lib.streaming.agents import (
        AgentSessionStream,
        AsyncAgentSessionStream,
        AsyncToolHandler,
        ToolHandler,
    )
    from antiphon.types.beta.agent_session_input_message_param import AgentSessionInputMessageParam

__all__ = ("EnvironmentFiles", "ResultArtifacts", "SessionStreams", "create_session")


# Sessions


def create_session(client: Any, bound: Bound) -> Callable[[Any], Any] | None:
    """What is done before `sessions.create`, and after it: the schema of the answer, the tools of the stream."""
    from antiphon.lib.beta.agents._output import with_output_schema

    output_type, tool_handlers = bound.local.get("output_type"), bound.local.get("tool_handlers")
    body: dict[str, Any] = bound.body or {}
    if output_type is not None:
        body["agent"] = with_output_schema(body.get("agent"), output_type)
    if body.get("stream") is not True:
        if tool_handlers is not None:
            raise ValueError("the tools of tool_handlers run as events come: they need stream=True")
        return None

    def stream(events: Any) -> Any:
        from antiphon.lib.beta.agents._stream import AgentSessionEventStream, AsyncAgentSessionEventStream
        from antiphon.lib.streaming.agents._dispatch import ToolDispatcher

        from ..beta.agents.sessions import Sessions

        dispatcher = None
        if tool_handlers:
            options = {name: bound.options[name] for name in ("extra_headers", "timeout") if name in bound.options}
            dispatcher = ToolDispatcher(Sessions(client), tool_handlers, **options)
        kind: Any = AsyncAgentSessionEventStream if client._is_async else AgentSessionEventStream
        return kind(events.response, events._reading, output_type, dispatcher)

    return stream


class SessionStreams(Resource[V]):
    """The stream of a turn."""

    if TYPE_CHECKING:

        @overload
        def stream(
            self: Resource[Sync],
            session_id: str,
            *,
            input: str | Iterable[AgentSessionInputMessageParam],
            output_type: type[OutputT] | None = None,
            tool_handlers: Mapping[str, ToolHandler] | None = None,
            on_tool_error: ToolErrorHandler | None = None,
            idempotency_key: str | Omit = omit,
            extra_headers: Headers | None = None,
            timeout: float | Timeout | None | NotGiven = not_given,
        ) -> AgentSessionStream[OutputT]: ...
        @overload
        def stream(
            self: Resource[Async],
            session_id: str,
            *,
            input: str | Iterable[AgentSessionInputMessageParam],
            output_type: type[OutputT] | None = None,
            tool_handlers: Mapping[str, AsyncToolHandler] | None = None,
            on_tool_error: AsyncToolErrorHandler | None = None,
            idempotency_key: str | Omit = omit,
            extra_headers: Headers | None = None,
            timeout: float | Timeout | None | NotGiven = not_given,
        ) -> AsyncAgentSessionStream[OutputT]: ...
        def stream(self, session_id: str, **arguments: Any) -> Any: ...
    else:

        def stream(
            self,
            session_id: str,
            *,
            input: str | Iterable[AgentSessionInputMessageParam],
            output_type: type[OutputT] | None = None,
            tool_handlers: Mapping[str, ToolHandler] | None = None,
            on_tool_error: ToolErrorHandler | None = None,
            idempotency_key: str | Omit = omit,
            extra_headers: Headers | None = None,
            timeout: float | Timeout | None | NotGiven = not_given,
        ) -> AgentSessionStream[OutputT]:
            """Submit input to an idle session and follow the turn that it begins.

                with client.beta.agents.sessions.stream(session.id, input="What is new?") as stream:
                    for event in stream:
                        if event.type == "agent.session.turn.output_text.delta":
                            print(event.delta, end="")

            `tool_handlers` are functions by the names of the agent's tools; they take the arguments of a call as a
            dict, and what they return is submitted. `on_tool_error` is told what goes wrong in them. With a type as
            `output_type` the answer of `get_final_result()` is read into it. Nobody else may submit input to the
            session meanwhile. Entering it raises `ValueError` where the session is not idle.
            """
            from antiphon.lib.streaming.agents import AgentSessionStream, AsyncAgentSessionStream

            client = client_of(self)
            kind = AsyncAgentSessionStream if client._is_async else AgentSessionStream
            return kind(
                type(self)(client),
                session_id,
                input=input,
                output_type=output_type,
                tool_handlers=tool_handlers,
                on_tool_error=on_tool_error,
                idempotency_key=idempotency_key,
                extra_headers=extra_headers,
                timeout=timeout,
            )


class ResultArtifacts(Resource[V]):
    """The artifacts of a turn."""

    if TYPE_CHECKING:

        @overload
        def for_result(self: Resource[Sync], result: AgentTurnResult[Any]) -> AgentResultArtifacts: ...
        @overload
        def for_result(self: Resource[Async], result: AgentTurnResult[Any]) -> AsyncAgentResultArtifacts: ...
        def for_result(self, result: AgentTurnResult[Any]) -> Any: ...
    else:

        def for_result(self, result: AgentTurnResult) -> AgentResultArtifacts:
            """The artifacts that the turn of a result published: `content(path)` reads one, `download(path, to=…)`
            writes one to a file.
            """
            from antiphon.lib.beta.agents import AgentResultArtifacts, AsyncAgentResultArtifacts

            client = client_of(self)
            kind = AsyncAgentResultArtifacts if client._is_async else AgentResultArtifacts
            return kind(type(self)(client), result)


# Files


class EnvironmentFiles(Resource[V]):
    """Local files for environments."""

    @helper
    def prepare(
        self,
        files: Mapping[str, str | PathLike[str]],
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[PreparedAgentFiles]:
        """Upload local files for an environment that is to be made, by their paths in it.

            prepared = client.beta.agents.environments.files.prepare({"/workspace/report.csv": "report.csv"})
            client.beta.agents.sessions.create(environment={"type": "openai_hosted", "files": prepared.files}, ...)

        All files are opened before the first is uploaded, and sent from disk. Raises `ValueError` for paths that no
        file may have and for what is no regular file, `AgentFilePreparationError` where an upload fails.
        """
        prepared = yield from _prepared(self, files, request_options(extra_headers, extra_query, extra_body, timeout))
        return prepared

    @helper
    def prepare_directory(
        self,
        root: str | PathLike[str],
        *,
        destination: str,
        include: Sequence[str],
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[PreparedAgentFiles]:
        """Upload those files of a directory that match patterns, to be below `destination` in an environment.

            files.prepare_directory("docs", destination="/workspace/docs", include=["**/*.md"])

        Raises what `prepare` does, and `ValueError` where nothing matches and for symlinks.
        """
        from antiphon.lib.beta.agents import _files

        files: Mapping[str, Any] = yield Call(_files.directory_files, root, destination, include)
        prepared = yield from _prepared(self, files, request_options(extra_headers, extra_query, extra_body, timeout))
        return prepared

    @helper
    def upload(
        self,
        environment_id: str,
        *,
        file: FileTypes,
        path: str,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Flow[StagedAgentFile]:
        """Upload a file, of any form that files may have, and put it into an environment that is there, at `path`.

        Raises `ValueError` for a path that no file may have, what the upload raises, and `AgentFileStagingError` where
        the uploaded file does not get into the environment.
        """
        from antiphon.lib.beta.agents._files import (
            AgentFileStagingError,
            Selection,
            StagedAgentFile,
            checked_destination,
        )

        from ..beta.agents.environments.files import Files as Here
        from ..files import Files

        if not environment_id:
            raise ValueError(f"`environment_id` is part of the address: it cannot be {environment_id!r}")
        checked_destination(path)
        options = request_options(extra_headers, extra_query, extra_body, timeout)
        selection = Selection()
        try:
            sent = yield from _opened(selection, file)
            uploaded = yield from ask(self, Files.create, file=sent, purpose="user_data", **options)
        finally:
            selection.close()
        try:
            staged = yield from ask(
                self, Here.create, environment_id, type="file_id", file_id=uploaded.id, path=path, **options
            )
        except Exception as error:
            raise AgentFileStagingError(uploaded.id) from error
        except BaseException as error:
            # Interrupted or cancelled: who does that learns of the upload from the error itself.
            vars(error)["uploaded_file_id"] = uploaded.id
            raise
        return StagedAgentFile(uploaded.id, staged)


def _prepared(resource: Resource[Any], files: Mapping[str, Any], options: dict[str, Any]) -> Flow[PreparedAgentFiles]:
    from antiphon.lib.beta.agents._files import (
        AgentFilePreparationError,
        Opened,
        PreparedAgentFiles,
        Selection,
        checked_destinations,
    )

    from ..files import Files

    paths = list(files)
    _check_key(client_of(resource), options, len(paths))
    checked_destinations(paths)
    prepared = PreparedAgentFiles()
    selection = Selection()
    try:
        opened: list[Opened] = yield Call(selection.open, list(files.values()))
        for path, file in zip(paths, opened, strict=True):
            try:
                uploaded = yield from ask(resource, Files.create, file=file.unchanged(), purpose="user_data", **options)
            except Exception as error:
                raise AgentFilePreparationError(prepared) from error
            except BaseException as error:
                vars(error)["prepared"] = prepared
                raise
            prepared.uploaded_file_ids.append(uploaded.id)
            prepared.files.append({"type": "file_id", "file_id": uploaded.id, "path": path})
    finally:
        selection.close()
    return prepared


def _check_key(client: Any, options: dict[str, Any], count: int) -> None:
    headers = {**client.default_headers, **(options["extra_headers"] or {})}
    keyed = {name.lower(): value for name, value in headers.items()}.get("idempotency-key", omit)
    if count > 1 and not isinstance(keyed, Omit):
        raise ValueError(f"one Idempotency-Key is for one request, and {count} files are uploaded")


def _opened(selection: Any, file: Any) -> Flow[Any]:
    """A file argument; one that names a local file with that file opened."""
    content, rest = (file[1], file[2:]) if isinstance(file, tuple) else (file, ())
    if not isinstance(content, PathLike):
        return file
    found = yield Call(selection.open, [content])
    name, handle = found[0].unchanged()
    return (file[0] if isinstance(file, tuple) else name, handle, *rest)
