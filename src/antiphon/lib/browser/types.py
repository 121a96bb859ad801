"""What a driver of a browser is given, and what it gives."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, NotRequired, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    from ...types.responses.response_input_image_content_param import ResponseInputImageContentParam

# The state of a browser


class BrowserTab(TypedDict):
    """One tab; of all there are, one is active."""

    id: str
    title: str
    url: str
    active: bool


class BrowserTabChange(TypedDict):
    """A tab came, went, was chosen or led elsewhere."""

    type: Literal["tab_opened", "tab_closed", "tab_switched", "navigation"]
    sequence: int
    tab_id: str


class BrowserNavigationRefused(TypedDict):
    """A page wanted to lead somewhere, and the driver did not let it."""

    type: Literal["navigation_refused"]
    sequence: int
    tab_id: str | None
    reason: Literal["policy", "unsupported"]


class BrowserDialogDismissed(TypedDict):
    """A page opened a dialog, and the driver closed it."""

    type: Literal["dialog_dismissed"]
    sequence: int
    tab_id: str
    kind: Literal["alert", "confirm", "prompt", "beforeunload", "other"]


class BrowserDownload(TypedDict):
    """A download, and how far it came."""

    type: Literal["download"]
    sequence: int
    tab_id: str | None
    status: Literal["blocked", "started", "completed", "failed"]


BrowserStateChange: TypeAlias = BrowserTabChange | BrowserNavigationRefused | BrowserDialogDismissed | BrowserDownload


class BrowserObservationV1(TypedDict):
    """What happened in the browser, numbered from 1 on. The first `dropped_changes` of it are not listed any more."""

    version: Literal[1]
    sequence: int
    """The number of the last change."""
    dropped_changes: int
    title_truncated: bool
    """Whether a title was cut."""
    changes: list[BrowserStateChange]


class BrowserState(TypedDict):
    """The tabs, and what happened where the driver keeps track of it. The model sees origins, not whole addresses."""

    tabs: list[BrowserTab]
    observation: NotRequired[BrowserObservationV1]


# What is read


class BrowserReadOption(TypedDict):
    """A choice of a control."""

    label: str
    value: str
    selected: NotRequired[bool]


ReadRole: TypeAlias = Literal["button", "textbox", "combobox", "checkbox", "radio", "slider", "listbox"]


class BrowserReadElement(TypedDict):
    """A control that may be acted on, by its `ref`."""

    ref: str
    role: ReadRole
    label: str
    value: NotRequired[str]
    options: NotRequired[list[BrowserReadOption]]
    checked: NotRequired[bool]


ReadOmission: TypeAlias = Literal[
    "report_limit",
    "text_limit",
    "target_limit",
    "work_limit",
    "frame_limit",
    "unsupported_root",
    "unsupported_control",
    "remote_action",
    "private",
    "value",
    "name_limit",
]


class BrowserReadV1(TypedDict):
    """A page as text and controls, and why something of it is missing."""

    version: Literal[1]
    text: str
    elements: list[BrowserReadElement]
    omitted: list[ReadOmission]


class BrowserReadScope(TypedDict):
    """A region of a page that may be read by itself, and not acted on."""

    ref: str
    label: str


class BrowserScopedReadV1(BrowserReadV1):
    """`BrowserReadV1` with the regions there are."""

    scopes: list[BrowserReadScope]


# Files


class _FileOutcome(TypedDict):
    version: Literal[1]
    cleanup: Literal["not_started", "pending", "completed"]


class _FileCompleted(_FileOutcome):
    status: Literal["completed"]
    effect: Literal["completed"]


class _FileRefused(_FileOutcome):
    status: Literal["refused"]
    effect: Literal["none"]


class _FileUnknown(_FileOutcome):
    status: Literal["unknown"]
    effect: Literal["unknown"]


class _FileInterrupted(_FileOutcome):
    status: Literal["interrupted"]
    effect: Literal["none", "unknown"]


BrowserFileOutcome: TypeAlias = _FileCompleted | _FileRefused | _FileUnknown | _FileInterrupted
"""How the transfer of a file ended; what the page does with the file is another matter."""

# Actions

Modifier: TypeAlias = Literal["Control", "Alt", "Meta", "Shift"]


class BrowserFileInput(TypedDict):
    """A file the caller has allowed to be transferred, by what the caller gave out for it."""

    grant_id: str


class TabInput(TypedDict):
    """A tab; `None` for the active one."""

    tab_id: str | None


class ZoomInput(TabInput):
    """A part of the screenshot, in its pixels: left, top, right, bottom."""

    region: list[int]


class NavigateInput(TabInput):
    url: str


class ReadPageInput(TabInput):
    filter: Literal["all", "interactive"]


class ReadPageScopedInput(ReadPageInput):
    root: str | None
    """A region, or `None` for what regions there are."""
    depth: int


class ReadDiagnosticsInput(TabInput):
    source: Literal["console", "network"]
    limit: int


class RunScriptInput(TabInput):
    source: str
    timeout_ms: int


class FindInput(TabInput):
    query: str


class ClickInput(TabInput):
    target: str
    """The `ref` of an element."""


class BrowserPoint(TypedDict):
    """Pixels of the whole screenshot."""

    x: int
    y: int


class ClickAtInput(TabInput):
    x: int
    y: int
    button: Literal["left", "right", "middle"]
    click_count: Literal[1, 2, 3]
    keys: list[Modifier]


class HoverAtInput(TabInput):
    x: int
    y: int


class SetCheckedInput(ClickInput):
    checked: bool


class DragPathInput(TabInput):
    path: list[BrowserPoint]
    keys: list[Modifier]


class HoldKeysInput(TabInput):
    keys: list[str]
    duration_ms: int


class TypeInput(TabInput):
    text: str
    target: str | None
    """The `ref` of a control, or `None` for wherever the focus is."""


class KeyInput(TabInput):
    keys: list[str]


class ScrollInput(TabInput):
    direction: Literal["up", "down", "left", "right"]
    amount: int


class WaitForInput(TabInput):
    text: str
    timeout_ms: int


class SelectOptionInput(ClickInput):
    values: list[str]


class NewTabInput(TypedDict):
    url: str | None


class BrowserConfirmContext(TypedDict):
    """What is to be approved: an action and its arguments. The state was looked at before, and may be another by then.

    Where an approval is to hold for one document, the driver looks whether it is still that.
    """

    member: str
    arguments: dict[str, object]
    state: BrowserState
    call_id: str


class BrowserReadConfirmContext(TypedDict):
    """What is to be approved before anything is read at all, the state included."""

    member: str
    arguments: dict[str, object]
    state: None
    call_id: str
    phase: Literal["before_read"]


# Drivers


class BrowserDriver(Protocol):
    """A browser of the caller's: its state, and a method for each member it can do (`BROWSER_MEMBERS`).

    A method is given its input as a dict. It gives text or nothing, unless the member has more to show; it raises
    `BrowserError` for what the model may be told, and anything else for what it may not.
    """

    def state(self) -> BrowserState: ...


class AsyncBrowserDriver(Protocol):
    """`BrowserDriver` whose methods are coroutine functions."""

    async def state(self) -> BrowserState: ...


class BrowserReadDriver(BrowserDriver, Protocol):
    @abstractmethod
    def read_page(self, action: ReadPageInput) -> str | BrowserReadV1 | None: ...


class AsyncBrowserReadDriver(AsyncBrowserDriver, Protocol):
    @abstractmethod
    async def read_page(self, action: ReadPageInput) -> str | BrowserReadV1 | None: ...


class BrowserNavigationDriver(BrowserDriver, Protocol):
    @abstractmethod
    def navigate(self, action: NavigateInput) -> None: ...


class AsyncBrowserNavigationDriver(AsyncBrowserDriver, Protocol):
    @abstractmethod
    async def navigate(self, action: NavigateInput) -> None: ...


class BrowserClickDriver(BrowserDriver, Protocol):
    @abstractmethod
    def click(self, action: ClickInput) -> None: ...


class AsyncBrowserClickDriver(AsyncBrowserDriver, Protocol):
    @abstractmethod
    async def click(self, action: ClickInput) -> None: ...


class BrowserScreenshotDriver(BrowserDriver, Protocol):
    @abstractmethod
    def screenshot(self, action: TabInput) -> ResponseInputImageContentParam: ...


class AsyncBrowserScreenshotDriver(AsyncBrowserDriver, Protocol):
    @abstractmethod
    async def screenshot(self, action: TabInput) -> ResponseInputImageContentParam: ...
