"""The generated operations as a client and a server meet them."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from antiphon.api import API, operations
from antiphon.api.beta.agents.automations import Automations
from antiphon.api.chat.completions import Completions
from antiphon.kernel.binary import HttpxBinaryResponseContent
from antiphon.kernel.operation import AnyOperation
from antiphon.types.chat import ChatCompletion, ChatCompletionChunk


class Recorder:
    """A core that remembers what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[AnyOperation, tuple[Any, ...], dict[str, Any]]] = []

    def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        self.calls.append((operation, args, kwargs))
        return "answer"


def test_a_call_reaches_the_core_with_its_operation() -> None:
    core = Recorder()
    api = API[Any](core)
    assert api.chat.completions.create(model="m", messages=[]) == "answer"
    assert core.calls == [(Completions.create, (), {"model": "m", "messages": []})]
    assert api.chat.completions.create.operation is Completions.create
    assert api.chat.completions is api.chat.completions
    assert api.beta.chat.completions.create.operation is Completions.create


def test_an_operation_knows_its_types() -> None:
    create = operations()["chat.completions.create"]
    assert create is Completions.create
    assert create.result is ChatCompletion
    assert create.event is ChatCompletionChunk
    assert operations()["audio.speech.create"].result is HttpxBinaryResponseContent
    assert operations()["containers.delete"].result is None


def test_a_call_shows_its_signature_and_its_doc() -> None:
    create = API[Any](Recorder()).chat.completions.create
    assert list(inspect.signature(create).parameters)[:2] == ["messages", "model"]
    assert create.__doc__ == Completions.create.__doc__
    first, address, link = (create.__doc__ or "").split("\n\n")
    assert first == "Create a chat completion."
    assert address.strip() == "`POST /chat/completions`"
    assert link.strip() == "https://platform.openai.com/docs/api-reference/chat/create"


def test_every_operation_says_what_it_is_where_it_is_and_where_to_read_of_it() -> None:
    for operation in operations().values():
        first, address, link = (operation.__doc__ or "").split("\n\n")
        assert first.endswith(".")
        assert len(first) < 110
        assert address.strip() == f"`{operation.method} {operation.path}`"
        assert link.strip().startswith("https://platform.openai.com/docs/api-reference/")


def test_deprecated_operations_warn_where_they_are_called() -> None:
    api = API[Any](Recorder())
    with pytest.warns(DeprecationWarning, match=r"beta\.threads\.create is deprecated: .*Responses") as caught:
        api.beta.threads.create()
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        api.beta.threads.runs.steps  # noqa: B018  reaching for one is not calling it
        api.models.list()


def test_keys_that_python_cannot_spell_are_renamed_inside_bodies() -> None:
    target = {"type": "new_session", "agent": {"compaction": {"async_": True, "other": 1}}}
    bound = Automations.create.bind((), {"name": "n", "target": target, "type": "periodic"})
    assert bound.body is not None
    assert bound.body["target"]["agent"]["compaction"] == {"async": True, "other": 1}
    assert target["agent"] == {"compaction": {"async_": True, "other": 1}}
    plain = {"name": "n", "target": {"type": "existing_session"}, "type": "periodic"}
    assert Automations.create.bind((), dict(plain)).body == plain


def test_forms_say_which_parameters_are_files() -> None:
    forms = {name: operation.files for name, operation in operations().items() if operation.form}
    assert len(forms) == 17
    assert forms["images.edit"] == ("image", "markup", "mask")
    assert {name for name, files in forms.items() if not files} == {"realtime.calls.create"}
    calls = operations()["realtime.calls.create"]
    assert (calls.parts, calls.alone) == ({"sdp": "application/sdp", "session": "application/json"}, "sdp")
    optional = {name for name, operation in operations().items() if operation.json_without_files}
    assert optional == {"containers.files.create", "skills.create", "skills.versions.create"}


def _fresh(code: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    ).stdout.strip()


def test_importing_the_api_imports_no_resource_and_no_type() -> None:
    loaded = _fresh("import sys, antiphon.api; print(*[m for m in sys.modules if m.startswith('antiphon.')])").split()
    assert not [name for name in loaded if name.startswith(("antiphon.types", "antiphon.api."))]


def test_importing_one_resource_imports_no_type_and_no_other() -> None:
    code = "import sys, antiphon.api.chat.completions; print(*[m for m in sys.modules if m.startswith('antiphon.')])"
    loaded = _fresh(code).split()
    assert [name for name in loaded if name.startswith(("antiphon.types", "antiphon.api."))] == [
        "antiphon.api.chat",
        "antiphon.api._typed",
        "antiphon.api._typed.completions",
        "antiphon.api.chat.completions",
    ]


def test_importing_one_type_imports_only_what_it_is_made_of() -> None:
    code = (
        "import sys; from antiphon.types.chat import ChatCompletion; print(*[m for m in sys.modules if '.types' in m])"
    )
    assert _fresh(code).split() == ["antiphon.types", "antiphon.types.chat", "antiphon.types.chat.chat_completion"]


def test_importing_one_resource_takes_less_than_ten_milliseconds(tmp_path: Path) -> None:
    code = (
        "import typing, re, time; started = time.process_time(); import antiphon.api.chat.completions; "
        "print(time.process_time() - started)"
    )
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    _fresh(code, **compiled)
    assert min(float(_fresh(code, **compiled)) for _ in range(5)) < 0.010
