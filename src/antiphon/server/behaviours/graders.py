"""Graders of fine-tuning: run on a sample, or only looked at.

API reference: https://platform.openai.com/docs/api-reference/graders
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...api.fine_tuning.alpha.graders import Graders
from ..behaviour import Call, serves
from ..graders import check, grade

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ..behaviour import Reply

__all__ = ("run",)


@serves(Graders.run)
def run(call: Call) -> Reply:
    """Grade what a model said. Raises `BadRequestError` for a grader that could not be carried out on anything."""
    grader = call.body["grader"]
    if not call.server.conjures:
        check(grader)
    return _graded(call)


def _graded(call: Call) -> Flow[dict[str, Any]]:
    grader = call.body["grader"]
    found = yield from grade(call.server, grader, call.body["model_sample"], call.body.get("item"))
    return found.answer(grader)


@serves(Graders.validate)
def validate(call: Call) -> Reply:
    """Look at a grader, and give it back. Raises `BadRequestError` for one that could not be carried out."""
    if not call.server.conjures:
        check(call.body["grader"])
    return {"grader": call.body["grader"]}
