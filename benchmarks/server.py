"""Requests and streams a second: `antiphon serve`, a bare granian application, and aimock, in one run.

    make bench            or: python benchmarks/server.py [--rounds 5] [--seconds 3] [--connections 16] [--profile FILE]

The bare application answers every request with the bytes that `antiphon serve` answers, which it was given when it
began: it is what granian and the machine can do with an application that does nothing. It is run with the same
granian, event loop and options. It exists twice for streams: with a write for every chunk, which is how a stream
is made, and with one write for all. aimock is asked the same with one fixture that catches everything.

The subjects take turns, round by round, and the ratios are medians of the rounds, so what else the machine does
hits all alike. Needs wrk (Debian's package `wrk`); aimock is fetched from the npm registry once, into `.cache/bench`,
and passed over where npm or node is missing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
AIMOCK = "@copilotkit/aimock@1.43.0"
CHUNKS = 100
PATH = "/v1/chat/completions"
WORDS = "the quick brown fox jumps over a lazy dog while seven small birds sing about rain and wind".split()


def question(stream: bool, text: str) -> str:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    return json.dumps({**body, "stream": True} if stream else body)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, body: str) -> tuple[list[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"}
        connection.request("POST", PATH, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"{response.status}: {answer[:300]!r}")
        kept = [(k.lower(), v) for k, v in response.getheaders() if k.lower() in KEPT or k.lower().startswith("x-")]
        return kept, answer
    finally:
        connection.close()


KEPT = {"content-type", "openai-processing-ms", "openai-version", "openai-organization", "cache-control"}


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=CACHE)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} did not start") from None
                time.sleep(0.05)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, body: str, seconds: float, connections: int) -> float:
    script = CACHE / f"ask-{port}.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
        'wrk.headers["Authorization"] = "Bearer sk-bench"\n'
        f"wrk.body = [==[{body}]==]\n"
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}{PATH}"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(out.strip())
    found = re.search(r"Requests/sec:\s*([\d.]+)", out)
    assert found is not None, out
    return float(found[1])


def bare(port: int, constant: Path, way: str) -> None:
    """Serve constants: the process that the benchmark runs this file as."""
    from antiphon.hosting import embedded, run
    from antiphon.hosting.rsgi import RSGI

    answers = json.loads(constant.read_text())
    headers = [(name, value) for name, value in answers["headers"]]
    body = answers["body"].encode()
    chunks = [chunk + b"\n\n" for chunk in body.split(b"\n\n") if chunk]

    async def whole(self: RSGI, scope: object, protocol: run.Any) -> None:
        protocol.response_bytes(200, headers, body)

    async def read(self: RSGI, scope: object, protocol: run.Any) -> None:
        await protocol()
        protocol.response_bytes(200, headers, body)

    async def chunked(self: RSGI, scope: object, protocol: run.Any) -> None:
        send = protocol.response_stream(200, headers).send_bytes
        for chunk in chunks:
            await send(chunk)

    async def together(self: RSGI, scope: object, protocol: run.Any) -> None:
        await protocol.response_stream(200, headers).send_bytes(body)

    embedded.spawner = lambda app: None  # as granian itself calls an application
    RSGI.__rsgi__ = {"whole": whole, "read": read, "chunked": chunked, "together": together}[way]  # type: ignore[assignment, method-assign]
    run.serve_until_signalled(lambda request: None, run.bind("127.0.0.1", port))  # type: ignore[arg-type, return-value]


def constant_server(stack: ExitStack, ours: int, body: str, way: str) -> tuple[int, int]:
    headers, answer = ask(ours, body)
    port = free_port()
    file = CACHE / f"constant-{port}.json"
    file.write_text(json.dumps({"headers": headers, "body": answer.decode()}))
    command = [sys.executable, __file__, "--bare", str(port), "--constant", str(file), "--way", way]
    return port, stack.enter_context(running(command, port))


def aimock_server(stack: ExitStack, text: str) -> tuple[int, int] | None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("aimock: passed over, since node and npm are not both installed")
        return None
    cli = CACHE / "node_modules/@copilotkit/aimock/dist/cli.js"
    if not cli.exists():
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), AIMOCK],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"aimock: passed over, since npm could not install it: {done.stderr.strip().splitlines()[-1:]}")
            return None
    fixtures = CACHE / "fixtures"
    fixtures.mkdir(exist_ok=True)
    (fixtures / "all.json").write_text(json.dumps({"fixtures": [{"match": {}, "response": {"content": text}}]}))
    port = free_port()
    # Chunks of so many characters that there are as many of them as of ours.
    size = max(1, -(-len(text) // (CHUNKS - 2)))
    command = ["node", str(cli), "-p", str(port), "-f", str(fixtures), "-c", str(size), "--log-level", "silent"]
    return port, stack.enter_context(running(command, port))


def answer_of(port: int, length: int) -> str:
    """A text whose echo is streamed by the server at this port in `CHUNKS` events."""
    for words in range(length, 4 * length):
        text = " ".join(WORDS[i % len(WORDS)] for i in range(words))
        if ask(port, question(True, text))[1].count(b"data: ") >= CHUNKS:
            return text
    raise SystemExit("no text gives so many chunks")


def measure(options: argparse.Namespace) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        port = free_port()
        serve = [str(Path(sys.executable).parent / "antiphon"), "serve", "--port", str(port), "--log", options.log]
        pid = stack.enter_context(running([*serve, "--engine", "echo"], port))
        plain_port = free_port()
        serve[serve.index(str(port))] = str(plain_port)
        plain_pid = stack.enter_context(running(serve, plain_port))
        text = answer_of(port, CHUNKS - 20)
        chat, stream = question(False, "Hello there, how are you today?"), question(True, text)
        answer = json.loads(ask(plain_port, chat)[1])["choices"][0]["message"]["content"]
        events = ask(port, stream)[1].count(b"data: ")
        print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {options}")
        print(f"chat: {len(answer)} characters; stream: {events} events, {len(text)} characters")

        groups: dict[str, dict[str, tuple[int, int, str]]] = {
            "chat completions": {
                "antiphon serve": (plain_port, plain_pid, chat),
                "bare, body not read": (*constant_server(stack, plain_port, chat, "whole"), chat),
                "bare, body read": (*constant_server(stack, plain_port, chat, "read"), chat),
            },
            f"streams of {events} chunks": {
                "antiphon serve": (port, pid, stream),
                "bare, a write a chunk": (*constant_server(stack, port, stream, "chunked"), stream),
                "bare, one write": (*constant_server(stack, port, stream, "together"), stream),
            },
        }
        for name, said, body in (("chat completions", answer, chat), (f"streams of {events} chunks", text, stream)):
            found = aimock_server(stack, said)
            if found is not None:
                groups[name]["aimock"] = (*found, body)
                got = ask(found[0], body)[1]
                print(f"aimock, {name}: {got.count(b'data: ') or len(got)} {'events' if b'data: ' in got else 'bytes'}")
        for name, subjects in groups.items():
            report(name, subjects, options)


def report(name: str, subjects: dict[str, tuple[int, int, str]], options: argparse.Namespace) -> None:
    rates: dict[str, list[float]] = {subject: [] for subject in subjects}
    costs: dict[str, list[float]] = {subject: [] for subject in subjects}
    for port, _, body in subjects.values():
        load(port, body, 1, options.connections)
    for _ in range(options.rounds):
        for subject, (port, pid, body) in subjects.items():
            began = cpu_seconds(pid)
            rate = load(port, body, options.seconds, options.connections)
            rates[subject].append(rate)
            costs[subject].append((cpu_seconds(pid) - began) / (rate * options.seconds) * 1e6)
    print(f"\n{name}\n{'':28}{'per second':>12}{'CPU µs each':>13}{'antiphon is':>13}")
    ours = rates["antiphon serve"]
    for subject in subjects:
        ratio = statistics.median(a / b for a, b in zip(ours, rates[subject], strict=True))
        rate, cost = statistics.median(rates[subject]), statistics.median(costs[subject])
        print(f"  {subject:26}{rate:12,.0f}{cost:13.1f}{ratio:12.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--log", default="off", help="what `antiphon serve` logs (default: off)")
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--constant", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare is not None:
        bare(options.bare, options.constant, options.way)
        return
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk: apt-get install wrk")
    measure(options)


if __name__ == "__main__":
    main()
