"""The files that a turn published: looked up by their path, read or downloaded. Both colours side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from ....kernel.helper import ask
from ....kernel.omit import NotGiven, not_given
from ._options import request_options

if TYPE_CHECKING:
    from os import PathLike

    from ....api.beta.agents.sessions.artifacts import Artifacts
    from ....kernel.binary import HttpxBinaryResponseContent
    from ....kernel.flow import Flow
    from ....kernel.operation import Async, Sync
    from ....kernel.options import Body, Headers, Query, Timeout
    from ....types.beta.agents.sessions.session_artifact import SessionArtifact
    from ._result import AgentTurnResult

__all__ = ("AgentResultArtifacts", "AsyncAgentResultArtifacts")


class _Published:
    """What a turn published."""

    def __init__(self, resource: Artifacts[Any], result: AgentTurnResult[Any]) -> None:
        self._resource = resource
        self._session_id = result.session_id
        self._turn_id = result.turn_id

    def _drive(self, flow: Flow[Any]) -> Any:
        return self._resource._core._drive(flow)

    def _found(self, path: str, options: dict[str, Any]) -> Flow[SessionArtifact]:
        """The one artifact of the turn that has a path."""
        found: list[Any] = []
        operation: Any = type(self._resource).list
        more: dict[str, Any] = {}
        while True:
            page = yield from ask(self._resource, operation, self._session_id, **options, **more)
            found += [each for each in page.data if each.turn_id == self._turn_id and each.path == path]
            if len(found) > 1 or not page.has_next_page():
                break
            more = page.next_page_info().params
        if len(found) != 1:
            self._refuse(path, found)
        return cast("SessionArtifact", found[0])

    def _refuse(self, path: str, found: list[Any]) -> NoReturn:
        many = "more than one artifact has" if found else "no artifact has"
        raise ValueError(f"{many} the path {path!r} in the turn {self._turn_id}")

    def _content(self, path: str, options: dict[str, Any]) -> Flow[HttpxBinaryResponseContent]:
        found = yield from self._found(path, options)
        resource = self._resource
        content: HttpxBinaryResponseContent = yield from ask(
            resource, type(resource).content, found.id, session_id=self._session_id, **options
        )
        return content


class AgentResultArtifacts(_Published):
    """What `sessions.artifacts.for_result()` gives."""

    def __init__(self, resource: Artifacts[Sync], result: AgentTurnResult[Any]) -> None:
        super().__init__(resource, result)

    def content(
        self,
        path: str,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> HttpxBinaryResponseContent:
        """The artifact at a path of the environment, such as `/workspace/outputs/report.md`, read.

        Raises `ValueError` where the turn has none there, or several.
        """
        content: HttpxBinaryResponseContent = self._drive(
            self._content(path, request_options(extra_headers, extra_query, extra_body, timeout))
        )
        return content

    def download(
        self,
        path: str,
        *,
        to: str | PathLike[str],
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> SessionArtifact:
        """Write the artifact at a path of the environment to a file here, as it arrives; what is known of it.

        The file is not touched where there is no such artifact. Raises `ValueError` then, and `OSError`.
        """
        options = request_options(extra_headers, extra_query, extra_body, timeout)
        found: SessionArtifact = self._drive(self._found(path, options))
        streaming: Any = self._resource.with_streaming_response
        with streaming.content(found.id, session_id=self._session_id, **options) as content:
            content.stream_to_file(to)
        return found


class AsyncAgentResultArtifacts(_Published):
    """What `sessions.artifacts.for_result()` of an async client gives."""

    def __init__(self, resource: Artifacts[Async], result: AgentTurnResult[Any]) -> None:
        super().__init__(resource, result)

    async def content(
        self,
        path: str,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> HttpxBinaryResponseContent:
        """The artifact at a path of the environment, such as `/workspace/outputs/report.md`, read.

        Raises `ValueError` where the turn has none there, or several.
        """
        content: HttpxBinaryResponseContent = await self._drive(
            self._content(path, request_options(extra_headers, extra_query, extra_body, timeout))
        )
        return content

    async def download(
        self,
        path: str,
        *,
        to: str | PathLike[str],
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> SessionArtifact:
        """Write the artifact at a path of the environment to a file here, as it arrives; what is known of it.

        The file is not touched where there is no such artifact. Raises `ValueError` then, and `OSError`.
        """
        options = request_options(extra_headers, extra_query, extra_body, timeout)
        found: SessionArtifact = await self._drive(self._found(path, options))
        streaming: Any = self._resource.with_streaming_response
        async with streaming.content(found.id, session_id=self._session_id, **options) as content:
            await content.stream_to_file(to)
        return found
