"""Tokens of common texts by the tables: always what the whole vocabulary says."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from antiphon.server import merging
from codegen.merges import NAMES, generate

ROOT = Path(merging.__file__).parents[1]
ASCII = [chr(code) for code in range(128)]
OTHERS = [chr(code) for code in range(128, 0x20000) if not 0xD800 <= code < 0xE000 and merging.tells(chr(code))]
PROSE = """
\u201cL\u2019\u00c9t\u00e9 \u00e0 Gda\u0144sk\u2026\u201d \u2013 \u00abGR\u00d6SSE\u00bb, Stra\u00dfe; \u00bfqu\u00e9 ma\u00f1ana? \u20ac5\u00a0000,\u00bd n\u00ba\u00aa 5 \u00b5m\u00b2
\u2192 \u2714 done \U0001f9e0\U0001f680 \u2764\ufe0f\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea Don\u2019t DON'T \u00e9'S caf\u00e9's \u0130I\u0131
"""
CODE = """
def greet(name: str = "you'RE") -> None:\r
\tif not name:  # it's "empty"\n\n\n        return\n
    print(f"Hello, {name}!!!", {"a": [1, 22, 333, 4444, 0x55555]})   \t
HTTPServer.doesn'T(); I'LL; we've; 'tis; rock'n'roll; /usr/bin//env\n//\r\n
"""
ENDINGS = ["'s", "'S", "'t", "'T", "'m", "'d", "'D", "'re", "'Re", "'rE", "'RE", "'ve", "'VE", "'ll", "'Ll", "'x", "'"]


@cache
def vocabulary(name: str) -> Any:
    return import_module("toktok")._encoding(name)


@cache
def table(name: str) -> merging.Table:
    return merging.table(name)


def agrees(name: str, text: str) -> None:
    ours, exact = table(name), vocabulary(name)
    told = exact.encode_with_offsets(text)
    assert ours.encode_with_offsets(text) == told
    assert ours.encode_with_offsets(text, "char") == exact.encode_with_offsets(text, "char")
    assert ours.encode_ordinary(text) == told[0]
    assert ours.count(text) == len(told[0])


RUNS = st.builds(
    lambda unit, times: unit * times,
    st.sampled_from([" ", "\n", "\r", "\r\n", "\t", "\x0b", "\x0c", "\x1c", "0", "a", "A", "aB", "-", "=", "/", "' "]),
    st.integers(1, 150),
)
WORDS = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzETAOIN"), min_size=1, max_size=12)
TEXTS = st.lists(
    st.one_of(
        RUNS,
        WORDS,
        st.builds("{}{}".format, WORDS, st.sampled_from(ENDINGS)),
        st.text(st.sampled_from("0123456789"), min_size=1, max_size=9),
        st.text(st.sampled_from(" \n\r\t"), min_size=1, max_size=6),
        st.text(st.sampled_from(ASCII), max_size=12),
        st.text(st.sampled_from(OTHERS), max_size=6),
        st.text(
            st.sampled_from([*"\xa0\xad\xaa\xb5\xbd\xd7\xe9\xc9\xdf\u0130\u0149\u2019\u2026\u20ac\ufe0f\u200daAs' 1"]),
            max_size=9,
        ),
        st.text(st.sampled_from("!/(){}[]<>|;:.,_'\" \n"), max_size=8),
    ),
    max_size=12,
).map("".join)


@given(TEXTS, st.sampled_from(list(NAMES)))
@example(CODE, "o200k_base")
@example(CODE, "cl100k_base")
@example(PROSE, "o200k_base")
@example(PROSE, "cl100k_base")
@example("", "o200k_base")
@settings(max_examples=300, deadline=None)
def test_texts_are_told_as_the_vocabulary_tells_them(text: str, name: str) -> None:
    agrees(name, text)


@pytest.mark.parametrize("name", NAMES)
def test_each_short_text_of_one_character_of_a_kind(name: str) -> None:
    count, exact = table(name).count, vocabulary(name).count
    for size in range(1, 5):
        for each in product("sLR1' \n\r\t/!", repeat=size):
            text = "".join(each)
            assert count(text) == exact(text), text
    for one, two in product(ASCII, ASCII):
        assert count(f"{one}{two}a") == exact(f"{one}{two}a"), (one, two)
    for each in OTHERS:
        text = f"{each}A{each}a{each}{each} {each}1{each}'s\n{each}\n{each}/ B{each}b"
        assert count(text) == exact(text), each


def test_the_tables_are_those_of_the_vocabularies_and_each_token_is_told_alike() -> None:
    for path, content in generate():
        assert (ROOT / path).read_bytes() == content
        name = Path(path).stem
        ours, exact = table(name).encode_ordinary, vocabulary(name)
        there = 0
        for number in range(0, NAMES[name], 3):
            raw = exact.decode_single_token_bytes(number)
            if raw.isascii() or merging.tells(raw.decode("utf-8", "surrogateescape")):
                there += 1
                token = raw.decode()
                assert ours(token) == exact.encode_ordinary(token)
        assert there > 30_000


@pytest.mark.parametrize("unit", [" ", "a", "ab", "-", "\n", "0", "aZ9/", "qx"])
def test_work_grows_with_the_length_of_a_run(unit: str) -> None:
    agrees("o200k_base", unit * (20_000 // len(unit)))


def told(program: str) -> str:
    """What a new process says that has counted nothing yet."""
    begin = "import sys\nfrom antiphon.server import tokens\nloaded = lambda: 'toktok' in sys.modules\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + program], check=True, timeout=120, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def test_short_western_texts_never_load_the_vocabulary() -> None:
    program = """
for model in ("gpt-5", "gpt-4"):
    tokens.prepare(model)
    assert tokens.count("Hello there, how are you?", model) == 7
    assert tokens.starts("tiktoken is great!", model) == [0, 1, 3, 8, 11, 17] or model == "gpt-5"
assert tokens.encode("tiktoken is great!", "gpt-4") == [83, 1609, 5963, 374, 2294, 0]
assert tokens.pieces("hello world", "gpt-4o") == [(24912, "hello", b"hello"), (2375, " world", b" world")]
assert tokens.message_tokens([{"role": "user", "content": "What is this?"}]) == 11
assert tokens.encode("na\\u00efve") == [1503, 9954, 737]
assert tokens.starts("\\u00e9t\\u00e9 \\U0001f9e0.") == [0, 3, 5, 5, 5]
assert [each.text for each in tokens.pieces("hi \\U0001f9e0", "gpt-4")] == ["hi", " ", "", "\\U0001f9e0"]
print(loaded(), list(tokens._loaded))
"""
    assert told(program) == "False []"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('tokens.count("\\u043c\\u0438\\u0440")', "2"),
        ('tokens.count("half \\ud800")', "2"),
        ('tokens.count("word " * 7000)', "7001"),
        ('tokens.encode("\\u043f\\u0440\\u0438\\u0432\\u0435\\u0442")', "[9501, 131903]"),
        ('tokens.starts("\\u6642\\u9593 1")', "[0, 2, 3]"),
        ('len(tokens.pieces("word " * 7000))', "7001"),
        ("tokens.decode([24912])", "hello"),
    ],
)
def test_other_texts_are_told_by_the_vocabulary(call: str, expected: str) -> None:
    program = f"""
before = tokens.count("hello")
print({call}, loaded(), tokens._tables, before == tokens.count("hello"), tokens.count("hello again"))
"""
    assert told(program) == f"{expected} True {{}} True 2"


def test_who_counts_much_gets_the_vocabulary_in_the_background() -> None:
    program = """
import time
count = tokens.counter()
counts, seen = {}, 0
while seen <= 500_000:
    text = f"{len(counts)} bottles of beer on the wall, " * 3
    counts[text] = count(text)
    seen += len(text)
print(loaded(), end=" ")
while not tokens._loaded:
    text = f"{len(counts)} bottles of beer on the wall, " * 3
    counts[text] = count(text)
    time.sleep(0.002)
exact = tokens._loaded["o200k_base"].count
print(list(tokens._loaded), [text for text in counts if counts[text] != exact(text)], count("It is here now"))
"""
    assert told(program) == "False ['o200k_base'] [] 4"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes fork on Unix only")
def test_a_process_forked_while_the_vocabulary_loads_can_count() -> None:
    program = """
import os, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of every fork beside threads
tokens.preload()
while not tokens._loading.locked() and not tokens._loaded: time.sleep(0.0005)
child = os.fork()
if not child:
    os._exit(tokens.count("\\u043c\\u0438\\u0440"))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), tokens.count("\\u043c\\u0438\\u0440"))
"""
    assert told(program) == "2 2"


def test_threads_that_count_at_once_agree() -> None:
    program = """
from threading import Thread
texts = [f"Item {number} costs {number * 7} dollars and isn't here" for number in range(3000)]
results = [[] for _ in range(4)]
def run(into, order):
    for text in texts[::order]: into.append(tokens.count(text))
threads = [Thread(target=run, args=(into, order)) for into, order in zip(results, (1, -1, 1, -1))]
for thread in threads: thread.start()
tokens.preload()
for thread in threads: thread.join()
exact = __import__("toktok")._encoding("o200k_base").count
print([result[::order] == [exact(text) for text in texts] for result, order in zip(results, (1, -1, 1, -1))])
"""
    assert told(program) == "[True, True, True, True]"


def test_a_fake_that_is_asked_a_little_never_loads_the_vocabulary() -> None:
    program = """
from antiphon.fake import FakeOpenAI
client = FakeOpenAI().client()
messages = [{"role": "user", "content": "Hello there, how are you?"}]
answer = client.chat.completions.create(model="gpt-5", messages=messages, max_completion_tokens=20, logprobs=True)
assert answer.usage.prompt_tokens == 14 and len(answer.choices[0].logprobs.content) == answer.usage.completion_tokens
with client.chat.completions.create(model="gpt-4", messages=messages, stream=True) as stream:
    assert len(list(stream)) > 10
assert client.responses.create(model="gpt-5", input="Hello").usage.output_tokens > 10
assert client.embeddings.create(model="text-embedding-3-small", input=["one two", "three"]).usage.prompt_tokens == 3
print(loaded())
for text, count in (("Guten Tag, wie gehts? Sch\\u00f6n!", 17), ("Guten Tag, \\u043c\\u0438\\u0440!", 13)):
    messages[0]["content"] = text
    assert client.chat.completions.create(model="gpt-5", messages=messages).usage.prompt_tokens == count
    print(loaded())
"""
    assert told(program).split() == ["False", "False", "True"]
