"""The kernel's small parts: sentinels, lazy names, helpers that some types have."""

from __future__ import annotations

import copy
import pickle
import sys
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from antiphon.kernel.extras import MessageText, ResponseText
from antiphon.kernel.lazy import evaluate, lazily
from antiphon.kernel.omit import NOT_GIVEN, not_given, omit


@pytest.mark.parametrize(("value", "text"), [(omit, "omit"), (not_given, "NOT_GIVEN")])
def test_saying_nothing(value: Any, text: str) -> None:
    assert not value
    assert repr(value) == text
    assert copy.copy(value) is copy.deepcopy(value) is pickle.loads(pickle.dumps(value)) is value
    assert NOT_GIVEN is not_given


@pytest.fixture
def module() -> Any:
    module = ModuleType("antiphon.kernel.made_up")
    module.__package__ = "antiphon.kernel"
    sys.modules[module.__name__] = module
    names = {"View": ".view", "Face": ".view:View", "view_module": ".view:", "Gone": ".view:Gone"}
    module.__getattr__, module.__dir__ = lazily(module.__name__, names, {"Either": "View | int", "Wrong": "Missing"})  # type: ignore[method-assign]
    yield module
    del sys.modules[module.__name__]


def test_names_are_imported_when_they_are_asked_for(module: Any) -> None:
    from antiphon.kernel import view

    assert "View" not in vars(module)
    assert module.View is view.View
    assert "View" in vars(module)
    assert module.Face is view.View
    assert module.view_module is view
    assert module.Either == view.View | int
    assert {"View", "Face", "Either"} <= set(dir(module))
    with pytest.raises(AttributeError, match=r"module 'antiphon\.kernel\.made_up' has no attribute 'Nothing'"):
        module.Nothing  # noqa: B018
    with pytest.raises(AttributeError, match="Gone"):
        module.Gone  # noqa: B018
    with pytest.raises(NameError, match="'Missing' is not defined in"):
        module.Wrong  # noqa: B018


def test_annotations_see_the_module_then_builtins_then_typing(module: Any) -> None:
    module.int = str
    assert evaluate("dict[str, int]", module.__name__) == dict[str, str]
    assert evaluate("Literal['a'] | None", module.__name__) is not None


def test_what_a_call_takes_as_a_file() -> None:
    from typing import IO, get_args

    from antiphon.kernel import files

    kinds = get_args(files.FileTypes)
    assert kinds[:3] == (IO[bytes], bytes, PathLike[str])
    assert [len(get_args(kind)) for kind in kinds[3:]] == [2, 3, 4]


def test_a_file_by_its_path(tmp_path: Path) -> None:
    from antiphon.kernel.files import file_from_path

    (tmp_path / "notes.txt").write_bytes(b"milk")
    assert file_from_path(str(tmp_path / "notes.txt")) == ("notes.txt", b"milk")
    with pytest.raises(OSError, match="nothing"):
        file_from_path(str(tmp_path / "nothing"))


def test_the_text_of_a_response_is_that_of_its_messages() -> None:
    part = {"type": "output_text", "text": "a"}
    refusal = {"type": "refusal", "refusal": "no"}
    output = [{"type": "reasoning"}, {"type": "message", "content": [part, refusal, part]}, {"type": "message"}]
    assert ResponseText.of({"output": output}).output_text == "aa"
    assert ResponseText.of({}).output_text == ""
    assert MessageText.of({"content": [part, "odd"]}).output_text == "a"
    assert MessageText.of({"content": None}).output_text == ""
