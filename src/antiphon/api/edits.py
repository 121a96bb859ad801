"""The edits API, which the official package dropped. Written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from antiphon.kernel import operation as op
from antiphon.kernel.lazy import lazily
from antiphon.kernel.omit import NotGiven, Omit, not_given, omit
from antiphon.kernel.operation import Resource, V

if TYPE_CHECKING:
    from antiphon.kernel.options import Body, Headers, Query, Timeout
    from antiphon.types.edit import Edit

__all__ = ("Edits",)


class Edits(Resource[V]):
    """`client.edits`: texts, changed as an instruction says."""

    @op.post("/edits", deprecated="chat completions took the place of edits")
    def create(
        self,
        *,
        instruction: str,
        model: str | Literal["text-davinci-edit-001", "code-davinci-edit-001"],
        input: str | None | Omit = omit,
        n: int | None | Omit = omit,
        temperature: float | None | Omit = omit,
        top_p: float | None | Omit = omit,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> Edit:
        """Change a text as an instruction says; an empty text where none is given.

        `POST /edits`
        """
        raise NotImplementedError

    if TYPE_CHECKING:
        with_raw_response: op.Voiced[Edits[op.SyncRaw], Edits[op.AsyncRaw]] = op.voiced
        with_streaming_response: op.Voiced[Edits[op.SyncStreaming], Edits[op.AsyncStreaming]] = op.voiced
        with_result: op.Voiced[Edits[op.SyncResult], Edits[op.AsyncResult]] = op.voiced


if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "Body": "antiphon.kernel.options",
            "Edit": "antiphon.types.edit",
            "Headers": "antiphon.kernel.options",
            "Query": "antiphon.kernel.options",
            "Timeout": "antiphon.kernel.options",
        },
    )
