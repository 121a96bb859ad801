"""Views of a user's own whose annotations are types rather than text: this module has no postponed annotations."""

from typing import Literal, Optional

from antiphon.kernel.view import View


class Inner(View):
    n: int


class Outer(View):
    name: str
    kind: Literal["a", "b"]
    inner: Inner
    many: list[Inner] = []
    either: Optional[Inner] = None
    bare: dict = {}  # type: ignore[type-arg]


def test_annotations_that_are_types_are_read_as_text_is() -> None:
    class Local(View):
        inner: Inner

    value = Outer.of({"name": "x", "kind": "a", "inner": {"n": 1}, "many": [{"n": 2}], "either": {"n": 3}})
    assert isinstance(value.inner, Inner)
    assert value.many[0].n == 2
    assert value.either == Inner(n=3)
    assert Local(inner=Inner(n=4)).inner.n == 4
    assert Outer.model_json_schema()["required"] == ["name", "kind", "inner", "many", "bare"]
