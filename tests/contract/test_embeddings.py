from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest

SMALL = "text-embedding-3-small"


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def embed(api: Any, text: Any, **options: Any) -> Any:
    return await api.call("embeddings.create", **{"model": SMALL, "input": text, **options})


async def test_vectors_are_long_enough_and_of_length_one(api: Any) -> None:
    answer = await embed(api, ["a cat", "a dog"])
    assert [each.index for each in answer.data] == [0, 1]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4
    for each in answer.data:
        assert len(each.embedding) == 1536
        assert math.isclose(dot(each.embedding, each.embedding), 1, rel_tol=1e-5)
    assert len((await embed(api, "a cat", model="text-embedding-3-large")).data[0].embedding) == 3072
    assert len((await embed(api, "a cat", dimensions=64)).data[0].embedding) == 64


async def test_like_texts_are_near_and_equal_texts_equal(api: Any) -> None:
    texts = ["the cat sat on the mat", "a cat sat on a mat", "quarterly revenue grew", "the cat sat on the mat"]
    one, near, far, same = [each.embedding for each in (await embed(api, texts)).data]
    assert one == same
    assert dot(one, near) > dot(one, far) + 0.2


async def test_tokens_are_texts(api: Any) -> None:
    text = (await embed(api, "hello world")).data[0].embedding
    tokens = (await embed(api, [15339, 1917])).data[0].embedding
    assert dot(text, tokens) > 0.999


async def test_base64_is_the_same(api: Any) -> None:
    plain = (await embed(api, "x", encoding_format="float")).data[0].embedding
    packed = (await embed(api, "x", encoding_format="base64")).data[0].embedding
    assert isinstance(packed, str)
    unpacked = struct.unpack(f"<{len(plain)}f", base64.b64decode(packed))
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(plain, unpacked, strict=True))


@pytest.mark.parametrize("text", ["", [], ["x"] * 2049, [""], ["word " * 9000]])
async def test_what_cannot_be_embedded(api: Any, text: Any) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await embed(api, text)
    assert caught.value.type == "invalid_request_error"
