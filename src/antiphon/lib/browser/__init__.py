"""A browser of the caller's as functions of the model, in `ResponsesToolRunner` or in a loop of one's own.

    toolset = BrowserToolset(driver, confirm=lambda action: ask_me(action), url_policy=lambda action, url: ok(url))
    client.responses.create(model="gpt-5", input="…", tools=toolset.tools)
    output = toolset.execute(call)          # a ResponseFunctionToolCall; the item to send back

The driver has a method for each member it can do (`BROWSER_MEMBERS`). What changes a page is confirmed, and so is
where it leads; what a page says is data. The network is the driver's to fence in: here the first address is looked at,
not where it redirects to.

    types.py      what a driver is given, and gives
    members.py    what a model may do, and the arguments of it
    reports.py    what a driver reports, looked at and copied
    dispatch.py   one call, as a flow
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

from ...kernel.flow import World, arun, run
from .._toolset import Cancelled, CloseStatus, Gate
from .dispatch import Dispatch, offer_of
from .errors import BrowserCancelledError, BrowserError
from .members import BROWSER_MEMBERS, DEFAULT_BROWSER_MEMBERS
from .types import (
    AsyncBrowserClickDriver,
    AsyncBrowserDriver,
    AsyncBrowserNavigationDriver,
    AsyncBrowserReadDriver,
    AsyncBrowserScreenshotDriver,
    BrowserClickDriver,
    BrowserConfirmContext,
    BrowserDialogDismissed,
    BrowserDownload,
    BrowserDriver,
    BrowserFileInput,
    BrowserFileOutcome,
    BrowserNavigationDriver,
    BrowserNavigationRefused,
    BrowserObservationV1,
    BrowserPoint,
    BrowserReadConfirmContext,
    BrowserReadDriver,
    BrowserReadElement,
    BrowserReadOption,
    BrowserReadScope,
    BrowserReadV1,
    BrowserScopedReadV1,
    BrowserScreenshotDriver,
    BrowserState,
    BrowserStateChange,
    BrowserTab,
    BrowserTabChange,
    ClickAtInput,
    ClickInput,
    DragPathInput,
    FindInput,
    HoldKeysInput,
    HoverAtInput,
    KeyInput,
    NavigateInput,
    NewTabInput,
    ReadDiagnosticsInput,
    ReadPageInput,
    ReadPageScopedInput,
    RunScriptInput,
    ScrollInput,
    SelectOptionInput,
    SetCheckedInput,
    TabInput,
    TypeInput,
    WaitForInput,
    ZoomInput,
)

if TYPE_CHECKING:
    from ...types.responses import FunctionToolParam, ResponseFunctionToolCall
    from ...types.responses.response_input_param import FunctionCallOutput
    from ..tool_diagnostics import ToolDiagnosticObserver

__all__ = (
    "BROWSER_MEMBERS",
    "DEFAULT_BROWSER_MEMBERS",
    "AsyncBrowserClickDriver",
    "AsyncBrowserDriver",
    "AsyncBrowserNavigationDriver",
    "AsyncBrowserReadDriver",
    "AsyncBrowserScreenshotDriver",
    "AsyncBrowserToolset",
    "BrowserCancelledError",
    "BrowserClickDriver",
    "BrowserConfirmContext",
    "BrowserDialogDismissed",
    "BrowserDownload",
    "BrowserDriver",
    "BrowserError",
    "BrowserFileInput",
    "BrowserFileOutcome",
    "BrowserNavigationDriver",
    "BrowserNavigationRefused",
    "BrowserObservationV1",
    "BrowserPoint",
    "BrowserReadConfirmContext",
    "BrowserReadDriver",
    "BrowserReadElement",
    "BrowserReadOption",
    "BrowserReadScope",
    "BrowserReadV1",
    "BrowserScopedReadV1",
    "BrowserScreenshotDriver",
    "BrowserState",
    "BrowserStateChange",
    "BrowserTab",
    "BrowserTabChange",
    "BrowserToolset",
    "ClickAtInput",
    "ClickInput",
    "DragPathInput",
    "FindInput",
    "HoldKeysInput",
    "HoverAtInput",
    "KeyInput",
    "NavigateInput",
    "NewTabInput",
    "ReadDiagnosticsInput",
    "ReadPageInput",
    "ReadPageScopedInput",
    "RunScriptInput",
    "ScrollInput",
    "SelectOptionInput",
    "SetCheckedInput",
    "TabInput",
    "TypeInput",
    "WaitForInput",
    "ZoomInput",
)


class _Toolset:
    driver: Any
    confirm: Any
    url_policy: Any

    def __init__(
        self,
        driver: Any,
        members: Sequence[str] | None,
        additional_members: Sequence[str] | None,
        confirm_reads: Sequence[str] | None,
        confirm: Any,
        url_policy: Any,
        *,
        asynchronous: bool,
    ) -> None:
        self._offer = offer_of(
            driver,
            members,
            additional_members,
            confirm_reads,
            asynchronous=asynchronous,
            confirms=confirm is not None,
            steers=url_policy is not None,
        )
        self._gate = Gate("Browser toolset")
        self.driver, self.confirm, self.url_policy = driver, confirm, url_policy

    @property
    def tools(self) -> list[FunctionToolParam]:
        """The declarations of what is offered, for `tools=` of a request."""
        return self._offer.tools()

    def close(self) -> CloseStatus:
        """Let no more calls in. The driver stays open: it is the caller's, to be closed when this says `closed`."""
        return self._gate.close()


class BrowserToolset(_Toolset):
    """A browser as functions of the model, one call at a time. Nothing is opened or closed here.

    - `driver`: whose methods are looked up once, now.
    - `members`: what is offered of it; or `additional_members`, beside `DEFAULT_BROWSER_MEMBERS`.
    - `confirm`: asked before whatever changes something, and before the reads in `confirm_reads`, where it sees the
      arguments before anything is looked at. It approves with `True` alone.
    - `url_policy`: asked, with the address, before a tab is led somewhere.

    Raises `ValueError` for a member the driver has not, or of the other colour, or whose confirmation is missing.
    """

    driver: BrowserDriver

    @overload
    def __init__(
        self,
        driver: BrowserDriver,
        *,
        members: Sequence[str] | None = None,
        additional_members: Sequence[str] | None = None,
        confirm_reads: None = None,
        confirm: Callable[[BrowserConfirmContext], bool] | None = None,
        url_policy: Callable[[BrowserConfirmContext, str], bool] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        driver: BrowserDriver,
        *,
        members: Sequence[str] | None = None,
        additional_members: Sequence[str] | None = None,
        confirm_reads: Sequence[str],
        confirm: Callable[[BrowserConfirmContext | BrowserReadConfirmContext], bool],
        url_policy: Callable[[BrowserConfirmContext, str], bool] | None = None,
    ) -> None: ...
    def __init__(
        self,
        driver: BrowserDriver,
        *,
        members: Sequence[str] | None = None,
        additional_members: Sequence[str] | None = None,
        confirm_reads: Sequence[str] | None = None,
        confirm: Callable[[BrowserConfirmContext], bool]
        | Callable[[BrowserConfirmContext | BrowserReadConfirmContext], bool]
        | None = None,
        url_policy: Callable[[BrowserConfirmContext, str], bool] | None = None,
    ) -> None:
        super().__init__(driver, members, additional_members, confirm_reads, confirm, url_policy, asynchronous=False)

    def execute(
        self,
        call: ResponseFunctionToolCall,
        *,
        cancelled: Cancelled | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> FunctionCallOutput:
        """Carry out one call: the item to send back. What fails is told to the model, in it.

        Raises `BrowserError` for a function that is disabled, `BrowserCancelledError` where `cancelled` gives true,
        and `RuntimeError` where the driver reports something that is not as it should be.
        """
        output: FunctionCallOutput = self._execute(call, cancelled=cancelled, on_diagnostic=on_diagnostic)[0]
        return output

    def _execute(
        self,
        call: Any,
        *,
        skip: bool = False,
        cancelled: Cancelled | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> tuple[Any, bool]:
        """The output, and whether all went well. With `skip`, an output that says it was not carried out."""
        with self._gate.entered():
            dispatch = Dispatch(self, self._offer, call, cancelled, on_diagnostic)
            return run(dispatch.flow(skip=skip), World())


class AsyncBrowserToolset(_Toolset):
    """`BrowserToolset` over a driver of coroutine functions; whoever approves is one, too."""

    driver: AsyncBrowserDriver

    @overload
    def __init__(
        self,
        driver: AsyncBrowserDriver,
        *,
        members: Sequence[str] | None = None,
        additional_members: Sequence[str] | None = None,
        confirm_reads: None = None,
        confirm: Callable[[BrowserConfirmContext], Awaitable[bool]] | None = None,
        url_policy: Callable[[BrowserConfirmContext, str], Awaitable[bool]] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        driver: AsyncBrowserDriver,
        *,
        members: Sequence[str] | None = None,
        additional_members: Sequence[str] | None = None,
        confirm_reads: Sequence[str],
        confirm: Callable[[BrowserConfirmContext | BrowserReadConfirmContext], Awaitable[bool]],
        url_policy: Callable[[BrowserConfirmContext, str], Awaitable[bool]] | None = None,
    ) -> None: ...
    def __init__(
        self,
        driver: AsyncBrowserDriver,
        *,
        members: Sequence[str] | None = None,
        additional_members: Sequence[str] | None = None,
        confirm_reads: Sequence[str] | None = None,
        confirm: Callable[[BrowserConfirmContext], Awaitable[bool]]
        | Callable[[BrowserConfirmContext | BrowserReadConfirmContext], Awaitable[bool]]
        | None = None,
        url_policy: Callable[[BrowserConfirmContext, str], Awaitable[bool]] | None = None,
    ) -> None:
        super().__init__(driver, members, additional_members, confirm_reads, confirm, url_policy, asynchronous=True)

    async def execute(
        self,
        call: ResponseFunctionToolCall,
        *,
        cancelled: Cancelled | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> FunctionCallOutput:
        """See `BrowserToolset.execute`."""
        output: FunctionCallOutput = (await self._execute(call, cancelled=cancelled, on_diagnostic=on_diagnostic))[0]
        return output

    async def _execute(
        self,
        call: Any,
        *,
        skip: bool = False,
        cancelled: Cancelled | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> tuple[Any, bool]:
        """The output, and whether all went well. With `skip`, an output that says it was not carried out."""
        with self._gate.entered():
            dispatch = Dispatch(self, self._offer, call, cancelled, on_diagnostic)
            return await arun(dispatch.flow(skip=skip), World())
