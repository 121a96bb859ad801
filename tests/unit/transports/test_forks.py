"""One client survives forks: children of any generation send with it, and what the parent had is unharmed."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from tests.unit.client.wire import STREAM, Wire, chunk, reply
from tests.unit.client.worlds import MODEL
from tests.unit.transports.test_network import script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

BEGIN = """
import asyncio, multiprocessing, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which is what this is about
from antiphon import APIConnectionError, AsyncOpenAI, OpenAI
client = OpenAI(api_key="k", base_url=sys.argv[1])
aclient = AsyncOpenAI(api_key="k", base_url=sys.argv[1])

def say(*words):
    print(*words, flush=True)

def asked(n=3):
    return {client.models.retrieve("m").id for _ in range(n)}

async def awaited(n=3):
    return {model.id for model in await asyncio.gather(*[aclient.models.retrieve("m") for _ in range(n)])}

def streamed():
    with client.completions.create(model="m", prompt="p", stream=True) as stream:
        return [event.id for event in stream]

async def astreamed():
    async with await aclient.completions.create(model="m", prompt="p", stream=True) as stream:
        return [event.id async for event in stream]

def everything(who):
    say(who, asked(), asyncio.run(awaited()), streamed(), asyncio.run(astreamed()))

def in_child(function, *arguments, ends=os._exit):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    try:
        function(*arguments)
    except BaseException as error:
        say("failed:", repr(error))
    ends(0)
"""
ALL = "{'m'} {'m'} ['c', 'c'] ['c', 'c']"


def answer(received: Any) -> Any:
    if received.method == "POST":
        return (STREAM, chunk(b'data: {"id": "c"}\n\n'), chunk(b'data: {"id": "c"}\n\ndata: [DONE]\n\n'), b"0\r\n\r\n")
    return reply(MODEL)


def said_by(code: str) -> list[str]:
    with Wire(answer) as server:
        result = script(BEGIN + code, server.base)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout + result.stderr
    return result.stdout.splitlines()


def test_before_anything_was_sent() -> None:
    assert said_by("in_child(everything, 'child')\neverything('parent')") == [f"child {ALL}", f"parent {ALL}"]


@pytest.mark.parametrize("ends", ["os._exit", "sys.exit"])
def test_after_requests_and_the_parent_goes_on(ends: str) -> None:
    code = f"""
everything("parent")
in_child(everything, "child", ends={ends})
everything("parent")
in_child(everything, "another", ends={ends})
everything("parent")
"""
    assert said_by(code) == [f"{who} {ALL}" for who in ("parent", "child", "parent", "another", "parent")]


def test_generation_after_generation() -> None:
    code = """
def generation(n):
    everything(n)
    if n < 4:
        in_child(generation, n + 1)
    everything(n)
generation(1)
"""
    assert said_by(code) == [f"{n} {ALL}" for n in (1, 2, 3, 4, 4, 3, 2, 1)]


def test_multiprocessing() -> None:
    code = """
def work(n):
    return sorted(asked()) + sorted(asyncio.run(awaited()))
if __name__ == "__main__":
    say(asked())
    with multiprocessing.get_context("fork").Pool(3) as pool:
        say(pool.map(work, range(6)) == [["m", "m"]] * 6)
    say(asked())
"""
    assert said_by(code) == ["{'m'}", "True", "{'m'}"]


def test_a_stream_that_is_under_way_stays_with_the_parent() -> None:
    code = """
stream = client.completions.create(model="m", prompt="p", stream=True)
say(next(stream).id)
def read():
    try:
        next(stream)
    except APIConnectionError as error:
        say(error)
    stream.close()
    say(asked())
in_child(read, ends=sys.exit)
say([event.id for event in stream], asked())
"""
    lines = said_by(code)
    assert lines[0] == "c"
    assert re.search("forked", lines[1])
    assert lines[2:] == ["{'m'}", "['c'] {'m'}"]


def test_a_fork_in_a_thread_while_others_send() -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
asked()  # so that no thread is importing when another forks, which Python itself does not survive
streamed()
with ThreadPoolExecutor(4) as pool:
    asking = [pool.submit(asked, 30) for _ in range(4)]
    for n in range(5):
        in_child(everything, n)
    say([each.result() for each in asking] == [{"m"}] * 4)
"""
    assert said_by(code) == [*(f"{n} {ALL}" for n in range(5)), "True"]


def test_a_fork_while_a_token_is_fetched() -> None:
    code = """
import threading, time
from antiphon.kernel.http import Request, json_response
fetching, parent = threading.Event(), os.getpid()
def get_token():
    fetching.set()
    time.sleep(0.5 if os.getpid() == parent else 0)
    return "subject"
def handler(request):
    if request.path.endswith("/token"):
        return json_response(200, {"access_token": "t", "expires_in": 3600})
    return json_response(200, {"id": request.headers["authorization"]})
identity = {"identity_provider_id": "i", "service_account_id": "s", "provider": {"token_type": "jwt", "get_token": get_token}}
client = OpenAI(workload_identity=identity, transport=handler)
handler(Request("GET", "/token"))
OpenAI(api_key="k", transport=handler).models.retrieve("m")  # what calls import is imported
thread = threading.Thread(target=lambda: say(client.models.retrieve("m").id))
thread.start()
fetching.wait()
in_child(lambda: say("child", client.models.retrieve("m").id))
thread.join()
"""
    assert said_by(code) == ["child Bearer t", "Bearer t"]
