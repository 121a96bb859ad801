"""The protocol over HTTP, with servers that are written down here."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from antiphon.gateway import ModelConfig
from antiphon.gateway.oip.connect import connect
from antiphon.gateway.oip.messages import InferRequest, InferResponse, Tensor
from antiphon.gateway.oip.protocol import Oip
from antiphon.gateway.oip.rest import Rest
from antiphon.gateway.patience import hurried
from antiphon.gateway.world import NetworkWorld
from antiphon.hosting.run import TLS, serve_in_background
from antiphon.kernel.errors import APIStatusError
from antiphon.kernel.flow import Flow, arun, run
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.kernel.portal import wait_for

EVENTS = Headers({"content-type": "text/event-stream"})
OUTPUT = {"name": "text", "datatype": "BYTES", "shape": [1]}
WORLD = NetworkWorld()


def said(text: str) -> dict[str, Any]:
    return {"model_name": "m", "id": "1", "outputs": [{**OUTPUT, "data": [text]}]}


def event(text: str) -> bytes:
    return b"data: " + json.dumps(said(text)).encode() + b"\n\n"


def asked(**more: Any) -> InferRequest:
    return InferRequest("m", [Tensor.of("text", "hello")], **more)


def whole(oip: Oip, request: InferRequest) -> Flow[list[str]]:
    answers = yield from oip.open(request)
    found: list[str] = []
    while more := (yield from answers.more()):
        found += [words(part) for part in more]
    answers.close()
    return found


def words(answer: InferResponse) -> str:
    output = answer.output("text")
    assert output is not None
    return "".join(output.texts)


class Server:
    """Answers with what is written down for the end of an address, and remembers what it was asked."""

    def __init__(self, name: str = "", extensions: tuple[str, ...] = (), **answers: Any) -> None:
        self.asked: list[Request] = []
        self.metadata = {"name": name, "version": "1", "extensions": list(extensions)}
        self.answers = answers

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        last = request.path.rpartition("/")[2]
        answer = self.answers.get(last)
        if answer is None and last == "v2" and self.metadata["name"]:
            answer = json_response(200, self.metadata)
        if answer is None:
            return json_response(404, {"error": f"nothing at {request.path}"})
        made = answer(request) if callable(answer) else answer
        assert isinstance(made, Response)
        return made

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content()) for request in self.asked if request.method == "POST"]


@contextmanager
def served(server: Any, **config: Any) -> Iterator[Oip]:
    with serve_in_background(server) as running:
        yield connect(running.url, ModelConfig("called", (running.url,), **config))


@contextmanager
def socket_that(*answers: bytes | None) -> Iterator[str]:
    """A server that answers each request with these bytes in turn and hangs up; with `None` it hangs up at once."""
    listening = socket.create_server(("127.0.0.1", 0))
    left = list(answers)

    def serve() -> None:
        while left:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                length = re.search(rb"content-length: (\d+)", data)
                while length and len(data.partition(b"\r\n\r\n")[2]) < int(length[1]):
                    data += connection.recv(65536)
                answer = left.pop(0)
                if answer is not None:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        left.clear()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def at(url: str, **config: Any) -> Oip:
    return connect(url, ModelConfig("called", (url,), **config))


def blocking(flow: Flow[Any]) -> Any:
    return run(flow, WORLD)


def awaiting(flow: Flow[Any]) -> Any:
    return wait_for(arun(flow, WORLD))


INDENTED = b"".join(b"data: %s\n" % line.encode() for line in json.dumps(said("a"), indent=1).splitlines()) + b"\n"
drives = pytest.mark.parametrize("drive", [blocking, awaiting])


@drives
@pytest.mark.parametrize(
    "pieces",
    [
        [event("a") + event("b"), event("c")],
        [event("a")[:10], event("a")[10:] + event("b") + event("c")[:-1], b"\n"],
        [(b": ping\n\n" + event("a") + event("b")).replace(b"\n", b"\r\n"), event("c")],
        [event("a"), event("b"), event("c"), b"data: [DONE]\n\n"],
        [INDENTED, event("b") + event("c")],
        [bytes([byte]) for byte in event("a") + event("b") + event("c")],
    ],
)
def test_events_however_they_come(drive: Callable[[Flow[Any]], Any], pieces: list[bytes]) -> None:
    with served(Server("mlserver", infer_stream=lambda _: Response(200, EVENTS, iter(pieces)))) as oip:
        assert "".join(drive(whole(oip, asked()))) == "abc"


@drives
def test_large_events(drive: Callable[[Flow[Any]], Any]) -> None:
    long = "x" * 300_000
    with served(Server("mlserver", infer_stream=lambda _: Response(200, EVENTS, iter([event(long)])))) as oip:
        assert drive(whole(oip, asked())) == [long]


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@drives
@pytest.mark.parametrize(
    ("body", "heard", "why"),
    [
        (HEAD + chunk(event("a")), ["a"], "broke off"),
        (HEAD + chunk(event("a")) + chunk(event("b"))[:20], ["a"], "broke off"),
        (HEAD + chunk(event("a") + event("b")[:-1]) + END, ["a"], "not whole"),
        (HEAD + chunk(event("a") + b'data: {"error": "too hot"}\n\n') + END, ["a"], "too hot"),
        (HEAD + chunk(event("a")) + chunk(b'data: {"error": "too hot"}\n\n') + END, ["a"], "too hot"),
        (HEAD + chunk(event("a")) + chunk(b"data: nonsense\n\n") + END, ["a"], "not of the protocol"),
        (HEAD + chunk(event("a")) + chunk(b'data: {"outputs": [{}]}\n\n') + END, ["a"], "not of the protocol"),
        (HEAD + chunk(b'data: {"error": "too hot"}\n\n') + END, [], "too hot"),
        (HEAD + END, [], "did not say why"),
        (HEAD, [], "did not say why"),
        (HEAD + chunk(event("a")[:30]), [], "did not say why"),
    ],
)
def test_streams_that_do_not_end_well(
    drive: Callable[[Flow[Any]], Any], body: bytes, heard: list[str], why: str
) -> None:
    ready = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    with socket_that(body, ready) as url:
        oip = at(url, stream="infer_stream")
        found: list[str] = []

        def listen() -> Flow[None]:
            answers = yield from oip.open(asked())
            while more := (yield from answers.more()):
                found.extend(map(words, more))

        # Which server it is does not matter to one that is told how to stream.
        assert isinstance(oip, Rest)
        oip._kind = "mlserver"
        with pytest.raises(APIStatusError, match=why) as failure:
            drive(listen())
        assert found == heard
        assert failure.value.status_code in (400, 502)
        if found or failure.value.status_code == 502:
            assert failure.value.response.headers["x-should-retry"] == "false"


def test_a_server_that_breaks_off_is_asked_whether_it_has_the_model() -> None:
    lost = json.dumps({"error": "Model m not found"}).encode()
    missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n%s" % (len(lost), lost)
    with socket_that(HEAD, missing) as url:
        oip = at(url, stream="infer_stream")
        assert isinstance(oip, Rest)
        oip._kind = "mlserver"
        with pytest.raises(APIStatusError, match="Model m not found") as failure:
            blocking(whole(oip, asked()))
        assert failure.value.status_code == 404


@drives
def test_a_server_that_may_not_stream(drive: Callable[[Flow[Any]], Any]) -> None:
    server = Server(infer=json_response(200, said("once")))
    with served(server) as oip:
        assert drive(whole(oip, asked())) == ["once"]
        assert drive(whole(oip, asked())) == ["once"]
    paths = [request.path for request in server.asked]
    assert paths == ["/v2", "/v2/models/m/infer_stream", *["/v2/models/m/infer"] * 2]
    with served(Server(), stream="infer") as oip, pytest.raises(APIStatusError, match="nothing at /v2/models/m/infer"):
        drive(whole(oip, asked()))


@drives
def test_a_server_that_answers_once_where_it_should_stream(drive: Callable[[Flow[Any]], Any]) -> None:
    with served(Server("mlserver", infer_stream=json_response(200, said("once")))) as oip:
        assert drive(whole(oip, asked())) == ["once"]


@drives
@pytest.mark.parametrize("answer", [Response(200, Headers(), b"<html>"), Response(403), json_response(200, [1])])
def test_a_server_that_does_not_say_what_it_is(drive: Callable[[Flow[Any]], Any], answer: Response) -> None:
    server = Server(v2=answer, infer=json_response(200, said("x")))
    with served(server) as oip:
        for _ in range(2):
            assert words(drive(oip.infer(asked()))) == "x"
    assert [request.path for request in server.asked].count("/v2") == 1
    server = Server(v2=Response(500), infer=json_response(200, said("x")))
    with served(server) as oip:
        for _ in range(2):
            assert words(drive(oip.infer(asked()))) == "x"
    assert [request.path for request in server.asked].count("/v2") == 2  # it may yet


@drives
def test_what_models_there_are(drive: Callable[[Flow[Any]], Any]) -> None:
    entries = [{"name": "a", "version": "1", "state": "READY", "reason": ""}, {"name": "b", "more": 1}]
    with served(Server(index=json_response(200, entries))) as oip:
        assert drive(oip.index()) == [("a", "1", "READY", ""), ("b", "", "", "")]
    with served(Server(models=json_response(200, {"models": ["a"]}))) as oip:
        assert drive(oip.index()) == [("a", "", "", "")]
    with served(Server()) as oip:
        assert drive(oip.index()) == []
    for wrong, status in ((json_response(200, {"a": 1}), 502), (Response(200), 502), (Response(503), 503)):
        with served(Server(index=wrong)) as oip, pytest.raises(APIStatusError) as failure:
            drive(oip.index())
        assert failure.value.status_code == status


def test_addresses() -> None:
    server = Server(infer=json_response(200, said("x")))
    with serve_in_background(server) as running:
        oip = at(f"{running.url}/seldon/", headers={"Seldon-Model": "x", "X-Who": "gateway"})
        request = InferRequest("a bü.c_1-2", [Tensor.of("text", "x")], "3", headers=[("traceparent", "00-1-2-01")])
        assert words(blocking(oip.infer(request))) == "x"
        sent = server.asked[-1]
        assert sent.path == "/seldon/v2/models/a%20b%C3%BC.c_1-2/versions/3/infer"
        assert sent.headers["x-who"] == "gateway"
        assert sent.headers["traceparent"] == "00-1-2-01"

        pipeline = at(running.url, pipeline=True, model="p")
        assert blocking(whole(pipeline, InferRequest("p", [Tensor.of("text", "x")]))) == ["x"]
        assert server.asked[-1].path == "/v2/pipelines/p/infer"
        assert server.asked[-1].headers["seldon-model"] == "p.pipeline"
        blocking(pipeline.ready("p"))
        assert server.asked[-1].path == "/v2/pipelines/p/ready"


def test_what_is_sent() -> None:
    server = Server("mlserver", infer=json_response(200, said("x")))
    with served(server) as oip:
        blocking(oip.infer(asked()))
        blocking(oip.infer(asked(id="mine", parameters={"a": 1, "o": {"b": [2**60]}, "n": None}, outputs=["text"])))
    first, second = server.bodies
    assert first["id"]
    assert "parameters" not in first
    assert second["id"] == "mine"
    assert second["parameters"] == {"a": 1, "o": {"b": [2**60]}}
    assert second["outputs"] == [{"name": "text"}]
    assert second["inputs"] == [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["hello"]}]


def test_tensors_as_bytes() -> None:
    def answer(request: Request) -> Response:
        blob = b"\1\0\0\0\2\0\0\0"
        head = {"name": "n", "datatype": "INT32", "shape": [2], "parameters": {"binary_data_size": 8, "k": 1}}
        text = {**OUTPUT, "parameters": {"binary_data_size": 7}}
        body = json.dumps({"model_name": "m", "outputs": [head, {**OUTPUT, "name": "t", "data": ["x"]}, text]}).encode()
        headers = Headers({"inference-header-content-length": str(len(body))})
        return Response(200, headers, body + blob + b"\3\0\0\0abc")

    server = Server("triton", ("binary_tensor_data",), infer=answer)
    with served(server) as oip:
        request = InferRequest("m", [Tensor("x", "FP32", (2,), [1.0, 2.0]), Tensor("h", "FP16", (1,), [1.0])])
        found = blocking(oip.infer(request))
        assert [list(output.data) for output in found.outputs] == [[1, 2], ["x"], [b"abc"]]
        assert found.outputs[0].parameters == {"k": 1}
        sent = server.asked[-1]
        length = int(sent.headers["inference-header-content-length"])
        head = json.loads(sent.content()[:length])
        assert head["parameters"] == {"binary_data_output": True}
        assert head["inputs"][0]["parameters"] == {"binary_data_size": 8}
        assert "data" not in head["inputs"][0]
        assert sent.content()[length:] == b"\0\0\x80\x3f\0\0\0\x40\0\x3c"
        assert sent.headers["content-type"] == "application/octet-stream"
        server.asked.clear()
        blocking(oip.infer(asked(outputs=["text"])))
        assert server.bodies[-1]["outputs"] == [{"name": "text", "parameters": {"binary_data": True}}]

    def short(request: Request) -> Response:
        body = json.dumps({"outputs": [{**OUTPUT, "parameters": {"binary_data_size": 7}}]}).encode()
        return Response(200, Headers({"inference-header-content-length": str(len(body))}), body + b"\3\0")

    with (
        served(Server("triton", ("binary_tensor_data",), infer=short)) as oip,
        pytest.raises(APIStatusError, match="7 bytes were announced for 'text', and 2 are there"),
    ):
        blocking(oip.infer(asked()))


def test_what_cannot_be_said() -> None:
    with served(Server("kserve")) as oip:
        with pytest.raises(APIStatusError, match="bytes that are no text") as refusal:
            blocking(oip.infer(InferRequest("m", [Tensor("t", "BYTES", (1,), [b"\xff"])])))
        assert refusal.value.status_code == 400
    with (
        served(Server("triton", ("binary_tensor_data",))) as oip,
        pytest.raises(APIStatusError, match="the tensor 'n': not elements of FP16") as refusal,
    ):
        blocking(oip.infer(InferRequest("m", [Tensor("n", "FP16", (1,), ["a"])])))
    assert refusal.value.status_code == 400


@pytest.mark.parametrize(
    ("answer", "status", "code", "retry"),
    [
        (json_response(400, {"error": "bad shape"}), 400, "upstream_invalid_request", {}),
        (json_response(422, {"detail": [{"loc": ["body", "inputs"], "msg": "is missing"}]}), 400, "upstream_invalid_request", {}),
        (json_response(400, {"error": "Model m is not ready yet."}), 503, "model_not_ready", {"retry-after": "1"}),
        (json_response(401, {"error": "who?"}), 401, "upstream_unauthenticated", {}),
        (json_response(403, {"error": "no"}), 403, "upstream_forbidden", {}),
        (json_response(404, {"error": "no such model"}), 404, "model_not_found", {}),
        (json_response(413, {"error": "large"}), 413, "upstream_too_large", {}),
        (json_response(429, {"error": "busy"}, [("retry-after", "7")]), 429, "rate_limit_exceeded", {"retry-after": "7"}),
        (Response(500, Headers(), b"Internal Server Error"), 502, "upstream_error", {"x-should-retry": "false"}),
        (Response(500), 502, "upstream_error", {"x-should-retry": "false"}),
        (json_response(501, {"error": "no streams"}), 501, "upstream_unsupported", {"x-should-retry": "false"}),
        (json_response(502, {"error": {"message": "nested"}}), 502, "upstream_error", {"x-should-retry": "false"}),
        (json_response(503, {"error": "loading"}, [("retry-after", "soon")]), 503, "model_not_ready", {"retry-after": "1"}),
        (json_response(504, {"error": "late"}), 504, "upstream_timeout", {"x-should-retry": "false"}),
        (Response(301, Headers({"location": "http://elsewhere"})), 502, "upstream_error", {"x-should-retry": "false"}),
        (Response(200, Headers(), b"<html>"), 502, "upstream_error", {"x-should-retry": "false"}),
        (json_response(200, {"id": "1"}), 502, "upstream_error", {"x-should-retry": "false"}),
        (json_response(200, []), 502, "upstream_error", {"x-should-retry": "false"}),
        (json_response(200, {"outputs": [{"name": "x"}]}), 502, "upstream_error", {"x-should-retry": "false"}),
    ],
)  # fmt: skip
def test_refusals(answer: Response, status: int, code: str, retry: dict[str, str]) -> None:
    with served(Server("mlserver", infer=answer, infer_stream=answer)) as oip:
        with pytest.raises(APIStatusError) as refusal:
            blocking(oip.infer(asked()))
        error = refusal.value
        assert (error.status_code, error.code) == (status, code)
        for name in ("retry-after", "x-should-retry"):
            assert error.response.headers.get(name) == retry.get(name)
        assert "`called`" in error.message
        assert "127.0.0.1" not in error.message
        if answer.status >= 400:
            with pytest.raises(APIStatusError) as refusal:
                blocking(whole(oip, asked()))
            assert (refusal.value.status_code, refusal.value.code) == (status, code)


HINT = 'if it speaks the OpenAI API, say backend = "openai" in the gateway\'s configuration'


@pytest.mark.parametrize(
    ("answer", "hinted"),
    [
        ({"error": {"message": "Invalid URL (GET /v2/models/m)", "type": "invalid_request_error", "code": None}}, True),
        ({"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}, True),  # llama.cpp
        ({"error": {"message": "Not Found", "type": "NotFoundError", "param": None, "code": 404}}, True),  # vLLM
        ({"detail": "Not Found"}, True),  # any server made with FastAPI, vLLM among them
        (
            {"error": {"message": "no m", "type": "invalid_request_error", "code": "model_not_found"}},
            False,
        ),  # a gateway
        ({"error": "Model m not found"}, False),  # MLServer
        ({"error": {"message": "nested"}}, False),
        ({"detail": "Model m is not found"}, False),
        ({"detail": [{"msg": "Not Found"}]}, False),
        (["Not Found"], False),
    ],
)
def test_a_server_of_the_openai_api_is_told_from_one_without_the_model(answer: Any, hinted: bool) -> None:
    missing = json_response(404, answer)
    with served(Server("", m=missing)) as oip:
        with pytest.raises(APIStatusError) as refusal:
            blocking(oip.metadata("m"))
        assert (refusal.value.status_code, refusal.value.code) == (404, "model_not_found")
        assert (HINT in refusal.value.message) == hinted
    with served(Server("", m=json_response(400, answer))) as oip:
        with pytest.raises(APIStatusError) as refusal:
            blocking(oip.metadata("m"))
        assert HINT not in refusal.value.message


@drives
def test_servers_that_are_not_there(drive: Callable[[Flow[Any]], Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    oip = at(url, stream="infer_stream")
    assert not drive(oip.live())
    assert not drive(oip.ready("m"))
    for flow in (oip.infer(asked()), whole(oip, asked()), oip.metadata("m"), oip.index()):
        with pytest.raises(APIStatusError, match="cannot be reached: connection refused") as failure:
            drive(flow)
        assert (failure.value.status_code, failure.value.code) == (503, "upstream_unreachable")
        assert failure.value.response.headers["retry-after"] == "1"
        assert "127.0.0.1" not in failure.value.message


@drives
def test_a_server_that_hangs_up(drive: Callable[[Flow[Any]], Any]) -> None:
    """Nobody knows whether the model ran; what only looks is asked again."""
    metadata = json.dumps({"name": "m"}).encode()
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(metadata), metadata)
    with socket_that(None, None, answer) as url:
        oip = at(url)
        assert isinstance(oip, Rest)
        oip._kind = ""
        with pytest.raises(APIStatusError, match="broke off") as failure:
            drive(oip.infer(asked()))
        assert failure.value.status_code == 502
        assert failure.value.response.headers["x-should-retry"] == "false"
        assert drive(oip.metadata("m")).name == "m"


@drives
def test_tls(drive: Callable[[Flow[Any]], Any], tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    roots, certificate, key = (tmp_path / name for name in ("roots.pem", "certificate.pem", "key.pem"))
    authority.cert_pem.write_to_path(str(roots))
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    server = Server("mlserver", infer=json_response(200, said("secret")))
    with serve_in_background(server, tls=TLS(certificate, key)) as running:
        assert running.url.startswith("https://")
        oip = at(running.url, roots=str(roots))
        assert words(drive(oip.infer(asked()))) == "secret"
        assert not drive(at(running.url).live())
        assert drive(hurried(oip.server(), 5.0)).name == "mlserver"
        oip.close()
        with pytest.raises(APIStatusError, match="cannot be reached") as failure:
            drive(at(running.url).infer(asked()))
        assert failure.value.code == "upstream_unreachable"
    with pytest.raises(FileNotFoundError):
        at("https://localhost", roots=str(tmp_path / "none.pem"))


def test_addresses_that_are_none() -> None:
    for url in ("ftp://x", "localhost:8000", ""):
        with pytest.raises(ValueError, match="one begins with http://, https://, grpc://, grpcs://"):
            connect(url, ModelConfig("m", (url,)))
