"""The plugin of pytest. It is loaded with every run, so it imports nothing but pytest until a fixture is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from ..client import AsyncOpenAI, OpenAI
    from ..fake import FakeOpenAI
    from .interception import Interception
    from .shared import ServerOfTest

__all__: tuple[str, ...] = ()

pytest_plugins = ("antiphon.testing.recording",)

MARKER: Final = "fake_openai"
_OURS: Final = ("hosts", "allow", "intercept", "guard")
"""Options of the marker that are the interception's; the others are those of `FakeOpenAI`."""

_interception: Final = pytest.StashKey["Interception"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.addini
    add("fake_openai_engine", "What models say in every test: default, lorem, echo or reverse", default="default")
    add("fake_openai_seed", "What decides what is made up", default="0")
    add("fake_openai_models", "The models that exist (default: any)", type="linelist", default=[])
    add("fake_openai_rules", "Files of rules that hold in every test", type="paths", default=[])
    add("fake_openai_strict", "Whether what no rule answers is an error", type="bool", default=False)
    add("fake_openai_hosts", "More hosts whose requests the fake answers", type="linelist", default=[])
    add("fake_openai_allow", "Hosts that tests may reach for real", type="linelist", default=[])
    add("fake_openai_intercept", "Whether requests to OpenAI's hosts are answered", type="bool", default=True)
    add("fake_openai_guard", "Whether requests to other hosts fail the test", type="bool", default=True)
    add("fake_openai_autouse", "Whether every test has a fake, asked for or not", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "fake_openai(engine=…, **options): how the fake of a test is made, in the options of FakeOpenAI, and hosts=, "
        "allow=, intercept=, guard=; a test with the marker has a fake",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is None or MARKER in names:
        return
    if "cassette" in names or item.get_closest_marker("cassette") is not None:
        return  # what a host has answered takes the place of the fake
    if item.get_closest_marker(MARKER) is not None or item.config.getini("fake_openai_autouse"):
        names.insert(0, MARKER)


@pytest.fixture
def fake_openai(request: pytest.FixtureRequest) -> Iterator[FakeOpenAI]:
    """A fake OpenAI, new for each test, that answers what this process sends to OpenAI.

    The environment points at it (`OPENAI_BASE_URL`, `OPENAI_API_KEY`, Azure's); `@pytest.mark.fake_openai(...)` says
    how it is made. A request to another host fails the test.
    """
    from ..fake import FakeOpenAI
    from .environment import environment, pointing_at
    from .interception import ORIGIN, Interception

    options = _options(request.node)
    ours = {name: options.pop(name) for name in _OURS if name in options}
    try:
        fake = FakeOpenAI(**options)
        interception = Interception(fake, **ours)
    except (TypeError, ValueError, OSError, ImportError) as error:
        why = f"The options of the fake OpenAI cannot be used: {error}"
        raise pytest.fail.Exception(why, pytrace=False) from None
    stash = request.node.stash
    with environment(pointing_at(ORIGIN, "sk-fake")), interception:
        stash[_interception] = interception
        yield fake
    del stash[_interception]
    _complain(interception)


@pytest.fixture
def openai_client(fake_openai: FakeOpenAI) -> Iterator[OpenAI]:
    """Antiphon's client of `fake_openai`, wired in process."""
    client = fake_openai.client()
    yield client
    client.close()


@pytest.fixture
def async_openai_client(fake_openai: FakeOpenAI) -> AsyncOpenAI:
    """Antiphon's async client of `fake_openai`, wired in process."""
    return fake_openai.async_client()


@pytest.fixture(scope="session")
def _fake_openai_shared() -> Iterator[tuple[Any, Any]]:
    from ..hosting.run import serve_in_background
    from .shared import Shared

    shared = Shared()
    with serve_in_background(shared) as running:
        yield shared, running


@pytest.fixture
def fake_openai_server(fake_openai: FakeOpenAI, _fake_openai_shared: tuple[Any, Any]) -> Iterator[ServerOfTest]:
    """`fake_openai` on a port, for other processes and other languages.

    The server is the session's; the test's own key leads to the test's own fake. The environment has both.
    """
    from .environment import environment
    from .shared import ServerOfTest

    shared, running = _fake_openai_shared
    with ExitStack() as stack:
        key = stack.enter_context(shared.lent(fake_openai))
        server = ServerOfTest(running, fake_openai, key)
        stack.enter_context(environment(server.environ))
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test out of which a request escaped has failed, whatever became of the error."""
    __tracebackhide__ = True
    try:
        yield
    except BaseException as error:
        interception = item.stash.get(_interception, None)
        if interception is not None and interception.escapes:
            from .interception import EscapedRequest

            _complain(interception, None if isinstance(error, EscapedRequest) else error)
        raise
    interception = item.stash.get(_interception, None)
    if interception is not None:
        _complain(interception)


def _complain(interception: Interception, cause: BaseException | None = None) -> None:
    """Fail where requests escaped; each is complained about once."""
    escapes = interception.escapes[:]
    interception.escapes.clear()
    if escapes:
        more = f"\n\n({len(escapes) - 1} more requests of this test did the same.)" if len(escapes) > 1 else ""
        raise pytest.fail.Exception(f"{escapes[0]}{more}", pytrace=False) from cause


def _options(node: Any) -> dict[str, Any]:
    """What the configuration says, then the markers, those of a module before those of a test."""
    ini = node.config.getini
    options: dict[str, Any] = {
        "engine": ini("fake_openai_engine"),
        "seed": ini("fake_openai_seed"),
        "strict": ini("fake_openai_strict"),
        "hosts": ini("fake_openai_hosts"),
        "allow": ini("fake_openai_allow"),
        "intercept": ini("fake_openai_intercept"),
        "guard": ini("fake_openai_guard"),
    }
    with suppress(ValueError):
        options["seed"] = int(options["seed"])
    if ini("fake_openai_models"):
        options["models"] = ini("fake_openai_models")
    if ini("fake_openai_rules"):
        options["rules"] = ini("fake_openai_rules")
    for marker in reversed(list(node.iter_markers(MARKER))):
        if len(marker.args) > 1:
            pytest.fail("@pytest.mark.fake_openai takes one engine, and everything else by name", pytrace=False)
        options.update(marker.kwargs)
        if marker.args:
            options["engine"] = marker.args[0]
    if isinstance(options.get("rules"), (str, PathLike)) and "://" not in str(options["rules"]):
        options["rules"] = node.path.parent / options["rules"]  # a file beside the test
    return options
