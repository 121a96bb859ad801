"""How connections are made: through proxies of every kind, over TLS with certificates of either side, as HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
import trustme

from antiphon import APIConnectionError, AsyncOpenAI, AzureOpenAI, NetworkTransport, OpenAI
from antiphon.transports.standard import StandardTransport
from tests.unit.client.wire import Wire, reply
from tests.unit.client.worlds import MODEL, both

KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
SENDERS = pytest.mark.parametrize("sender", [lambda made: made, StandardTransport], ids=["pyreqwest", "standard"])


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def asked(kind: Any, base: str, transport: Any) -> Any:
    client = kind(api_key="k", base_url=base, transport=transport, max_retries=0, timeout=10)

    async def awaited() -> Any:
        async with client:
            return await client.models.retrieve("m")

    try:
        if kind is AsyncOpenAI:
            return asyncio.run(awaited())
        with client:
            return client.models.retrieve("m")
    except APIConnectionError as error:
        return error


# Proxies


@dataclass
class Proxy:
    """A proxy that leads every connection to one address: SOCKS5, SOCKS4 and CONNECT."""

    leads_to: tuple[str, int]
    asked: list[tuple[str, Any]] = field(default_factory=list)
    """The kind, and what was asked for."""
    users: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.at = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            file = peer.makefile("rb")
            first = file.read(1)
            {b"\x05": self._socks5, b"\x04": self._socks4}.get(first, self._connect)(peer, file)
            with socket.create_connection(self.leads_to) as onward:
                threading.Thread(target=self._copy, args=(onward, peer), daemon=True).start()
                self._copy(peer, onward)

    def _socks5(self, peer: socket.socket, file: Any) -> None:
        methods = file.read(file.read(1)[0])
        if 2 in methods:
            peer.sendall(b"\x05\x02")
            file.read(1)
            user = file.read(file.read(1)[0])
            self.users.append(user + b":" + file.read(file.read(1)[0]))
            peer.sendall(b"\x01\x00")
        else:
            peer.sendall(b"\x05\x00")
        kind = file.read(4)[3]
        host = file.read(file.read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(file.read(4))
        self.asked.append(("socks5h" if kind == 3 else "socks5", host))
        file.read(2)
        peer.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")

    def _socks4(self, peer: socket.socket, file: Any) -> None:
        _, _, address = file.read(1), file.read(2), file.read(4)
        while file.read(1) != b"\x00":
            pass
        self.asked.append(("socks4", socket.inet_ntoa(address)))
        peer.sendall(b"\x00\x5a\x00\x00\x00\x00\x00\x00")

    def _connect(self, peer: socket.socket, file: Any) -> None:
        method, target, _ = file.readline().decode().split()  # its first letter was read
        while (line := file.readline().strip().lower()) != b"":
            if line.startswith(b"proxy-authorization: "):
                self.users.append(line.partition(b": ")[2])
        self.asked.append((f"C{method}", target))
        peer.sendall(b"HTTP/1.1 200 Established\r\n\r\n")

    def _copy(self, here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := here.recv(65536):
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)


@KINDS
@pytest.mark.parametrize(
    ("address", "host", "expected"),
    [
        ("socks5h://{at}", "api.test", ("socks5h", "api.test")),
        ("socks5://{at}", "localhost", ("socks5", "127.0.0.1")),
        ("socks4://{at}", "localhost", ("socks4", "127.0.0.1")),
    ],
)
def test_socks(kind: Any, address: str, host: str, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(lambda received: reply(MODEL)) as server, Proxy(("127.0.0.1", server.port)) as proxy:
        through = address.format(at=proxy.at)
        assert asked(kind, f"http://{host}/v1", NetworkTransport(proxy=through)).id == "m"
        assert proxy.asked == [expected]
        monkeypatch.setenv("ALL_PROXY", through)
        assert asked(kind, f"http://{host}/v1", None).id == "m"
        assert proxy.asked == [expected] * 2
        assert server.received[0].header("host") == host


@KINDS
def test_a_proxy_that_wants_to_know_who_asks(kind: Any) -> None:
    with Wire(lambda received: reply(MODEL)) as server, Proxy(("127.0.0.1", server.port)) as proxy:
        transport = NetworkTransport(proxy=f"socks5h://me:se%40cret@{proxy.at}")
        assert asked(kind, "http://api.test/v1", transport).id == "m"
        assert proxy.users == [b"me:se@cret"]
        assert server.received[0].header("proxy-authorization") is None


def test_proxies_that_cannot_be() -> None:
    for address in ("proxy:8080", "ftp://proxy", "socks5://", "http://"):
        with pytest.raises(ValueError, match="proxy is an address such as"):
            NetworkTransport(proxy=address)


# TLS


@dataclass
class Secure:
    """A server over TLS in front of a `Wire`, its certificate by an authority of its own."""

    directory: Path
    wants_ours: bool = False
    names: list[Any] = field(default_factory=list)
    """The certificates clients had."""

    def __post_init__(self) -> None:
        self.authority = trustme.CA()
        self.roots = self.directory / "roots.pem"
        self.roots.write_bytes(trustme.CA().cert_pem.bytes() + b"\n" + self.authority.cert_pem.bytes())
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("localhost", "api.test").configure_cert(self.context)
        if self.wants_ours:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.authority.configure_trust(self.context)

    def __enter__(self) -> Self:
        self._wire = Wire(lambda received: reply(MODEL)).__enter__()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.base = f"https://localhost:{self.port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()
        self._wire.__exit__()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer, self.context.wrap_socket(peer, server_side=True) as secure:
            self.names.append(secure.getpeercert())
            with socket.create_connection(("127.0.0.1", self._wire.port)) as onward:
                while data := secure.recv(65536):
                    onward.sendall(data)
                    secure.sendall(onward.recv(65536))


@SENDERS
@KINDS
def test_authorities_of_one_s_own(kind: Any, sender: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Secure(tmp_path) as server:
        refused = asked(kind, server.base, sender(NetworkTransport()))
        assert type(refused) is APIConnectionError
        assert "certificate" in repr(refused.__cause__).lower()
        for verify in (False, server.roots, str(server.roots)):
            assert asked(kind, server.base, sender(NetworkTransport(verify=verify))).id == "m"
        other = asked(
            kind, server.base.replace("localhost", "127.0.0.1"), sender(NetworkTransport(verify=server.roots))
        )
        assert type(other) is APIConnectionError  # it is not the one the certificate is for
        monkeypatch.setenv("SSL_CERT_FILE", str(server.roots))
        assert asked(kind, server.base, sender(NetworkTransport())).id == "m"


@SENDERS
@KINDS
def test_certificates_of_one_s_own(kind: Any, sender: Any, tmp_path: Path) -> None:
    with Secure(tmp_path, wants_ours=True) as server:
        ours = server.authority.issue_cert("me@example.com", common_name="me")
        cert, key, whole = (tmp_path / name for name in ("cert.pem", "key.pem", "both.pem"))
        cert.write_bytes(b"".join(each.bytes() for each in ours.cert_chain_pems))
        key.write_bytes(ours.private_key_pem.bytes())
        whole.write_bytes(ours.private_key_and_cert_chain_pem.bytes())
        assert type(asked(kind, server.base, sender(NetworkTransport(verify=server.roots)))) is APIConnectionError
        for given in (whole, str(whole), (cert, key)):
            assert asked(kind, server.base, sender(NetworkTransport(verify=server.roots, cert=given))).id == "m"
        assert "me" in repr(server.names)


@SENDERS
@KINDS
def test_https_through_a_proxy(kind: Any, sender: Any, tmp_path: Path) -> None:
    with Secure(tmp_path) as server, Proxy(("127.0.0.1", server.port)) as proxy:
        transport = sender(NetworkTransport(proxy=f"http://me:secret@{proxy.at}", verify=server.roots))
        assert asked(kind, "https://api.test/v1", transport).id == "m"
        assert proxy.asked == [("CONNECT", "api.test:443")]
        assert proxy.users == [b"basic bwu6c2vjcmv0"]


@KINDS
def test_their_client_brings_its_own_certificates(kind: Any, tmp_path: Path) -> None:
    with Secure(tmp_path) as server:
        context = ssl.create_default_context(cafile=str(server.roots))
        client = httpx2.Client(verify=context) if kind is OpenAI else httpx2.AsyncClient(verify=context)
        assert asked(kind, server.base, client).id == "m"


def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    (tmp_path / "only.pem").write_bytes(trustme.CA().cert_pem.bytes())
    with pytest.raises(ValueError, match="no certificate in"):
        NetworkTransport(verify=tmp_path / "empty.pem")
    with pytest.raises(ValueError, match="a certificate and its key"):
        NetworkTransport(cert=tmp_path / "only.pem")
    for settings in ({"verify": tmp_path / "none.pem"}, {"cert": tmp_path / "none.pem"}):
        with pytest.raises(FileNotFoundError):
            NetworkTransport(**settings)


def test_limits_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="max_connections"):
        NetworkTransport(max_connections=0)
    with pytest.raises(ValueError, match="keepalive_expiry"):
        NetworkTransport(keepalive_expiry=-1)


@KINDS
def test_as_many_connections_as_one_likes(kind: Any) -> None:
    async def awaited(client: Any) -> None:
        await asyncio.gather(*[client.models.retrieve("m") for _ in range(12)])

    with Wire(lambda received: (0.02, reply(MODEL))) as server:
        transport = NetworkTransport(max_connections=3)
        client = kind(api_key="k", base_url=server.base, transport=transport)
        if kind is AsyncOpenAI:
            asyncio.run(awaited(client))
        else:
            with ThreadPoolExecutor(12) as pool:
                list(pool.map(lambda _: client.models.retrieve("m"), range(12)))
        assert len(server.received) == 12
        assert server.opened <= 3


@KINDS
@pytest.mark.parametrize("settings", [{"keepalive_expiry": 0.1}, {"max_keepalive_connections": 0}])
def test_idle_connections_are_kept_as_long_as_one_likes(kind: Any, settings: Any) -> None:
    with Wire(lambda received: reply(MODEL)) as server:
        client = kind(api_key="k", base_url=server.base, transport=NetworkTransport(**settings))
        for _ in range(2):
            both(lambda c: c.models.retrieve("m"), client)
            time.sleep(0.3)
        assert server.opened == 2


def test_clients_over_one_transport_follow_or_do_not(tmp_path: Path) -> None:
    azure: Any = {"api_key": "k", "api_version": "1"}
    with Wire(lambda received: reply(MODEL)) as server:
        transport = NetworkTransport()
        for _ in range(2):
            with AzureOpenAI(base_url=server.base, transport=transport, **azure) as client:
                assert client.models.retrieve("m").id == "m"
        assert server.wait_closed(2)


# HTTP/2


@pytest.fixture
def modern(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server that speaks HTTP/2 to those who offer it."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    for name, pems in (
        ("cert", made.cert_chain_pems),
        ("key", [made.private_key_pem]),
        ("roots", [authority.cert_pem]),
    ):
        (tmp_path / f"{name}.pem").write_bytes(b"".join(each.bytes() for each in pems))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def app(scope: Any, protocol: Any) -> None:
        protocol.response_bytes(
            200,
            [("content-type", "application/json"), ("x-spoken", scope.http_version)],
            reply(MODEL).partition(b"\r\n\r\n")[2],
        )

    server = Server(
        app,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.auto,
        log_enabled=False,
        ssl_cert=tmp_path / "cert.pem",
        ssl_key=tmp_path / "key.pem",
    )

    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            threading.Event().wait(0.02)
        yield f"https://localhost:{port}/v1", tmp_path / "roots.pem"
    finally:
        loops[0].call_soon_threadsafe(server.stop)
        thread.join(10)


@KINDS
def test_http_2(kind: Any, modern: tuple[str, Path]) -> None:
    base, roots = modern
    for http2, spoken in ((False, "1"), (True, "2")):
        transport = NetworkTransport(http2=http2, verify=roots)
        client = kind(api_key="k", base_url=base, transport=transport)
        (raw,) = both(lambda c: c.models.with_raw_response.retrieve("m"), client)
        assert raw.headers["x-spoken"].startswith(spoken)
        assert raw.http_version.startswith(f"HTTP/{spoken}")
        assert raw.parse().id == "m"
        transport.close() if kind is OpenAI else asyncio.run(transport.aclose())
