"""What checkers see of clouds, computers and browsers. Checked, not run."""

from __future__ import annotations

from typing import assert_type

from antiphon import (
    AsyncBedrockOpenAI,
    AsyncComputerToolset,
    AsyncOpenAI,
    BedrockOpenAI,
    ComputerToolset,
    OpenAI,
)
from antiphon.lib.browser import (
    AsyncBrowserToolset,
    BrowserConfirmContext,
    BrowserReadConfirmContext,
    BrowserState,
    BrowserToolset,
    ClickInput,
)
from antiphon.lib.computer import ComputerActionInput, Screenshot
from antiphon.providers import bedrock, vertex
from antiphon.types.responses import Response, ResponseComputerToolCall, ResponseFunctionToolCall
from antiphon.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from antiphon.types.responses.response_input_param import FunctionCallOutput

PARAMS: ResponseCreateParamsNonStreaming = {"model": "gpt-5", "input": "go"}


async def token() -> str:
    return "t"


def clouds() -> None:
    client = OpenAI(provider=bedrock(region="us-east-1", api_key="t"))
    assert_type(client.with_options(provider=vertex(project="p", location="global")), OpenAI)
    assert_type(client.copy(provider=None, api_key="sk"), OpenAI)
    AsyncOpenAI(provider=bedrock(endpoint="runtime", region="us-east-1", token_provider=token))
    bedrock(endpoint="other")  # E
    OpenAI(provider="bedrock")  # E
    legacy = BedrockOpenAI(aws_region="us-east-1", aws_access_key_id="a", aws_secret_access_key="s")
    assert_type(legacy.copy(aws_region="eu-west-1"), BedrockOpenAI)
    assert_type(legacy.aws_region, str | None)
    assert_type(legacy.responses.create(model="m", input="x"), Response)
    AsyncBedrockOpenAI(bedrock_token_provider=token, aws_region="us-east-1")
    BedrockOpenAI(bedrock_token_provider=token, aws_region="us-east-1")  # E


class Desktop:
    def act(self, action: ComputerActionInput) -> None: ...

    click = double_click = drag = keypress = move = scroll = type = wait = act

    def screenshot(self) -> Screenshot:
        return {"type": "computer_screenshot", "image_url": "data:,"}


def approve(call: ResponseComputerToolCall) -> bool:
    return not call.pending_safety_checks


def look(action: ComputerActionInput) -> bool:
    return action.type != "type"


def computers(client: OpenAI) -> None:
    toolset = ComputerToolset(Desktop())
    assert_type(toolset.run(client, PARAMS, approve_safety_checks=approve, before_action=look), Response)
    AsyncComputerToolset(Desktop())  # E
    ComputerToolset(object())  # E


class Pages:
    def state(self) -> BrowserState:
        return {"tabs": []}

    def click(self, action: ClickInput) -> None: ...


class AsyncPages:
    async def state(self) -> BrowserState:
        return {"tabs": []}


def confirm(context: BrowserConfirmContext) -> bool:
    return context["member"] == "click"


def confirm_any(context: BrowserConfirmContext | BrowserReadConfirmContext) -> bool:
    return context["state"] is not None


async def browsers(call: ResponseFunctionToolCall) -> None:
    toolset = BrowserToolset(Pages(), confirm=confirm)
    assert_type(toolset.execute(call), FunctionCallOutput)
    BrowserToolset(Pages(), confirm_reads=["click"], confirm=confirm_any)
    BrowserToolset(Pages(), confirm_reads=["click"])  # E
    assert_type(await AsyncBrowserToolset(AsyncPages()).execute(call), FunctionCallOutput)
    AsyncBrowserToolset(Pages())  # E
