"""Of the fine-tunes API that `fine_tuning.jobs` took the place of. Written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from antiphon.kernel.lazy import lazily
from antiphon.kernel.view import View

if TYPE_CHECKING:
    from antiphon.types.file_object import FileObject
    from antiphon.types.fine_tune_event import FineTuneEvent

__all__ = ("FineTune", "Hyperparams")


class Hyperparams(View):
    """What a fine-tune is trained with."""

    n_epochs: int
    batch_size: int | None
    learning_rate_multiplier: float | None
    prompt_loss_weight: float | None
    compute_classification_metrics: bool | None
    classification_n_classes: int | None
    classification_positive_class: str | None


class FineTune(View):
    """A `fine-tune` object: a model being made of another and of examples."""

    id: str
    object: Literal["fine-tune"]
    created_at: int
    """Unix seconds."""
    updated_at: int
    """Unix seconds."""
    model: str
    """The model it is made of."""
    fine_tuned_model: str | None
    """The model that was made, once it is."""
    organization_id: str
    status: Literal["created", "pending", "running", "succeeded", "failed", "cancelled"] | str
    hyperparams: Hyperparams
    training_files: list[FileObject]
    validation_files: list[FileObject]
    result_files: list[FileObject]
    events: list[FineTuneEvent] | None
    """What happened so far; absent from lists."""


if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {"FileObject": "antiphon.types.file_object", "FineTuneEvent": "antiphon.types.fine_tune_event"},
    )
