"""Models: which there are, and the deletion of fine-tuned ones.

API reference: https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...api.models import Models
from ...kernel.errors import NotFoundError, PermissionDeniedError
from ..behaviour import Call, serves
from ..vocabulary import known_models, model_ids

if TYPE_CHECKING:
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("DELETED", "TUNED")

TUNED = "models"
"""The collection of models that came of fine-tuning."""

DELETED = "models/deleted"
"""The collection of fine-tuned models that were deleted."""

_EPOCH = 1_715_367_049
_DAY = 86_400


def _described(server: Server, id: str) -> dict[str, Any]:
    kept = server.store.get(TUNED, id)
    if kept is not None:
        return kept
    own = id.startswith("ft:") or not server.published_limits
    owner = server.organization if own else "system" if id in known_models() else "organization-owner"
    # A time of its own for each model, the same on every server.
    age = sum(id.encode()) % 700
    return {"id": id, "object": "model", "created": _EPOCH - age * _DAY, "owned_by": owner}


def _exists(server: Server, id: str) -> bool:
    if server.store.get(DELETED, id) is not None:
        return server.conjures
    return server.conjures or server.store.get(TUNED, id) is not None or id.startswith("ft:") or id in model_ids(server)


def _missing(id: str) -> NotFoundError:
    return NotFoundError.because(
        f"The model '{id}' does not exist or you do not have access to it.", param="model", code="model_not_found"
    )


@serves(Models.list)
def list_models(call: Call) -> Reply:
    """Every model, with those that came of fine-tuning at the end."""
    server = call.server
    tuned = [doc["id"] for doc in server.store.list(TUNED)]
    names = [*model_ids(server), *(name for name in tuned if server.store.get(DELETED, name) is None)]
    return {"object": "list", "data": [_described(server, name) for name in names]}


@serves(Models.retrieve)
def retrieve(call: Call) -> Reply:
    """One model. Raises `NotFoundError` for a name there is none of."""
    name = call.params["model"]
    if not _exists(call.server, name):
        raise _missing(name)
    return _described(call.server, name)


@serves(Models.delete)
def delete(call: Call) -> Reply:
    """Delete a fine-tuned model. Raises `PermissionDeniedError` for one of the API's own."""
    server, name = call.server, call.params["model"]
    if not _exists(server, name):
        raise _missing(name)
    if not name.startswith("ft:") and not server.conjures:
        raise PermissionDeniedError.because(
            "You have insufficient permissions for this operation: only fine-tuned models of your organization can "
            "be deleted."
        )
    server.store.delete(TUNED, name)
    server.store.put(DELETED, name, {"id": name})
    return {"id": name, "object": "model", "deleted": True}
