"""The first fine-tunes API, which the official package dropped. Written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

from antiphon.kernel import operation as op
from antiphon.kernel.lazy import lazily
from antiphon.kernel.omit import NotGiven, Omit, not_given, omit
from antiphon.kernel.operation import Resource, V

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from antiphon.kernel.options import Body, Headers, Query, Timeout
    from antiphon.kernel.pages import SyncPage
    from antiphon.kernel.stream import AsyncStream, Stream
    from antiphon.types.fine_tune import FineTune
    from antiphon.types.fine_tune_event import FineTuneEvent, FineTuneEventsListResponse
    from antiphon.types.model_deleted import ModelDeleted

    R1_co = TypeVar("R1_co", covariant=True)
    R2_co = TypeVar("R2_co", covariant=True)

    class _ListEvents(Protocol[R1_co, R2_co]):
        @overload
        def __call__(
            self,
            fine_tune_id: str,
            *,
            stream: Literal[False] | Omit = omit,
            extra_headers: Headers | None = None,
            extra_query: Query | None = None,
            extra_body: Body | None = None,
            timeout: float | Timeout | None | NotGiven = not_given,
        ) -> R1_co: ...
        @overload
        def __call__(
            self,
            fine_tune_id: str,
            *,
            stream: Literal[True],
            extra_headers: Headers | None = None,
            extra_query: Query | None = None,
            extra_body: Body | None = None,
            timeout: float | Timeout | None | NotGiven = not_given,
        ) -> R2_co: ...
        @overload
        def __call__(
            self,
            fine_tune_id: str,
            *,
            stream: bool,
            extra_headers: Headers | None = None,
            extra_query: Query | None = None,
            extra_body: Body | None = None,
            timeout: float | Timeout | None | NotGiven = not_given,
        ) -> R1_co | R2_co: ...


__all__ = ("FineTunes",)

_WHY = "`fine_tuning.jobs` took the place of fine-tunes"


class FineTunes(Resource[V]):
    """`client.fine_tunes`: models made of others by examples, before there was `client.fine_tuning`."""

    @op.post("/fine-tunes", deprecated=_WHY)
    def create(
        self,
        *,
        training_file: str,
        batch_size: int | None | Omit = omit,
        classification_betas: Sequence[float] | None | Omit = omit,
        classification_n_classes: int | None | Omit = omit,
        classification_positive_class: str | None | Omit = omit,
        compute_classification_metrics: bool | None | Omit = omit,
        learning_rate_multiplier: float | None | Omit = omit,
        model: str | Literal["ada", "babbage", "curie", "davinci"] | None | Omit = omit,
        n_epochs: int | None | Omit = omit,
        prompt_loss_weight: float | None | Omit = omit,
        suffix: str | None | Omit = omit,
        validation_file: str | None | Omit = omit,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> FineTune:
        """Have a model made of another and of the examples in an uploaded file.

        `POST /fine-tunes`
        """
        raise NotImplementedError

    @op.get("/fine-tunes/{fine_tune_id}", deprecated=_WHY)
    def retrieve(
        self,
        fine_tune_id: str,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> FineTune:
        """Get a fine-tune.

        `GET /fine-tunes/{fine_tune_id}`
        """
        raise NotImplementedError

    @op.get_page("/fine-tunes", deprecated=_WHY)
    def list(
        self,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> SyncPage[FineTune]:
        """List the fine-tunes of the organization.

        `GET /fine-tunes`
        """
        raise NotImplementedError

    @op.post("/fine-tunes/{fine_tune_id}/cancel", deprecated=_WHY)
    def cancel(
        self,
        fine_tune_id: str,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> FineTune:
        """Cancel a fine-tune.

        `POST /fine-tunes/{fine_tune_id}/cancel`
        """
        raise NotImplementedError

    if TYPE_CHECKING:
        list_events: op.Overloaded[
            _ListEvents[FineTuneEventsListResponse, Stream[FineTuneEvent]],
            _ListEvents[
                Coroutine[Any, Any, FineTuneEventsListResponse], Coroutine[Any, Any, AsyncStream[FineTuneEvent]]
            ],
            _ListEvents[op.InRaw[FineTuneEventsListResponse], op.InRaw[Stream[FineTuneEvent]]],
            _ListEvents[op.InAsyncRaw[FineTuneEventsListResponse], op.InAsyncRaw[AsyncStream[FineTuneEvent]]],
            _ListEvents[op.InStreaming[FineTuneEventsListResponse], op.InStreaming[Stream[FineTuneEvent]]],
            _ListEvents[
                op.InAsyncStreaming[FineTuneEventsListResponse], op.InAsyncStreaming[AsyncStream[FineTuneEvent]]
            ],
            _ListEvents[op.InResult[FineTuneEventsListResponse], op.InResult[Stream[FineTuneEvent]]],
            _ListEvents[op.InAsyncResult[FineTuneEventsListResponse], op.InAsyncResult[AsyncStream[FineTuneEvent]]],
        ] = op.overloaded
        """List what happened to a fine-tune; with `stream=True`, as it happens, until it ends.

        `GET /fine-tunes/{fine_tune_id}/events`
        """
    else:

        @op.get("/fine-tunes/{fine_tune_id}/events", events="FineTuneEvent", deprecated=_WHY)
        def list_events(
            self,
            fine_tune_id: str,
            *,
            stream: Literal[False] | Literal[True] | Omit = omit,
            extra_headers: Headers | None = None,
            extra_query: Query | None = None,
            extra_body: Body | None = None,
            timeout: float | Timeout | None | NotGiven = not_given,
        ) -> FineTuneEventsListResponse:
            """List what happened to a fine-tune; with `stream=True`, as it happens, until it ends.

            `GET /fine-tunes/{fine_tune_id}/events`
            """
            raise NotImplementedError

    @op.delete("/models/{model}", deprecated="use `models.delete`")
    def delete_model(
        self,
        model: str,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> ModelDeleted:
        """Delete a model that a fine-tune made.

        `DELETE /models/{model}`
        """
        raise NotImplementedError

    if TYPE_CHECKING:
        with_raw_response: op.Voiced[FineTunes[op.SyncRaw], FineTunes[op.AsyncRaw]] = op.voiced
        with_streaming_response: op.Voiced[FineTunes[op.SyncStreaming], FineTunes[op.AsyncStreaming]] = op.voiced
        with_result: op.Voiced[FineTunes[op.SyncResult], FineTunes[op.AsyncResult]] = op.voiced


if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "AsyncStream": "antiphon.kernel.stream",
            "Body": "antiphon.kernel.options",
            "FineTune": "antiphon.types.fine_tune",
            "FineTuneEvent": "antiphon.types.fine_tune_event",
            "FineTuneEventsListResponse": "antiphon.types.fine_tune_event",
            "Headers": "antiphon.kernel.options",
            "ModelDeleted": "antiphon.types.model_deleted",
            "Query": "antiphon.kernel.options",
            "Stream": "antiphon.kernel.stream",
            "SyncPage": "antiphon.kernel.pages",
            "Timeout": "antiphon.kernel.options",
        },
    )
