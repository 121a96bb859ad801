"""The laws of a run of tools: every call has one output, in order, and no more requests are made than allowed.

The official suite's own tests of runners run in `tests/conformance`. Here are what holds for any plan of a model, and
what ours does besides.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.lib.decisions_tool_runner import (
    AsyncDecisionsToolRunner,
    DecisionsToolRunner,
    DecisionsToolRunnerError,
)
from antiphon.lib.responses_tool_runner import (
    AsyncRegisteredFunction,
    AsyncResponsesToolRunner,
    RegisteredFunction,
    ResponsesToolLedger,
    ResponsesToolRunner,
    ToolRunnerCancelledError,
    ToolRunnerError,
)

PARAMS: Any = {"model": "gpt-5", "input": "go"}
Plan = list[list[str]]
plans = st.lists(st.lists(st.sampled_from(("one", "two")), min_size=1, max_size=4), max_size=4)


def declaration(name: str) -> Any:
    return {"type": "function", "name": name, "strict": False, "parameters": {"type": "object"}}


def follows(plan: Plan, asked: list[Any]) -> FakeOpenAI:
    """A model that makes the calls of each round, and then answers. What it was asked is kept."""

    def answer(request: Any) -> Any:
        asked.append(request.body)
        done = sum(item.get("type") == "function_call_output" for item in request.body["input"])
        for calls in plan:
            if done == 0:
                return [{"name": name, "arguments": {"n": index}} for index, name in enumerate(calls)]
            done -= len(calls)
        return "done"

    return FakeOpenAI(engine=answer)


def registered(called: list[str], independent: bool = False) -> list[RegisteredFunction]:
    def named(name: str) -> Callable[[dict[str, object]], str]:
        def execute(arguments: dict[str, object]) -> str:
            called.append(name)
            return f"{name} {arguments['n']}"

        return execute

    return [RegisteredFunction(declaration(name), named(name), independent=independent) for name in ("one", "two")]


def check_history(asked: list[Any], plan: Plan) -> None:
    """Every call has its one output, of its own kind, in the order of the calls."""
    history = asked[-1]["input"]
    calls = [item for item in history if item.get("type") == "function_call"]
    outputs = [item for item in history if item.get("type") == "function_call_output"]
    assert [item["name"] for item in calls] == [name for round in plan for name in round]
    assert [item["call_id"] for item in outputs] == [item["call_id"] for item in calls]
    assert len({item["call_id"] for item in calls}) == len(calls)
    said = [f"{name} {index}" for round in plan for index, name in enumerate(round)]
    assert [item["output"] for item in outputs] == said
    at = 1
    for round in plan:
        kinds = [item.get("type") for item in history[at : at + 2 * len(round)]]
        assert kinds == ["function_call"] * len(round) + ["function_call_output"] * len(round)
        at += 2 * len(round)


@settings(deadline=None, max_examples=50)
@given(plan=plans, stream=st.booleans(), eager=st.booleans(), independent=st.booleans(), limit=st.integers(1, 3))
def test_every_call_has_one_output_in_order(
    plan: Plan, stream: bool, eager: bool, independent: bool, limit: int
) -> None:
    asked: list[Any] = []
    called: list[str] = []
    runner = ResponsesToolRunner(functions=registered(called, independent))
    eager = eager and stream
    turns = list(
        runner.iterate(follows(plan, asked).client(), PARAMS, stream=stream, eager=eager, max_concurrent_calls=limit)
    )
    assert [turn.step for turn in turns] == list(range(1, len(plan) + 2))
    assert [turn.final for turn in turns] == [False] * len(plan) + [True]
    assert turns[-1].response.output_text == "done"
    assert turns[-1].attempted_call_ids == turns[-1].completed_call_ids
    assert len(called) == len(turns[-1].completed_call_ids) == sum(map(len, plan))
    if not (eager and independent):
        assert called == [name for round in plan for name in round]
    check_history(asked, plan)


@settings(deadline=None, max_examples=50)
@given(plan=plans, stream=st.booleans(), eager=st.booleans())
def test_both_colours_do_the_same(plan: Plan, stream: bool, eager: bool) -> None:
    eager = eager and stream
    asked: list[Any] = []
    called: list[str] = []

    async def main() -> str:
        runner = AsyncResponsesToolRunner(functions=registered(called))
        async with follows(plan, asked).async_client() as client:
            return (await runner.run(client, PARAMS, stream=stream, eager=eager)).output_text

    assert asyncio.run(main()) == "done"
    assert called == [name for round in plan for name in round]
    check_history(asked, plan)


@settings(deadline=None, max_examples=50)
@given(plan=plans, allowed=st.integers(1, 5), stream=st.booleans())
def test_no_more_requests_than_allowed(plan: Plan, allowed: int, stream: bool) -> None:
    asked: list[Any] = []
    called: list[str] = []
    runner = ResponsesToolRunner(functions=registered(called))
    client = follows(plan, asked).client()
    if allowed > len(plan):
        runner.run(client, PARAMS, max_steps=allowed, stream=stream)
        assert len(asked) == len(plan) + 1
    else:
        with pytest.raises(ToolRunnerError, match="max_steps") as error:
            runner.run(client, PARAMS, max_steps=allowed, stream=stream)
        assert len(asked) == allowed
        # What the last response calls is not begun: nobody would hear of it.
        assert called == [name for round in plan[: allowed - 1] for name in round]
        assert len(error.value.completed_call_ids) == len(called)


@settings(deadline=None, max_examples=50)
@given(plan=plans.filter(bool), data=st.data())
def test_a_run_goes_on_from_any_boundary(plan: Plan, data: st.DataObject) -> None:
    asked: list[Any] = []
    saved: list[Any] = []
    fake = follows(plan, asked)
    functions = registered([])
    ResponsesToolRunner(functions=functions).run(fake.client(), PARAMS, ledger=ResponsesToolLedger("r", saved.append))
    assert [each["revision"] for each in saved] == list(range(1, len(saved) + 1))
    assert saved[-1]["phase"] == "final"
    json.dumps(saved, allow_nan=False)
    boundaries = [each for each in saved if each["phase"] == "boundary"]
    boundary = data.draw(st.sampled_from(boundaries))
    done = len(boundary["returned_call_ids"])
    called: list[str] = []
    again: list[Any] = []
    response = ResponsesToolRunner(functions=registered(called)).run(
        fake.client(), PARAMS, ledger=ResponsesToolLedger("r", again.append, boundary)
    )
    assert response.output_text == "done"
    # What was done is not done again, and what was not is.
    assert called == [name for round in plan for name in round][done:]
    assert again[-1]["returned_call_ids"][:done] == boundary["returned_call_ids"]
    pending = next(each for each in saved if each["phase"] == "pending")
    with pytest.raises(ValueError, match="completed boundary"):
        ResponsesToolRunner(functions=functions).run(
            fake.client(), PARAMS, ledger=ResponsesToolLedger("r", again.append, pending)
        )


@settings(deadline=None, max_examples=50)
@given(plan=plans.filter(bool), stops=st.integers(0, 6))
def test_an_error_ends_the_run_where_it_is(plan: Plan, stops: int) -> None:
    called: list[int] = []

    def execute(arguments: dict[str, object]) -> str:
        called.append(len(called))
        if len(called) == stops + 1:
            raise RuntimeError("secret")
        return "ok"

    names = ("one", "two")
    runner = ResponsesToolRunner(functions=[RegisteredFunction(declaration(name), execute) for name in names])
    client = follows(plan, []).client()
    if stops >= sum(map(len, plan)):
        assert runner.run(client, PARAMS).output_text == "done"
        return
    with pytest.raises(ToolRunnerError) as error:
        runner.run(client, PARAMS)
    assert "secret" not in str(error.value) and error.value.__cause__ is None
    assert len(error.value.attempted_call_ids) == stops + 1 == len(called)
    assert error.value.completed_call_ids == error.value.attempted_call_ids[:stops]


# Functions of either colour


def test_typed_functions_are_registered_as_they_are() -> None:
    def weather(city: str, days: int = 1) -> dict[str, Any]:
        """How the weather is."""
        return {"city": city, "days": days}

    async def tide(port: str) -> str:
        return f"high in {port}"

    asked: list[Any] = []

    def answer(request: Any) -> Any:
        asked.append(request.body)
        if request.answers_tool:
            return "done"
        return [{"name": "weather", "arguments": {"city": "Lisbon"}}, {"name": "tide", "arguments": {"port": "Faro"}}]

    fake = FakeOpenAI(engine=answer)
    ResponsesToolRunner(functions=[weather, tide]).run(fake.client(), PARAMS)
    assert [item["output"] for item in outputs_of(asked)] == ['{"city":"Lisbon","days":1}', "high in Faro"]
    assert asked[0]["tools"][0] == {
        "type": "function",
        "name": "weather",
        "description": "How the weather is.",
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
            "required": ["city"],
            "additionalProperties": False,
        },
    }

    async def main() -> None:
        async with fake.async_client() as client:
            await AsyncResponsesToolRunner(functions=[weather, tide]).run(client, PARAMS)

    asyncio.run(main())
    assert [item["output"] for item in outputs_of(asked)] == ['{"city":"Lisbon","days":1}', "high in Faro"]


def outputs_of(asked: list[Any]) -> Iterable[Any]:
    return (item for item in asked[-1]["input"] if item.get("type") == "function_call_output")


def test_a_blocking_function_does_not_block_the_loop() -> None:
    where: list[str] = []

    def blocks(arguments: dict[str, object]) -> str:
        where.append(threading.current_thread().name)
        return "ok"

    async def main() -> None:
        runner = AsyncResponsesToolRunner(functions=[RegisteredFunction(declaration("one"), blocks)])
        async with follows([["one"]], []).async_client() as client:
            await runner.run(client, PARAMS)

    asyncio.run(main())
    assert where != [threading.current_thread().name]


def test_an_async_function_in_a_blocking_run() -> None:
    async def execute(arguments: dict[str, object]) -> str:
        await asyncio.sleep(0)
        return "one 0"

    asked: list[Any] = []
    runner = ResponsesToolRunner(functions=[AsyncRegisteredFunction(declaration("one"), execute)])
    runner.run(follows([["one"]], asked).client(), PARAMS)
    check_history(asked, [["one"]])


def test_arguments_that_do_not_fit_end_the_run_before_anything_is_done() -> None:
    called: list[str] = []

    def add(a: int, b: int) -> int:
        called.append("add")
        return a + b

    def answer(request: Any) -> Any:
        return [{"name": "add", "arguments": {"a": 1, "b": 2}}, {"name": "add", "arguments": {"a": 1, "b": "two"}}]

    with pytest.raises(ToolRunnerError) as error:
        ResponsesToolRunner(functions=[add]).run(FakeOpenAI(engine=answer).client(), PARAMS)
    assert called == [] and error.value.attempted_call_ids == ()


# Leaving


def test_leaving_a_turn_leaves_its_tools() -> None:
    called: list[str] = []
    runner = ResponsesToolRunner(functions=registered(called))
    turns = runner.iterate(follows([["one"], ["two"]], []).client(), PARAMS)
    assert not next(turns).final
    with pytest.raises(RuntimeError, match="busy"):
        runner.run(follows([], []).client(), PARAMS)
    assert called == [] and runner.close() == {"status": "draining"}
    turns.close()
    assert called == [] and runner.close() == {"status": "closed"}
    with pytest.raises(RuntimeError, match="closed"):
        runner.run(follows([], []).client(), PARAMS)


def test_a_cancelled_task_waits_for_the_call_under_way() -> None:
    done: list[str] = []

    async def main() -> None:
        entered, release = asyncio.Event(), asyncio.Event()

        async def execute(arguments: dict[str, object]) -> str:
            entered.set()
            await release.wait()
            done.append("one")
            return "ok"

        function = AsyncRegisteredFunction(declaration("one"), execute, independent=True)
        runner = AsyncResponsesToolRunner(functions=[function])
        async with follows([["one"]], []).async_client() as client:
            task = asyncio.create_task(runner.run(client, PARAMS, stream=True, eager=True))
            await entered.wait()
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
            release.set()
            with pytest.raises(ToolRunnerCancelledError) as error:
                await task
        assert len(error.value.attempted_call_ids) == len(error.value.completed_call_ids) == 1

    asyncio.run(main())
    assert done == ["one"]


def test_a_runner_runs_again_and_again() -> None:
    called: list[str] = []

    async def main() -> None:
        runner = AsyncResponsesToolRunner(functions=registered(called))
        async with follows([["one"]], []).async_client() as client:
            for _ in range(3):
                await runner.run(client, PARAMS)
            assert runner.close() == {"status": "closed"}

    asyncio.run(main())
    runner = ResponsesToolRunner(functions=registered(called))
    turns = [runner.run(follows([["two"]], []).client(), PARAMS) for _ in range(3)]
    assert called == ["one"] * 3 + ["two"] * 3 and len(turns) == 3
    assert runner.close() == {"status": "closed"}


# Decisions


def deciding(choose: Callable[[str, list[str]], str | None]) -> FakeOpenAI:
    """A model that chooses; `None` to refuse."""
    from antiphon.kernel.http import Headers, Response

    def decided(request: Any) -> Response:
        body = json.loads(request.content())
        question = body["questions"][0]
        choice = choose(body["input"][-1]["content"], [each["value"] for each in question["choices"]])
        answer: dict[str, Any] = {"type": "refusal", "name": question["name"]}
        if choice is not None:
            answer = {"type": "choice", "name": question["name"], "choice": choice, "confidence": 1}
            answer["probabilities"] = []
        usage = {
            "input_tokens": 1,
            "output_tokens": 1,
            "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        data = json.dumps({"model": body["model"], "answers": [answer], "usage": usage}).encode()
        return Response(200, Headers.of([("content-type", "application/json")]), data)

    return FakeOpenAI(filters=[lambda handler: decided])


@settings(deadline=None, max_examples=50)
@given(goal=st.integers(0, 6), allowed=st.integers(1, 6))
def test_decisions_end_at_the_goal_or_at_the_limit(goal: int, allowed: int) -> None:
    steps: list[str] = []
    runner = DecisionsToolRunner(
        observe=lambda: str(len(steps)),
        candidates=lambda seen: [
            {"id": "done", "description": "stop", "done": True},
            {"id": "step", "description": "go on", "execute": lambda: steps.append("step")},
        ],
        verify=lambda seen: seen == str(goal),
    )
    client = deciding(lambda seen, choices: "done" if int(seen) >= goal else "step").client()
    if allowed > goal:
        result = runner.run(client, PARAMS, max_steps=allowed)
        assert result["status"] == "verified" and len(result["decisions"]) == goal + 1
        assert result["attempted_candidate_ids"] == result["completed_candidate_ids"] == steps == ["step"] * goal
    else:
        with pytest.raises(DecisionsToolRunnerError) as error:
            runner.run(client, PARAMS, max_steps=allowed)
        assert error.value.reason == "step_limit"
        assert steps == ["step"] * (allowed - 1) == list(error.value.completed_candidate_ids)


def test_a_refusal_is_a_result() -> None:
    runner = DecisionsToolRunner(
        observe=lambda: "it",
        candidates=lambda seen: [
            {"id": "done", "description": "stop", "done": True},
            {"id": "step", "description": "go on", "execute": lambda: None},
        ],
    )
    assert runner.run(deciding(lambda seen, choices: None).client(), PARAMS)["status"] == "refused"


def test_decisions_in_an_event_loop() -> None:
    steps: list[str] = []

    async def observe() -> str:
        return str(len(steps))

    async def step() -> None:
        steps.append("step")

    async def candidates(seen: Any) -> Any:
        return [{"id": "done", "description": "stop", "done": True}] + [
            {"id": "step", "description": "go on", "execute": step}
        ] * (not steps)

    async def verify(seen: Any) -> bool:
        return bool(seen == "1")

    async def main() -> Any:
        async with deciding(lambda seen, choices: "step").async_client() as client:
            runner = AsyncDecisionsToolRunner(observe=observe, candidates=candidates, verify=verify)
            return await runner.run(client, PARAMS)

    # In the second step only `done` is left: nothing is asked for that.
    result = asyncio.run(main())
    assert (result["status"], len(result["decisions"]), steps) == ("verified", 1, ["step"])


# The official package


@pytest.mark.parametrize("first", ["openai", "antiphon"])
def test_a_checkpoint_of_one_package_is_gone_on_from_in_the_other(first: str) -> None:
    import httpx2
    import openai
    import openai.lib.responses_tool_runner as theirs

    import antiphon
    import antiphon.lib.responses_tool_runner as ours

    packages: dict[str, tuple[Any, Any]] = {"openai": (openai.OpenAI, theirs), "antiphon": (antiphon.OpenAI, ours)}
    plan = [["one"], ["two", "one"]]
    server: Any = {
        "type": "mcp",
        "server_label": "desk",
        "server_url": "https://user:word@desk.test/mcp?team=a&access_token=b#c",
        "authorization": "secret",
        "require_approval": "never",
    }
    called: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = json.loads(request.content)["input"]
        done = sum(item.get("type") == "function_call_output" for item in asked)
        output: list[Any] = []
        for round, calls in enumerate(plan):
            if done == 0:
                output = [
                    {
                        "id": f"fc_{round}{index}",
                        "type": "function_call",
                        "call_id": f"c_{round}{index}",
                        "name": name,
                        "arguments": json.dumps({"n": index}),
                        "status": "completed",
                    }
                    for index, name in enumerate(calls)
                ]
                break
            done -= len(calls)
        if not output:
            text = {"type": "output_text", "text": "done", "annotations": list[Any]()}
            output = [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [text]}]
        body = {"id": "r", "object": "response", "created_at": 0, "model": "m", "status": "completed", "output": output}
        return httpx2.Response(200, json=body)

    def go(package: str, saved: list[Any], resume_from: Any = None) -> Any:
        client, module = packages[package]

        def execute(arguments: dict[str, object]) -> str:
            called.append(package)
            return "ok"

        runner = module.ResponsesToolRunner(
            functions=[module.RegisteredFunction(declaration(name), execute) for name in ("one", "two")]
        )
        transport = httpx2.Client(transport=httpx2.MockTransport(answer))
        with client(api_key="k", base_url="http://api.test/v1", http_client=transport) as made:
            ledger = module.ResponsesToolLedger("run", saved.append, resume_from)
            return runner.run(made, {**PARAMS, "tools": [server]}, ledger=ledger)

    other = "antiphon" if first == "openai" else "openai"
    saved: list[Any] = []
    own: list[Any] = []
    again: list[Any] = []
    assert go(first, saved).output_text == "done"
    go(other, own)
    assert own == saved
    boundary = next(each for each in saved if each["phase"] == "boundary" and each["returned_call_ids"])
    called.clear()
    assert go(other, again, json.loads(json.dumps(boundary))).output_text == "done"
    assert called == [other, other]
    assert again[-1]["returned_call_ids"] == saved[-1]["returned_call_ids"]
