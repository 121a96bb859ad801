"""`import antiphon`: light, complete, lazy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import antiphon
from antiphon.kernel import errors

ROOT = Path(__file__).parents[3]


def modules(code: str) -> set[str]:
    """The top-level modules an interpreter has loaded after some code, those it begins with apart."""
    script = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT / "src"
    )
    return set(result.stdout.split())


def test_importing_the_package_loads_only_the_standard_library() -> None:
    loaded = modules("import antiphon")
    assert {name.partition(".")[0] for name in loaded} - {"antiphon"} <= sys.stdlib_module_names
    assert {name for name in loaded if name.startswith("antiphon")} == {
        "antiphon",
        "antiphon.kernel",
        "antiphon.kernel.lazy",
        "antiphon.version",
    }
    assert not loaded & {"asyncio", "inspect", "logging", "json", "dataclasses", "urllib.parse", "email", "ssl"}


def test_making_a_client_loads_nothing_of_servers_nor_what_the_first_request_needs() -> None:
    loaded = modules("from antiphon import OpenAI\nOpenAI(api_key='k')")
    ours = {name for name in loaded if name.startswith("antiphon")}
    assert not {
        name for name in ours if name.split(".")[1:2] in (["server"], ["schema"], ["engines"], ["hosting"], ["fake"])
    }
    assert not {name for name in ours if name.startswith(("antiphon.types.", "antiphon.api."))}
    assert {name.partition(".")[0] for name in loaded} - {"antiphon"} <= sys.stdlib_module_names
    assert not loaded & {"asyncio", "inspect", "logging", "json", "ssl", "pyreqwest", "orjson"}


def test_a_call_in_process_loads_no_network() -> None:
    code = (
        "from antiphon import OpenAI\nfrom antiphon.kernel.http import json_response\n"
        "OpenAI(api_key='k', transport=lambda request: json_response(200, {'id': 'm'})).models.retrieve('m')"
    )
    loaded = modules(code)
    assert "orjson" in loaded
    assert not loaded & {"pyreqwest", "asyncio", "httpx2", "pydantic"}
    assert len({name for name in loaded if name.startswith("antiphon.types.")}) < 5


def test_every_name_is_there() -> None:
    for name in antiphon.__all__:
        assert getattr(antiphon, name) is not None, name
    assert set(antiphon.__all__) <= set(dir(antiphon))
    assert sorted(set(antiphon.__all__)) == sorted(antiphon.__all__)
    assert {name for name in errors.__all__ if name.endswith("Error")} <= set(antiphon.__all__)
    assert antiphon.types.chat.ChatCompletion.__name__ == "ChatCompletion"
    with pytest.raises(AttributeError, match="Nothing"):
        antiphon.Nothing  # type: ignore[attr-defined] # noqa: B018


def test_names_of_the_official_package_are_there() -> None:
    import openai

    kinds = {name for name in openai.__all__ if isinstance(getattr(openai, name), type)}
    errors_of_theirs = {name for name in kinds if issubclass(getattr(openai, name), Exception)}
    ours = {name for name in antiphon.__all__ if name in errors_of_theirs}
    assert errors_of_theirs == ours
    assert {"OpenAI", "AsyncOpenAI", "Stream", "AsyncStream", "Timeout", "NotGiven", "Omit"} <= kinds & set(
        antiphon.__all__
    )
