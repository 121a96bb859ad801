"""A loop of decisions and actions: the model chooses among actions of yours, until it says that it is done.

    runner = DecisionsToolRunner(observe=read_the_page, candidates=possible_actions, verify=is_it_booked)
    result = runner.run(client, {"model": "gpt-5", "input": "Book the cheapest room."})

Choosing is not permission: whatever an action needs to be allowed, it asks for itself. The guide is docs/tools.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from copy import deepcopy
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Required, TypeAlias, TypedDict

from ..kernel.flow import Flow, World, arun, run
from ._runners.request import rotated_idempotency_headers
from ._runners.shapes import JSON, each, flag, number, one_of, record, text, whole
from ._runners.steps import Ask, WrongColour, with_cancelled
from ._toolset import CloseStatus, Gate
from .tool_diagnostics import ToolDiagnosticObserver, tell

if TYPE_CHECKING:
    from ..client.client import AsyncOpenAI, OpenAI
    from ..types.decision import Decision
    from ..types.decision_input_image_param import DecisionInputImageParam
    from ..types.decision_input_text_param import DecisionInputTextParam

    DecisionObservation: TypeAlias = str | Iterable[DecisionInputTextParam | DecisionInputImageParam]
    """How things are: text, or texts and images."""
else:
    DecisionObservation = object

__all__ = (
    "AsyncDecisionActionCandidate",
    "AsyncDecisionCandidate",
    "AsyncDecisionsToolRunner",
    "DecisionActionCandidate",
    "DecisionCandidate",
    "DecisionDoneCandidate",
    "DecisionObservation",
    "DecisionsRunResult",
    "DecisionsRunnerParams",
    "DecisionsToolRunner",
    "DecisionsToolRunnerCancelledError",
    "DecisionsToolRunnerError",
)


class DecisionActionCandidate(TypedDict, total=False):
    """Something that can be done now: what the model is told of it, and the function that does it."""

    id: Required[str]
    description: Required[str]
    execute: Required[Callable[[], object]]
    done: Literal[False]


class AsyncDecisionActionCandidate(TypedDict, total=False):
    """`DecisionActionCandidate` whose `execute` is a coroutine function."""

    id: Required[str]
    description: Required[str]
    execute: Required[Callable[[], Awaitable[object]]]
    done: Literal[False]


class DecisionDoneCandidate(TypedDict):
    """The choice that ends the run. There is one among the candidates."""

    id: str
    description: str
    done: Literal[True]


DecisionCandidate: TypeAlias = DecisionActionCandidate | DecisionDoneCandidate
AsyncDecisionCandidate: TypeAlias = AsyncDecisionActionCandidate | DecisionDoneCandidate


class DecisionsRunnerParams(TypedDict, total=False):
    """The task, and the model that decides."""

    model: Required[str]
    input: Required[str]
    safety_identifier: str | None


class DecisionsRunResult(TypedDict):
    """How a run ended: `verified` by your own function, `unverified` where there is none, `refused` by the model."""

    status: Literal["verified", "unverified", "refused"]
    decisions: list[Decision]
    attempted_candidate_ids: list[str]
    completed_candidate_ids: list[str]


Reason: TypeAlias = Literal[
    "invalid_params",
    "invalid_candidates",
    "invalid_answer",
    "async_executor",
    "invalid_verification",
    "verification_failed",
    "step_limit",
    "failed",
    "cancelled",
]
_WORDS: dict[Reason, str] = {
    "invalid_params": "A run of decisions takes a model, a task as `input`, and supported run options.",
    "invalid_candidates": (
        "Candidates are a list of 1 to 255: each with its own id and a description, one of them `done`, "
        "the others with a function that does them."
    ),
    "invalid_answer": "The decision is none among the candidates.",
    "async_executor": "An action gave something to await: use AsyncDecisionsToolRunner.",
    "invalid_verification": "`verify` gives True or False, and gave something else.",
    "verification_failed": "What was done does not hold, and there is nothing left to do.",
    "step_limit": "The run has taken max_steps steps and is not done.",
    "failed": "The run of decisions was stopped by an error before it was done.",
    "cancelled": "The run of decisions was cancelled.",
}


class DecisionsToolRunnerError(RuntimeError):
    """A run stopped before it was done. It tells of actions by their ids alone, never of what was seen.

    An action that was attempted may have had its effect, or a part of it, even where it is not among the completed.
    """

    reason: Reason

    def __init__(self, reason: Reason, attempted: list[str], completed: list[str]) -> None:
        super().__init__(_WORDS[reason])
        self.reason = reason
        self.attempted_candidate_ids = tuple(attempted)
        self.completed_candidate_ids = tuple(completed)


class DecisionsToolRunnerCancelledError(asyncio.CancelledError):
    """The task of a run was cancelled; the ids are those of `DecisionsToolRunnerError`."""

    reason: Literal["cancelled"] = "cancelled"

    def __init__(self, attempted: list[str], completed: list[str]) -> None:
        super().__init__(_WORDS["cancelled"])
        self.attempted_candidate_ids = tuple(attempted)
        self.completed_candidate_ids = tuple(completed)


class _Candidate(NamedTuple):
    id: str
    description: str
    execute: Callable[[], Any] | None
    """`None` for the one that ends the run."""


_NAME = "next_action"
_MOST = 255
_PARTS = {
    "input_text": record({"text": text}),
    "input_image": record({"image_url": text}, {"detail": one_of(None, "low", "high", "auto", "original")}),
}
_DECIDED = record(
    {
        "model": text,
        "answers": lambda answers: type(answers) is list and len(answers) == 1,
        "usage": record(
            {
                "input_tokens": whole,
                "output_tokens": whole,
                "total_tokens": whole,
                "input_tokens_details": record({"cache_write_tokens": whole, "cached_tokens": whole}),
                "output_tokens_details": record({"reasoning_tokens": whole}),
            }
        ),
    }
)
_NAMED = record({"name": one_of(_NAME), "type": text})
_CHOSEN = record(
    {
        "type": one_of("choice"),
        "choice": text,
        "confidence": number,
        "probabilities": each(
            record({"value": lambda value: text(value) or flag(value), "probability": number}),
        ),
    }
)


class _Decisions:
    """One run, as a flow."""

    def __init__(
        self,
        runner: _Runner,
        client: Any,
        params: Any,
        max_steps: Any,
        cancelled: Callable[[], bool] | None,
        observer: ToolDiagnosticObserver | None,
    ) -> None:
        self.attempted: list[str] = []
        self.completed: list[str] = []
        self.decisions: list[Decision] = []
        self.last_error: DecisionsToolRunnerError | None = None
        self.client, self.cancelled, self.observer = client, cancelled, observer
        self.observe, self.candidates, self.verify = runner.observe, runner.candidates, runner.verify
        self.max_steps: int = max_steps
        if type(max_steps) is not int or max_steps < 1 or not _asks(params):
            raise self.error("invalid_params")
        self.params = dict(params)

    def error(self, reason: Reason) -> DecisionsToolRunnerError:
        self.last_error = DecisionsToolRunnerError(reason, self.attempted, self.completed)
        return self.last_error

    def check(self) -> None:
        if self.cancelled is not None and self.cancelled():
            raise self.error("cancelled")

    def result(self, status: Literal["verified", "unverified", "refused"]) -> DecisionsRunResult:
        self.check()
        return {
            "status": status,
            "decisions": list(self.decisions),
            "attempted_candidate_ids": list(self.attempted),
            "completed_candidate_ids": list(self.completed),
        }

    def flow(self) -> Flow[DecisionsRunResult]:
        try:
            return (yield from self._steps())
        except DecisionsToolRunnerError as error:
            if error is not self.last_error:  # of another run, inside a function of this one
                raise self.error("failed") from None
            if error.reason == "step_limit":
                self._diagnose("run", "step_limit", monotonic())
            raise
        except asyncio.CancelledError:
            raise DecisionsToolRunnerCancelledError(self.attempted, self.completed) from None
        except Exception:
            raise self.error("failed") from None

    def _steps(self) -> Flow[DecisionsRunResult]:
        for step in range(self.max_steps):
            self.check()
            seen = yield from self._observed()
            listed = yield Ask(partial(self.candidates, deepcopy(seen)))
            candidates = self._candidates(listed)
            alone = len(candidates) == 1
            chosen = candidates[0] if alone else (yield from self._decided(seen, candidates, step))
            self._diagnose(
                "selection", "refused" if chosen is None else "completed", monotonic(), chosen.id if chosen else None
            )
            if chosen is None:
                return self.result("refused")
            last = step == self.max_steps - 1
            if chosen.execute is not None:
                if last:
                    break
                yield from self._done(chosen)
            elif self.verify is None:
                return self.result("unverified")
            elif (yield from self._verified(chosen)):
                return self.result("verified")
            elif alone:
                raise self.error("verification_failed")
            elif last:
                break
        raise self.error("step_limit")

    def _observed(self) -> Flow[Any]:
        observation = yield Ask(self.observe)
        seen = observation if isinstance(observation, str) else deepcopy(list(observation))
        for part in () if isinstance(seen, str) else seen:
            kind: Any = part.get("type") if isinstance(part, dict) else None
            fits = _PARTS.get(kind)
            if fits is None or not fits(dict(part)):
                raise self.error("failed")
        self.check()
        return seen

    def _candidates(self, listed: Any) -> list[_Candidate]:
        if not isinstance(listed, list) or not 1 <= list.__len__(listed) <= _MOST:
            raise self.error("invalid_candidates")
        # As they are in the list, whatever a class of the caller's makes of them.
        candidates = [_candidate(list.__getitem__(listed, place)) for place in range(list.__len__(listed))]
        known = [candidate for candidate in candidates if candidate is not None]
        if (
            len(known) != len(candidates)
            or len({candidate.id for candidate in known}) != len(known)
            or sum(candidate.execute is None for candidate in known) != 1
        ):
            raise self.error("invalid_candidates")
        self.check()
        return known

    def _decided(self, seen: Any, candidates: list[_Candidate], step: int) -> Flow[_Candidate | None]:
        request: JSON = {
            **self.params,
            "input": [{"role": "user", "content": self.params["input"]}, {"role": "user", "content": seen}],
            "questions": [
                {
                    "type": "choice",
                    "name": _NAME,
                    "instructions": (
                        "Which of these actions brings the task forward the most from here? "
                        "Choose the one that ends it if the task has been done."
                    ),
                    "choices": [{"value": each.id, "description": each.description} for each in candidates],
                }
            ],
        }
        if step > 0:
            headers = rotated_idempotency_headers(self.client, None)
            if headers is not None:
                request["extra_headers"] = headers
        started = monotonic()
        try:
            decision = yield Ask(partial(self.client.decisions.create, **request))
        except Exception:
            self._diagnose("request", "api_failed", started)
            raise
        own = decision.model_copy(deep=True)
        self.check()
        data, usage = own._data, own.usage
        if not _DECIDED(data) or not _NAMED(data["answers"][0]):
            raise self.error("invalid_answer")
        self.decisions.append(own)
        answer = data["answers"][0]
        chosen: _Candidate | None = None
        if answer["type"] != "refusal":
            chosen = next((each for each in candidates if _CHOSEN(answer) and each.id == answer["choice"]), None)
            if chosen is None:
                raise self.error("invalid_answer")
        self._diagnose("request", "completed", started, usage=usage)
        self.check()
        return chosen

    def _verified(self, chosen: _Candidate) -> Flow[bool]:
        assert self.verify is not None
        self.check()
        seen = yield from self._observed()
        started = monotonic()
        holds = yield Ask(partial(self.verify, deepcopy(seen)))
        self._diagnose("verification", "completed" if holds is True else "refused", started, chosen.id)
        self.check()
        if type(holds) is not bool:
            raise self.error("invalid_verification")
        return holds

    def _done(self, chosen: _Candidate) -> Flow[None]:
        assert chosen.execute is not None
        self.check()
        self.attempted.append(chosen.id)
        started = monotonic()
        try:
            yield Ask(partial(chosen.execute, **with_cancelled(chosen.execute, (), self.cancelled)))
        except (Exception, asyncio.CancelledError) as error:
            self._diagnose("action", "driver_failed", started, chosen.id)
            if isinstance(error, WrongColour):
                raise self.error("async_executor") from None
            raise
        self._diagnose("action", "completed", started, chosen.id)
        self.completed.append(chosen.id)
        self.check()

    def _diagnose(
        self, stage: Any, reason: Any, started: float, call_id: str | None = None, usage: object = None
    ) -> None:
        tell(self.observer, "decisions", stage, reason, started, call_id=call_id, usage=usage)


def _asks(params: Any) -> bool:
    return (
        isinstance(params, dict)
        and not params.keys() - {"model", "input", "safety_identifier"}
        and isinstance(params.get("model"), str)
        and isinstance(params.get("input"), str)
        and isinstance(params.get("safety_identifier"), (str, type(None)))
    )


def _candidate(value: Any) -> _Candidate | None:
    """A candidate as it is now; `None` for what is none."""
    if not isinstance(value, dict):
        return None
    fields = dict(dict.items(value))
    own, description, done = fields.get("id"), fields.get("description"), fields.get("done", False)
    execute = fields.get("execute")
    if (
        fields.keys() - {"id", "description", "done", "execute"}
        or not isinstance(own, str)
        or not own.strip()
        or not isinstance(description, str)
        or not description.strip()
        or type(done) is not bool
        or (done and "execute" in fields)
        or (not done and not callable(execute))
    ):
        return None
    return _Candidate(own, description, None if done else execute)


class _Runner:
    """What both runners are."""

    observe: Callable[[], Any]
    candidates: Callable[[Any], Any]
    verify: Callable[[Any], Any] | None

    def __init__(self, observe: Any, candidates: Any, verify: Any) -> None:
        self.observe = observe
        self.candidates = candidates
        self.verify = verify
        self._gate = Gate("Decisions runner")

    def close(self) -> CloseStatus:
        """Let no more runs begin. One that is under way goes on to its end."""
        return self._gate.close()

    def _flow(self, *given: Any) -> Flow[DecisionsRunResult]:
        with self._gate.entered():
            return (yield from _Decisions(self, *given).flow())


class DecisionsToolRunner(_Runner):
    """Looks, lets the model choose what to do, does it, and looks again.

    `observe` says how things are, as text or as texts and images. `candidates` says what can be done now: up to 255
    of it, one of them the choice that ends the run. `verify`, when it is chosen, looks at a fresh observation and says
    whether the task is done; where it is not, the run goes on. A runner has one run at a time.
    """

    def __init__(
        self,
        *,
        observe: Callable[[], DecisionObservation],
        candidates: Callable[[DecisionObservation], list[DecisionCandidate]],
        verify: Callable[[DecisionObservation], bool] | None = None,
    ) -> None:
        super().__init__(observe, candidates, verify)

    def run(
        self,
        client: OpenAI,
        params: DecisionsRunnerParams,
        *,
        max_steps: int = 20,
        cancelled: Callable[[], bool] | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> DecisionsRunResult:
        """Run until the model is done, or refuses. `max_steps` is how many times it chooses at most.

        An action is not begun in the last step, after which nobody would look. `cancelled` is asked between all
        steps. Raises `DecisionsToolRunnerError`, whose `reason` says why, with the ids of the actions so far.
        """
        return run(self._flow(client, params, max_steps, cancelled, on_diagnostic), World())


class AsyncDecisionsToolRunner(_Runner):
    """`DecisionsToolRunner` for an event loop: its functions may be coroutine functions."""

    def __init__(
        self,
        *,
        observe: Callable[[], Awaitable[DecisionObservation]],
        candidates: Callable[[DecisionObservation], Awaitable[list[AsyncDecisionCandidate]]],
        verify: Callable[[DecisionObservation], Awaitable[bool]] | None = None,
    ) -> None:
        super().__init__(observe, candidates, verify)

    async def run(
        self,
        client: AsyncOpenAI,
        params: DecisionsRunnerParams,
        *,
        max_steps: int = 20,
        cancelled: Callable[[], bool] | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> DecisionsRunResult:
        """See `DecisionsToolRunner.run`. Where the task is cancelled, `DecisionsToolRunnerCancelledError` is raised."""
        return await arun(self._flow(client, params, max_steps, cancelled, on_diagnostic), World())
