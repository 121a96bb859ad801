"""The plugin's part for cassettes: a file beside each test, with what the model's host answered it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from ..fake.cassettes import Cassette

__all__: tuple[str, ...] = ()

MARKER: Final = "cassette"
_OURS: Final = ("hosts", "allow", "intercept", "guard")
"""Options of the marker that are the interception's; the others are those of `Cassette`."""

_MODES: Final = ("none", "once", "new", "all", "strict")
_LONGEST: Final = 120
"""Bytes of the name of a test that the name of its file has at the most."""

_cassette: Final = pytest.StashKey["Cassette"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("antiphon").addoption(
        "--antiphon-record",
        metavar="MODE",
        choices=_MODES,
        help="what becomes of cassettes: none plays them, once makes those that are not there, new adds what is not "
        "recorded, all records everything anew, strict plays each recording once (default: the option antiphon_record)",
    )
    add = parser.addini
    add("antiphon_record", "What becomes of cassettes: none, once, new, all or strict", default="none")
    add("antiphon_upstream", "What cassettes record (default: where requests are addressed to)", default="")
    add("antiphon_speed", "How fast recorded time passes again, 0 for not at all", default="0")
    add("antiphon_scrub", "Patterns of what is not to be recorded, besides keys and such", type="linelist", default=[])
    add("antiphon_ignore", "Places of bodies that do not matter for cassettes", type="linelist", default=[])
    add("antiphon_volatile", "Patterns of what is another each time", type="linelist", default=[])
    add(
        "antiphon_similarity",
        "How near what the user says last has to be to what is recorded (default: the same)",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "cassette(path=…, **options): what a model's host answered a test is recorded, and played again; options of "
        "antiphon.fake.cassettes.Cassette, and hosts=, allow=, intercept=, guard=",
    )
    if config.getini("antiphon_record") not in _MODES:
        raise pytest.UsageError(
            f"antiphon_record is one of {', '.join(_MODES)}, not {config.getini('antiphon_record')!r}"
        )


def pytest_itemcollected(item: pytest.Item) -> None:
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is not None and MARKER not in names and item.get_closest_marker(MARKER) is not None:
        names.insert(0, MARKER)


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """What a model's host answers this test: recorded in a file beside it, and played again.

    Requests of this process to OpenAI's and Azure's hosts go to the cassette. `--antiphon-record=once` makes it;
    without that nothing is sent. `@pytest.mark.cassette(...)` has options.
    """
    from ..fake.cassettes import Cassette, CassetteError
    from .environment import environment
    from .interception import Interception
    from .plugin import _complain as complain_of_escapes
    from .plugin import _interception

    if "fake_openai" in request.fixturenames:
        pytest.fail(
            "A test has a cassette or a fake, not both: each answers what is sent to OpenAI. A cassette of a fake is "
            "`Cassette(path, upstream=FakeOpenAI())`.",
            pytrace=False,
        )
    node = request.node
    options = _options(node)
    ours = {name: options.pop(name) for name in _OURS if name in options}
    ours["hosts"] = [*ours.get("hosts", ()), *_addressed()]
    path = _path_of(node, options.pop("path", None))
    try:
        cassette = Cassette(path, **options)
        interception = Interception(cassette, **ours)
    except (CassetteError, OSError) as error:
        pytest.fail(str(error), pytrace=False)
    except (TypeError, ValueError) as error:
        pytest.fail(f"The options of the cassette cannot be used: {error}", pytrace=False)
    node.stash[_cassette] = cassette
    # While something may be recorded, a key that is missing has to be missed.
    with environment({} if cassette.records else _keys()), interception:
        node.stash[_interception] = interception
        try:
            yield cassette
        finally:
            del node.stash[_interception], node.stash[_cassette]
            cassette.close()
    complain_of_escapes(interception)
    _complain(cassette)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test with a request that is not recorded has failed, whatever became of the error."""
    __tracebackhide__ = True
    cassette: Cassette | None = item.stash.get(_cassette, None)
    try:
        yield
    except BaseException as error:
        if cassette is not None:
            _complain(cassette, error, item.path)
        raise
    if cassette is not None:
        _complain(cassette)
        if cassette.mode == "strict":
            try:
                cassette.assert_all_played()
            except AssertionError as error:
                raise pytest.fail.Exception(str(error), pytrace=False) from None


def _complain(cassette: Cassette, cause: BaseException | None = None, test: Path | None = None) -> None:
    """Fail where requests were not recorded; each is complained about once."""
    misses = cassette.misses[:]
    cassette.misses.clear()
    if misses:
        more = f"\n\n({len(misses) - 1} more requests of this test are not there.)" if len(misses) > 1 else ""
        frames = [] if cause is None else extract_tb(cause.__traceback__)
        lines = [f"{each.filename}:{each.lineno}: {each.line}" for each in frames if each.filename == str(test)]
        where = f"\nIt was asked at {lines[-1]}" if lines else ""
        told = cause is not None and misses[0].message in str(cause)
        failure = pytest.fail.Exception(f"{misses[0].message}{where}{more}", pytrace=False)
        raise failure from None if told else cause


def _options(node: Any) -> dict[str, Any]:
    """What the configuration says, then the markers, those of a module before a test's, then the command line."""
    ini = node.config.getini
    options: dict[str, Any] = {
        "mode": ini("antiphon_record"),
        "scrub": ini("antiphon_scrub"),
        "ignore": ini("antiphon_ignore"),
        "volatile": ini("antiphon_volatile"),
        "hosts": ini("fake_openai_hosts"),
        "allow": ini("fake_openai_allow"),
        "intercept": ini("fake_openai_intercept"),
        "guard": ini("fake_openai_guard"),
    }
    for name in ("speed", "similarity"):
        told = ini(f"antiphon_{name}")
        try:
            options |= {name: float(told)} if told else {}
        except ValueError:
            pytest.fail(f"antiphon_{name} is a number, not {told!r}", pytrace=False)
    if ini("antiphon_upstream"):
        options["upstream"] = ini("antiphon_upstream")
    for marker in reversed(list(node.iter_markers(MARKER))):
        if len(marker.args) > 1:
            pytest.fail("@pytest.mark.cassette takes one path, and everything else by name", pytrace=False)
        options.update(marker.kwargs)
        if marker.args:
            options["path"] = marker.args[0]
    asked = node.config.getoption("--antiphon-record")
    if asked is not None:
        options["mode"] = asked
    return options


def _path_of(node: Any, given: Any) -> Path:
    """Where the cassette of a test is: `cassettes/test_module/test_name.yaml` beside its file, or where it was told."""
    test: Path = node.path
    beside = test.parent
    if given is not None:
        path: Path = beside / os.fspath(given)
        return path if path.suffix in (".yaml", ".yml") else Path(f"{path}.yaml")
    name = ".".join(part.name for part in node.listchain() if part.path == test and not isinstance(part, pytest.Module))
    safe = re.sub(r"[^\w.,=\[\]-]+", "-", name)
    begin = safe.encode()[:_LONGEST].decode(errors="ignore")
    if begin != name:
        safe = f"{begin}-{sha256(name.encode()).hexdigest()[:8]}"
    return beside / "cassettes" / test.stem / f"{safe}.yaml"


def _keys() -> dict[str, str]:
    """Keys for clients that want one, where there are none: what is played asks for none."""
    names = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY")
    return {name: "sk-of-a-recording" for name in names if not os.environ.get(name)}


def _addressed() -> list[str]:
    """Hosts that the environment leads clients to. Others than the model's may be at this machine's own."""
    from ..fake.door import host_of
    from .hosts import is_local

    hosts = [
        host_of(os.environ.get(name, "")) for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT")
    ]
    return [host for host in hosts if host and not is_local(host)]
