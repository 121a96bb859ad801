"""What checkers see of the runners of tools. Checked, not run."""

from __future__ import annotations

from typing import assert_type

from antiphon import AsyncOpenAI, FunctionTool, OpenAI, pydantic_responses_function_tool
from antiphon.lib.decisions_tool_runner import (
    AsyncDecisionCandidate,
    AsyncDecisionsToolRunner,
    DecisionCandidate,
    DecisionObservation,
    DecisionsRunResult,
    DecisionsToolRunner,
)
from antiphon.lib.responses_tool_runner import (
    AsyncRegisteredFunction,
    AsyncResponsesToolLedger,
    AsyncResponsesToolRunner,
    ContextBudgetDecision,
    ContextBudgetSnapshot,
    RegisteredFunction,
    ResponsesRunnerTurn,
    ResponsesToolCheckpoint,
    ResponsesToolLedger,
    ResponsesToolRunner,
)
from antiphon.lib.streaming.responses import ResponseStreamEvent
from antiphon.lib.tool_diagnostics import ToolDiagnostic
from antiphon.types.responses import Response
from antiphon.types.responses.function_tool_param import FunctionToolParam
from antiphon.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from antiphon.types.responses.response_output_item import McpApprovalRequest

TOOL: FunctionToolParam = {"type": "function", "name": "record", "strict": True, "parameters": {"type": "object"}}
PARAMS: ResponseCreateParamsNonStreaming = {"model": "gpt-5", "input": "go", "store": False}


class Booking:
    seats: int


def add(a: int, b: int = 0) -> int:
    return a + b


def record(arguments: dict[str, object]) -> str:
    return str(arguments)


async def arecord(arguments: dict[str, object]) -> str:
    return str(arguments)


def book(booking: Booking) -> str:
    return str(booking.seats)


def watch(event: ToolDiagnostic) -> None:
    assert_type(event["duration_ms"], float)


def show(event: ResponseStreamEvent[None]) -> None:
    if event.type == "response.output_text.delta":
        assert_type(event.snapshot, str)


def approve(request: McpApprovalRequest) -> bool:
    return request.name == "read"


def save(checkpoint: ResponsesToolCheckpoint) -> None:
    assert_type(checkpoint["returned_call_ids"], list[str])


async def asave(checkpoint: ResponsesToolCheckpoint) -> None:
    save(checkpoint)


def compact(snapshot: ContextBudgetSnapshot) -> ContextBudgetDecision:
    return {"drop_call_ids": snapshot["eligible_call_ids"]}


def responses(client: OpenAI) -> None:
    runner = ResponsesToolRunner(
        functions=[
            add,
            FunctionTool(add),
            RegisteredFunction(TOOL, record, independent=True),
            RegisteredFunction.from_tool(pydantic_responses_function_tool(Booking), execute=book),
            RegisteredFunction.from_function(add, name="sum"),
        ],
        early_execution={"functions": ["add"]},
    )
    response = runner.run(
        client,
        PARAMS,
        stream=True,
        eager=True,
        on_event=show,
        approve_mcp=approve,
        ledger=ResponsesToolLedger("run", save),
        context_budget={"max_input_bytes": 1000, "max_input_images": 1, "compact": compact},
        on_diagnostic=watch,
    )
    assert_type(response, Response)
    for turn in runner.iterate(client, PARAMS, max_steps=3):
        assert_type(turn, ResponsesRunnerTurn)
        assert_type(turn.response, Response)
        assert_type(turn.completed_call_ids, tuple[str, ...])
        turn.supply_outputs([{"type": "function_call_output", "call_id": "c", "output": "said"}])
        turn.append_user_text("more")
    assert_type(runner.close()["status"] == "closed", bool)


async def aresponses(client: AsyncOpenAI) -> None:
    runner = AsyncResponsesToolRunner(functions=[add, AsyncRegisteredFunction(TOOL, arecord)])
    assert_type(await runner.run(client, PARAMS, ledger=AsyncResponsesToolLedger("run", asave)), Response)
    async for turn in runner.iterate(client, PARAMS):
        assert_type(turn, ResponsesRunnerTurn)


def decisions(client: OpenAI) -> None:
    def candidates(seen: DecisionObservation) -> list[DecisionCandidate]:
        return [
            {"id": "go", "description": "Go.", "execute": lambda: None},
            {"id": "done", "description": "Done.", "done": True},
        ]

    runner = DecisionsToolRunner(observe=lambda: "here", candidates=candidates, verify=lambda seen: True)
    result = runner.run(client, {"model": "gpt-5", "input": "go"})
    assert_type(result, DecisionsRunResult)
    assert_type(result["attempted_candidate_ids"], list[str])


async def adecisions(client: AsyncOpenAI) -> None:
    async def observe() -> str:
        return "here"

    async def go() -> None:
        return None

    async def candidates(seen: DecisionObservation) -> list[AsyncDecisionCandidate]:
        return [
            {"id": "go", "description": "Go.", "execute": go},
            {"id": "done", "description": "Done.", "done": True},
        ]

    result = await AsyncDecisionsToolRunner(observe=observe, candidates=candidates).run(
        client, {"model": "gpt-5", "input": "go"}
    )
    assert_type(result, DecisionsRunResult)
