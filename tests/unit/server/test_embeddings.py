"""`POST /embeddings` through the front door: formats, tokens, limits, engines."""

from __future__ import annotations

import base64
import struct
from math import sqrt
from typing import Any

import openai
import pytest

from antiphon.engines.embeddings import EmbeddingFunction, HashEmbeddings, embedding_engine
from antiphon.server import tokens
from antiphon.server.app import Server
from antiphon.server.engine import EmbeddingRequest, Engines
from tests.unit.server.sdk import Answer, ask, official, official_async, serve

SMALL = "text-embedding-3-small"
LARGE = "text-embedding-3-large"
ADA = "text-embedding-ada-002"


@pytest.fixture
def server() -> Server:
    return serve(Engines(embeddings=HashEmbeddings()))


def embed(server: Server, input: Any, model: str = SMALL, **options: Any) -> Answer:
    return ask(server, "POST", "/embeddings", {"model": model, "input": input, **options})


def refused(answer: Answer) -> tuple[str, str | None, str | None]:
    assert answer.status == 400
    error = answer.json["error"]
    return error["message"], error["param"], error["code"]


def test_the_answer_is_that_of_the_api(server: Server) -> None:
    answer = embed(server, ["Hello world", "Other"])
    assert answer.status == 200
    body = answer.json
    assert body["object"] == "list"
    assert body["model"] == SMALL
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert [(item["object"], item["index"], len(item["embedding"])) for item in body["data"]] == [
        ("embedding", 0, 1536),
        ("embedding", 1, 1536),
    ]


@pytest.mark.parametrize(("model", "length"), [(SMALL, 1536), (LARGE, 3072), (ADA, 1536), ("mine", 1536)])
def test_the_official_sdk_reads_it(server: Server, model: str, length: int) -> None:
    found = official(server).embeddings.create(model=model, input="Hello")
    [item] = found.data
    assert len(item.embedding) == length
    assert sqrt(sum(value * value for value in item.embedding)) == pytest.approx(1, abs=1e-5)
    plain = official(server).embeddings.create(model=model, input="Hello", encoding_format="float")
    assert plain.data[0].embedding == item.embedding  # base64 and numbers say exactly the same


async def test_the_official_sdk_reads_it_in_a_loop(server: Server) -> None:
    many = await official_async(server).embeddings.create(model=SMALL, input=["one", "two"] * 20)
    assert many.data[0].embedding == many.data[38].embedding
    assert many.usage.prompt_tokens == 40


def test_base64_is_float32_with_the_low_byte_first(server: Server) -> None:
    packed = embed(server, "Hello", dimensions=4, encoding_format="base64").json["data"][0]["embedding"]
    numbers = embed(server, "Hello", dimensions=4).json["data"][0]["embedding"]
    assert struct.unpack("<4f", base64.b64decode(packed)) == tuple(numbers)


def test_a_text_and_its_tokens_are_the_same(server: Server) -> None:
    texts = ["Hello world", "naïve café 🧠"]
    ids = [tokens.encode(text, SMALL) for text in texts]
    by_text, by_tokens = embed(server, texts).json, embed(server, ids).json
    assert by_tokens == by_text
    assert embed(server, ids[0]).json["data"][0] == by_text["data"][0]


def test_dimensions(server: Server) -> None:
    assert len(embed(server, "x", LARGE, dimensions=256).json["data"][0]["embedding"]) == 256
    assert refused(embed(server, "x", ADA, dimensions=256)) == (
        "This model does not support specifying dimensions.",
        None,
        None,
    )
    assert refused(embed(server, "x", SMALL, dimensions=1537)) == (
        "Invalid value for 'dimensions' = 1537. Must be less than or equal to 1536.",
        None,
        None,
    )
    assert refused(embed(server, "x", SMALL, dimensions=0))[1:] == ("dimensions", "integer_below_min_value")
    assert embed(server, "x", "mine", dimensions=4096).status == 200
    assert embed(server, "x", "mine", dimensions=4097).status == 400


@pytest.mark.parametrize("empty", ["", ["a", ""], [[]], [[1], []]])
def test_an_empty_input_is_refused(server: Server, empty: Any) -> None:
    message, _, _ = refused(embed(server, empty))
    assert "input" in message


def test_an_empty_array_is_refused(server: Server) -> None:
    assert refused(embed(server, []))[1:] == ("input", "empty_array")


def test_tokens_that_no_token_has_are_refused(server: Server) -> None:
    message = "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    assert refused(embed(server, [[1, 999_999]])) == (message, None, None)
    assert refused(embed(server, [99_999_999_999])) == (message, None, None)


def test_at_most_2048_inputs(server: Server) -> None:
    engine = EmbeddingFunction(lambda texts: [[1.0]] * len(texts))
    server = serve(Engines(embeddings=engine))
    assert len(embed(server, ["a"] * 2048).json["data"]) == 2048
    message, param, code = refused(embed(server, ["a"] * 2049))
    assert message == (
        "Invalid 'input': array too long. Expected an array with maximum length 2048, "
        "but got an array with length 2049 instead."
    )
    assert (param, code) == ("input", "array_above_max_length")


def test_at_most_8192_tokens_in_an_input(server: Server) -> None:
    text = "word " * 8191
    assert tokens.count(text, SMALL) == 8192
    assert embed(server, text, dimensions=8).json["usage"]["total_tokens"] == 8192
    message = (
        "This model's maximum context length is 8192 tokens, however you requested 8193 tokens "
        "(8193 in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
    )
    assert refused(embed(server, text + " word")) == (message, None, None)
    assert refused(embed(server, [[5], [1] * 8193])) == (message, None, None)


def test_at_most_300_000_tokens_in_a_request(server: Server) -> None:
    engine = EmbeddingFunction(lambda texts: [[1.0]] * len(texts))
    server = serve(Engines(embeddings=engine))
    assert embed(server, [[1] * 8000] * 37).status == 200
    answer = embed(server, [[1] * 8000] * 38)
    assert refused(answer) == (
        "Requested 304000 tokens, max 300000 tokens per request",
        None,
        "max_tokens_per_request",
    )
    assert answer.json["error"]["type"] == "max_tokens_per_request"


def test_a_function_is_an_engine() -> None:
    async def lengths(texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 1.0] for text in texts]

    for function in (lengths, lambda texts: [[float(len(text)), 1.0] for text in texts]):
        server = serve(Engines(embeddings=embedding_engine(function)))
        assert [item["embedding"] for item in embed(server, ["a", "bcd"]).json["data"]] == [[1, 1], [3, 1]]


def test_an_engine_is_told_what_was_asked() -> None:
    seen: list[EmbeddingRequest] = []

    def engine(request: EmbeddingRequest) -> list[list[float]]:
        seen.append(request)
        return [[1.0] * (request.dimensions or 2)]

    server = serve(Engines(embeddings={"mine": engine}))
    assert embed(server, "hi", "mine", dimensions=3, user="u").json["data"][0]["embedding"] == [1, 1, 1]
    assert (seen[0].model, seen[0].inputs, seen[0].dimensions, seen[0].body["user"]) == ("mine", ["hi"], 3, "u")
    answer = embed(server, "hi", "other")
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")


def test_engines_by_name() -> None:
    assert isinstance(embedding_engine(), HashEmbeddings)
    engine = HashEmbeddings(8)
    assert embedding_engine(engine) is engine
    assert len(embed(serve(Engines(embeddings=engine)), "x", "mine").json["data"][0]["embedding"]) == 8


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_gives_too_few_vectors_is_a_server_error(caplog: Any) -> None:
    server = serve(Engines(embeddings=EmbeddingFunction(lambda texts: [])))
    answer = embed(server, "hi")
    assert answer.status == 500
    assert answer.json["error"]["type"] == "server_error"
    assert "gave 0 vectors for 1 inputs" in caplog.text


def test_an_error_of_an_engine_reaches_the_caller() -> None:
    def fail(texts: list[str]) -> list[list[float]]:
        from antiphon.kernel.errors import RateLimitError

        raise RateLimitError.because("Slow down.", code="slow")

    with pytest.raises(openai.RateLimitError, match=r"Slow down\."):
        official(serve(Engines(embeddings=EmbeddingFunction(fail)))).embeddings.create(model=SMALL, input="x")
