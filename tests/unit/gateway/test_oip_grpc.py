"""The protocol over gRPC, with a server that is written down here and speaks it in bytes."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from struct import pack
from typing import Any

import grpc
import openai
import pytest
import trustme

from antiphon.gateway import Gateway, GatewayConfig, ModelConfig
from antiphon.gateway.oip.connect import connect
from antiphon.gateway.oip.messages import InferRequest, InferResponse, Tensor
from antiphon.gateway.oip.protocol import Oip
from antiphon.gateway.oip.wire import fields
from antiphon.gateway.world import NetworkWorld
from antiphon.kernel.errors import APIStatusError
from antiphon.kernel.flow import Flow, arun, iterate, run
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.portal import wait_for

WORLD = NetworkWorld()


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes((number & 127 | 128,))
        number >>= 7
    return out + bytes((number,))


def message(*parts: tuple[int, bytes | str | int]) -> bytes:
    """A message of protocol buffers: numbers of fields, and texts, messages or integers."""
    out = b""
    for number, value in parts:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def answer(text: str, model: str = "m") -> bytes:
    """A `ModelInferResponse` with the contents of its one output."""
    output = message((1, "text"), (2, "BYTES"), (3, b"\1"), (5, message((8, text))))
    return message((1, model), (3, "1"), (5, output))


def of_triton(text: str) -> bytes:
    """A `ModelStreamInferResponse` with an answer that has raw elements."""
    output = message((1, "text"), (2, "BYTES"), (3, b"\1"))
    raw = pack("<I", len(text)) + text.encode()
    return message((2, message((1, "m"), (2, "1"), (5, output), (6, raw))))


class Server:
    """Calls by their names; each is given the request, and gives the answer, or answers. Without one it is not there."""

    def __init__(self, **calls: Any) -> None:
        self.calls = calls
        self.asked: list[tuple[str, bytes, dict[str, str]]] = []
        self.left = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        name = details.method.rpartition("/")[2]
        call = self.calls.get(name)
        if call is None:
            return None

        def begin(request: bytes, context: grpc.ServicerContext) -> Any:
            self.asked.append((name, request, {key: str(value) for key, value in context.invocation_metadata()}))
            made = call(request) if callable(call) else call
            if isinstance(made, tuple):
                context.abort(*made)
            return made

        def unary(request: bytes, context: grpc.ServicerContext) -> bytes:
            made: bytes = begin(request, context)
            return made

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            context.add_callback(self.left.set)
            [request] = requests
            for each in begin(request, context):
                if isinstance(each, tuple):
                    context.abort(*each)
                yield each

        if name == "ModelStreamInfer":
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


@contextmanager
def serving(server: Server, credentials: Any = None, host: str = "127.0.0.1") -> Iterator[str]:
    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            return server.service(details)

    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    made = grpc.server(ThreadPoolExecutor(4), [Handler()], options=options)
    if credentials is None:
        port = made.add_insecure_port(f"{host}:0")
    else:
        port = made.add_secure_port(f"{host}:0", credentials)
    made.start()
    try:
        yield f"{host}:{port}"
    finally:
        made.stop(0).wait()


def at(target: str, scheme: str = "grpc", **config: Any) -> Oip:
    url = f"{scheme}://{target}"
    return connect(url, ModelConfig("called", (url,), **config))


def asked(**more: Any) -> InferRequest:
    return InferRequest("m", [Tensor.of("text", "hello")], **more)


def words(given: InferResponse) -> str:
    output = given.output("text")
    assert output is not None
    return "".join(output.texts)


def whole(oip: Oip, request: InferRequest) -> Flow[list[str]]:
    answers = yield from oip.open(request)
    found: list[str] = []
    while more := (yield from answers.more()):
        found += [words(part) for part in more]
    assert (yield from answers.more()) == []
    answers.close()
    return found


def blocking(flow: Flow[Any]) -> Any:
    return run(flow, WORLD)


def awaiting(flow: Flow[Any]) -> Any:
    return wait_for(arun(flow, WORLD))


Drive = Callable[[Flow[Any]], Any]
drives = pytest.mark.parametrize("drive", [blocking, awaiting])


@drives
def test_answers_and_both_kinds_of_stream(drive: Drive) -> None:
    plain = Server(ModelInfer=answer("once"), ModelStreamInfer=[answer("a"), answer("b")])
    with serving(plain) as target:
        oip = at(target, headers={"X-Who": "gateway", "Host": "no", "bad": "é\n"})
        assert words(drive(oip.infer(asked(headers=[("traceparent", "00-1"), ("te", "x")])))) == "once"
        assert drive(whole(oip, asked())) == ["a", "b"]
    _, request, metadata = plain.asked[0]
    assert metadata["seldon-model"] == "m"
    assert metadata["x-who"] == "gateway"
    assert metadata["traceparent"] == "00-1"
    assert not {"host", "bad", "te"} & metadata.keys()
    assert dict(fields(request))[3]  # an id
    flagged = message((2, message((1, "m"), (4, message((1, "triton_final_response"), (2, message((1, 1))))))))
    triton = Server(ModelStreamInfer=[of_triton("a"), of_triton("b"), flagged])
    with serving(triton) as target:
        assert drive(whole(at(target), asked())) == ["a", "b"]


@drives
def test_a_server_without_streams(drive: Drive) -> None:
    server = Server(ModelInfer=answer("once"))
    with serving(server) as target:
        oip = at(target)
        assert drive(whole(oip, asked())) == ["once"]
        assert drive(whole(oip, asked())) == ["once"]
    with serving(Server()) as target, pytest.raises(APIStatusError) as refusal:
        drive(whole(at(target), asked()))
    assert (refusal.value.status_code, refusal.value.code) == (501, "upstream_unsupported")


def test_names_that_seldon_finds() -> None:
    server = Server(ModelInfer=answer("x"), ModelReady=message((1, 1)))
    with serving(server) as target:
        blocking(at(target, pipeline=True).infer(asked()))
        blocking(at(target, headers={"Seldon-Model": "e.experiment"}).infer(asked()))
        assert blocking(at(target).ready("m", "2"))
    assert [metadata["seldon-model"] for _, _, metadata in server.asked] == ["m.pipeline", "e.experiment", "m"]
    assert server.asked[2][1] == message((1, "m"), (2, "2"))


@drives
@pytest.mark.parametrize(
    ("code", "status", "said", "retry"),
    [
        ("INVALID_ARGUMENT", 400, "upstream_invalid_request", {}),
        ("OUT_OF_RANGE", 400, "upstream_invalid_request", {}),
        ("FAILED_PRECONDITION", 400, "upstream_invalid_request", {}),
        ("UNAUTHENTICATED", 401, "upstream_unauthenticated", {}),
        ("PERMISSION_DENIED", 403, "upstream_forbidden", {}),
        ("NOT_FOUND", 404, "model_not_found", {}),
        ("RESOURCE_EXHAUSTED", 429, "rate_limit_exceeded", {"retry-after": "1"}),
        ("UNIMPLEMENTED", 501, "upstream_unsupported", {"x-should-retry": "false"}),
        ("UNAVAILABLE", 503, "model_not_ready", {"retry-after": "1"}),
        ("DEADLINE_EXCEEDED", 504, "upstream_timeout", {"x-should-retry": "false"}),
        ("INTERNAL", 502, "upstream_error", {"x-should-retry": "false"}),
        ("UNKNOWN", 502, "upstream_error", {"x-should-retry": "false"}),
        ("CANCELLED", 502, "upstream_error", {"x-should-retry": "false"}),
        ("ALREADY_EXISTS", 502, "upstream_error", {"x-should-retry": "false"}),
    ],
)
def test_statuses(drive: Drive, code: str, status: int, said: str, retry: dict[str, str]) -> None:
    failure = (grpc.StatusCode[code], "because")
    with serving(Server(ModelInfer=failure, ModelStreamInfer=failure, ModelMetadata=failure)) as target:
        oip = at(target)
        for flow in (oip.infer(asked()), whole(oip, asked()), oip.metadata("m")):
            with pytest.raises(APIStatusError, match="because") as refusal:
                drive(flow)
            error = refusal.value
            assert (error.status_code, error.code) == (status, said)
            for name in ("retry-after", "x-should-retry"):
                assert error.response.headers.get(name) == retry.get(name)


@drives
def test_streams_that_do_not_end_well(drive: Drive) -> None:
    def heard(*parts: Any) -> tuple[list[str], APIStatusError]:
        found: list[str] = []

        def listen(oip: Oip) -> Flow[None]:
            answers = yield from oip.open(asked())
            while more := (yield from answers.more()):
                found.extend(map(words, more))

        with serving(Server(ModelStreamInfer=list(parts))) as target, pytest.raises(APIStatusError) as failure:
            drive(listen(at(target)))
        return found, failure.value

    found, error = heard(answer("a"), (grpc.StatusCode.INVALID_ARGUMENT, "too hot"))
    assert (found, error.status_code) == (["a"], 502)
    assert "broke off: too hot" in error.message
    found, error = heard(of_triton("a"), message((1, "too hot")))
    assert (found, error.status_code) == (["a"], 502)
    found, error = heard(message((1, "too hot")))
    assert (found, error.status_code, error.code) == ([], 400, "upstream_invalid_request")
    found, error = heard(message((1, "Request for unknown model: 'm' is not found")))
    assert (found, error.status_code) == ([], 404)
    found, error = heard(answer("a"), b"\xff\xff\xff")
    assert (found, error.status_code) == (["a"], 502)
    assert "not of the protocol" in error.message
    found, error = heard()
    assert (found, error.status_code) == ([], 502)
    assert "nothing in it" in error.message


@drives
def test_a_model_that_answers_any_number_of_times(drive: Drive) -> None:
    refusal = (grpc.StatusCode.UNIMPLEMENTED, "ModelInfer RPC doesn't support models with decoupled transaction policy")
    server = Server(ModelInfer=refusal, ModelStreamInfer=[of_triton("one")])
    with serving(server) as target:
        oip = at(target)
        for _ in range(2):
            assert words(drive(oip.infer(asked()))) == "one"
        assert [name for name, _, _ in server.asked] == ["ModelInfer", "ModelStreamInfer", "ModelStreamInfer"]
        server.calls["ModelStreamInfer"] = [of_triton("one"), of_triton("two"), of_triton("three")]
        with pytest.raises(APIStatusError, match="answered several times"):
            drive(oip.infer(asked()))
        assert server.left.wait(5)


def test_numbers_with_a_fraction_among_parameters() -> None:
    """MLServer and KServe do not know them, and would take them for nothing."""
    for name, kind in (("triton", b"\x21" + pack("<d", 0.5)), ("mlserver", message((3, "0.5")))):
        server = Server(ModelInfer=answer("x"), ServerMetadata=message((1, name)))
        with serving(server) as target:
            oip = at(target)
            blocking(oip.infer(asked(parameters={"t": 0.5})))
            blocking(oip.infer(asked(parameters={"t": 0.5})))
        assert [call for call, _, _ in server.asked] == ["ServerMetadata", "ModelInfer", "ModelInfer"]
        assert dict(fields(server.asked[1][1]))[4] == message((1, "t"), (2, kind))


@drives
def test_large_messages(drive: Drive) -> None:
    large = "x" * 20_000_000
    with serving(
        Server(ModelInfer=lambda request: answer(large) if len(request) > 10_000_000 else answer(""))
    ) as target:
        request = InferRequest("m", [Tensor("image", "BYTES", (1,), [b"\0" * 11_000_000])])
        assert words(drive(at(target).infer(request))) == large


@drives
def test_servers_that_are_not_there(drive: Drive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        target = f"127.0.0.1:{listening.getsockname()[1]}"
    oip = at(target)
    assert not drive(oip.live())
    assert not drive(oip.ready("m"))
    for flow in (oip.infer(asked()), whole(oip, asked()), oip.server()):
        with pytest.raises(APIStatusError, match="cannot be reached: connection refused") as failure:
            drive(flow)
        assert (failure.value.status_code, failure.value.code) == (503, "upstream_unreachable")
        assert "127.0.0.1:" not in failure.value.message.replace(f"`{target}`", "")
    # One that comes back is found again soon.
    with serving(Server(ServerLive=message((1, 1)))) as there:
        returned = at(there)
        end = time.monotonic() + 10
        while not drive(returned.live()):
            assert time.monotonic() < end


@drives
def test_leaving(drive: Drive) -> None:
    """The server hears of it at once, and closing again does nothing."""
    gone = threading.Event()

    def endless(_: bytes) -> Iterator[bytes]:
        while not gone.is_set():
            yield answer("word")
            time.sleep(0.01)

    server = Server(ModelStreamInfer=endless)

    def listen(oip: Oip) -> Flow[None]:
        answers = yield from oip.open(asked())
        assert (yield from answers.more())
        answers.close()
        answers.close()
        yield from _pause()
        assert (yield from answers.more()) == []

    with serving(server) as target:
        drive(listen(at(target)))
        assert server.left.wait(10)
        gone.set()


def _pause() -> Flow[None]:
    from antiphon.kernel.flow import Pause

    yield Pause(0.05)


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    credentials = grpc.ssl_server_credentials(
        [(certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())]
    )
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    with serving(Server(ModelInfer=answer("secret")), credentials, "localhost") as target:
        assert words(blocking(at(target, "grpcs", roots=str(roots)).infer(asked()))) == "secret"
        with pytest.raises(APIStatusError) as failure:
            blocking(at(target, "grpcs").infer(asked()))
        assert failure.value.code == "upstream_unreachable"


def test_through_the_gateway() -> None:
    """Role, text and end of a chat, streamed and not; the caller's header goes along where it may."""

    def said(text: str) -> bytes:
        outputs = [
            (5, message((1, name), (2, "BYTES"), (3, b"\1"), (5, message((8, value)))))
            for name, value in (("role", "assistant"), ("content", text), ("type", "text"))
        ]
        return message((1, "m"), (3, "1"), *outputs)

    inputs = [(4, message((1, name), (2, "BYTES"), (3, b"\1"))) for name in ("role", "content", "type")]
    server = Server(
        ModelMetadata=message((1, "m"), *inputs),
        ModelInfer=said("one two"),
        ModelStreamInfer=[said("one "), said("two")],
    )
    with serving(server) as target:
        config = ModelConfig("m", (f"grpc://{target}",), forward_headers=("x-who",))
        with (
            Gateway(models={"m": config}).start(port=0) as running,
            openai.OpenAI(base_url=running.base_url, api_key="none", default_headers={"x-who": "me"}) as client,
        ):
            ask: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            assert client.chat.completions.create(**ask).choices[0].message.content == "one two"
            chunks = list(client.chat.completions.create(**ask, stream=True))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"
    assert server.asked[-1][2]["x-who"] == "me"


def test_the_protocol_over_http_for_servers_of_grpc() -> None:
    """Somebody who speaks the protocol itself is answered in it, and not told what lies behind."""

    def echo(request: bytes) -> bytes:
        parts = dict(fields(request))
        contents = dict(fields(parts[5])).get(5)
        text = (dict(fields(contents))[8] if contents is not None else parts[7][4:]).decode()
        if text == "boom":
            return (grpc.StatusCode.INVALID_ARGUMENT, "too hot")  # type: ignore[return-value]
        if text == "picture":
            output = message((1, "text"), (2, "BYTES"), (3, b"\1"), (5, message((8, b"\x89\xff"))))
            return message((1, "m"), (3, "1"), (5, output))
        return answer(f"you said {text}")

    spec = message((1, "text"), (2, "BYTES"), (3, b"\1"))
    server = Server(
        ModelMetadata=message((1, "m"), (2, "1"), (4, spec), (5, spec)),
        ModelReady=message((1, 1)),
        ModelInfer=echo,
        ModelStreamInfer=lambda _: [answer("a"), answer("b"), (grpc.StatusCode.INTERNAL, "too hot")],
    )
    with serving(server) as target:
        models = {"mine": ModelConfig("mine", (f"grpc://{target}",), model="m")}
        gateway = Gateway(GatewayConfig(models, protocol=True))

        def ask(path: str, body: Any = None, headers: Any = None) -> Response:
            content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
            request = Request("GET" if body is None else "POST", path, "", Headers(headers or {}), content)
            made = gateway(request)
            found = made if isinstance(made, Response) else run(made, gateway.world)
            if not isinstance(found.body, bytes):
                found = found._replace(body=b"".join(iterate(found.body, gateway.world)))
            return found

        assert ask("/v2/models/mine").json()["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [1]}]
        assert ask("/v2/models/mine/ready").status == 200
        tensor = {"name": "text", "datatype": "BYTES", "shape": [1]}
        body = {"id": "7", "inputs": [{**tensor, "data": ["hi"]}], "parameters": {"a": True}}
        said = ask("/v2/models/mine/versions/3/infer", body)
        assert said.json() == {"model_name": "m", "id": "1", "outputs": [{**tensor, "data": ["you said hi"]}]}
        sent = dict(fields(server.asked[-1][1]))
        assert (sent[1], sent[2], sent[3]) == (b"m", b"3", b"7")

        head = {
            "inputs": [{**tensor, "parameters": {"binary_data_size": 6}}],
            "parameters": {"binary_data_output": True},
        }
        text = json.dumps(head).encode()
        said = ask("/v2/models/mine/infer", text + b"\2\0\0\0hi", {"Inference-Header-Content-Length": str(len(text))})
        length = int(said.headers["inference-header-content-length"])
        assert said.content[length:] == b"\x0b\0\0\0you said hi"
        assert json.loads(said.content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 15}

        said = ask("/v2/models/mine/infer_stream", body)
        assert said.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(each[6:]) for each in said.content.decode().strip().split("\n\n")]
        assert [each["outputs"][0]["data"] for each in events[:2]] == [["a"], ["b"]]
        assert "too hot" in events[2]["error"]

        for refused, status, why in (
            (ask("/v2/models/mine/infer", {"inputs": [{**tensor, "data": ["boom"]}]}), 400, "too hot"),
            (ask("/v2/models/mine/infer", {"inputs": [{**tensor, "data": ["picture"]}]}), 502, "binary_data_output"),
            (ask("/v2/models/mine/infer", {"input": []}), 400, "no request of the protocol"),
            (ask("/v2/models/mine/infer", b"{"), 400, "no request of the protocol"),
            (ask("/v2/models/mine/generate", {}), 501, "no `generate`"),
        ):
            assert refused.status == status
            assert why in refused.json()["error"]


@drives
def test_closing_lets_go_and_asking_again_connects_anew(drive: Drive) -> None:
    with serving(Server(ModelInfer=answer("x"))) as target:
        oip = at(target)
        oip.close()
        for _ in range(2):
            assert words(drive(oip.infer(asked()))) == "x"
            oip.close()


def test_without_grpcio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ImportError, match=r'pip install "antiphon\[gateway\]"'):
        at("localhost:1")
    at_rest = connect("http://localhost:1", ModelConfig("m", ("http://localhost:1",)))
    at_rest.close()
