"""Faults: what goes wrong, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...kernel.errors import NotFoundError
from ..faults import fault_of
from .operations import Call, listed, operation, refused

if TYPE_CHECKING:
    from ..faults import AtWork

__all__ = ()


def _told(fault: AtWork, number: int) -> dict[str, Any]:
    return {
        "object": "fault",
        "number": number,
        "text": str(fault),
        "fault": fault.fault.to_dict(),
        "strikes": fault.strikes,
    }


@operation("faults.list", "GET", "/faults", returns="a list of faults")
def faults_list(call: Call) -> Any:
    """What is set to go wrong, each with the number of requests it has struck."""
    return listed([_told(each, number) for number, each in enumerate(call.fake.faults, 1)])


@operation(
    "faults.add",
    "POST",
    "/faults",
    body={"description": "a fault as JSON, a list of them (one after the other), or a line that tells one"},
    example={"type": "status", "status": 503, "when": {"type": "once"}},
    returns="the fault",
    status=201,
)
def faults_add(call: Call) -> Any:
    """Have something go wrong from now on, besides what does already."""
    try:
        added = call.fake.faults.add(fault_of(call.body))
    except (TypeError, ValueError) as error:
        raise refused(str(error), code="invalid_fault") from None
    every = list(call.fake.faults)
    return _told(added, every.index(added) + 1 if added in every else len(every))


@operation("faults.clear", "DELETE", "/faults", returns="how many faults there were")
def faults_clear(call: Call) -> Any:
    """Have nothing go wrong any more."""
    count = len(call.fake.faults)
    call.fake.faults.clear()
    return {"deleted": count}


@operation("faults.remove", "DELETE", "/faults/{number}", returns="the fault")
def faults_remove(call: Call) -> Any:
    """Have one fault go wrong no more. Those behind it move up."""
    wanted = call.params["number"]
    for number, each in enumerate(call.fake.faults, 1):
        if str(number) == wanted:
            call.fake.faults.remove(each)
            return {**_told(each, number), "deleted": True}
    raise NotFoundError.because(f"There is no fault {wanted!r}.", param="number")
