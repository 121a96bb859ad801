"""Searching: what is read of files, how it is cut, what is found, and what filters let through."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from math import isclose, log, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.kernel.errors import BadRequestError
from antiphon.server import index as indexes
from antiphon.server import tokens
from antiphon.server.chunks import AUTO, Strategy, Text, chunked
from antiphon.server.filtering import check, passes
from antiphon.server.index import Index
from antiphon.server.readers import Unreadable, read
from antiphon.server.words import asked, rewritten, terms

# Readers


def archive(**parts: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in parts.items():
            made.writestr(name.replace("__", "/") + ".xml", text)
    return file.getvalue()


def pdf(*lines: str) -> bytes:
    """A PDF file of one page."""
    shown = "".join(f"({line}) Tj T* " for line in lines)
    content = f"BT /F1 12 Tf 14 TL 50 700 Td {shown}ET"
    font = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << {font} >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return (
        out
        + (
            f"xref\n0 5\n0000000000 65535 f \n{table}trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
        ).encode()
    )


WORD = "<w:document xmlns:w='w'><w:body>%s</w:body></w:document>"
PARAGRAPH = "<w:p><w:r><w:t>Meet at</w:t></w:r><w:r><w:tab/><w:t>noon</w:t></w:r></w:p>"
PAGE = b"""<title>T&eacute;</title><style>b{}</style><p>one <b>two</b>\n three<br>four<ul><li>a<li>b</ul>
<table><tr><td>1<td>2<tr><td>3</table><img alt='a cat'>"""
SLIDE = "<p:sld xmlns:p='p' xmlns:a='a'><a:p><a:r><a:t>Slide %d</a:t></a:r></a:p></p:sld>"


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.txt", b"\xef\xbb\xbfone\r\ntwo\rthree", "one\ntwo\nthree"),
        ("a.TXT", "größer".encode("utf-16"), "größer"),
        ("a.md", b"# Title\n\n- item", "# Title\n\n- item"),
        ("a.b.py", b"x = 1\n", "x = 1\n"),
        ("a.json", b'{"a": "\\u00e9"}', '{\n  "a": "é"\n}'),
        ("a.json", b"{} // no JSON", "{} // no JSON"),
        ("a.csv", b'name;age\nBob;3\n"Al; x";\n', "name: Bob, age: 3\nname: Al; x"),
        ("a.csv", b"only\none\n", "only\none\n"),
        (
            "a.html",
            PAGE,
            "Té\none two three\nfour\na\nb\n1 2\n3\na cat",
        ),
        ("a.docx", archive(word__document=WORD % (PARAGRAPH + "<w:p/>" + PARAGRAPH)), "Meet at\tnoon\nMeet at\tnoon"),
        (
            "a.pptx",
            archive(**{f"ppt__slides__slide{n}": SLIDE % n for n in (10, 2, 1)}),
            "Slide 1\n\nSlide 2\n\nSlide 10",
        ),
        ("a.pdf", pdf("The guarantee lasts", "three years"), "The guarantee lasts\nthree years"),
    ],
)
def test_the_text_of_files(name: str, data: bytes, text: str) -> None:
    assert read(name, data) == text


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b"\0\0", "NUL"),
        ("a.docx", archive(word__document="<w:document"), "cannot be read"),
        ("a.docx", archive(word__document="<!DOCTYPE x [<!ENTITY e 'e'>]><x>&e;</x>"), "declares entities"),
        ("a.docx", archive(other=""), "no text"),
        ("a.docx", archive(word__document=" " * 70_000_000), "unpacks to more"),
        ("a.csv", b"a,b\n" * 30 + b"x" * 200_000 + b",1\n", "table cannot be read"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, data: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message) as caught:
        read(name, data)
    assert caught.value.code == "invalid_file"


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.html", "a.json", "a.csv"])
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@settings(max_examples=40, deadline=None)
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    try:
        assert read(name, data).strip()
    except Unreadable as error:
        told = error.code
    else:
        told = "invalid_file"
    assert told == "invalid_file"


# Chunks


@given(
    text=st.lists(st.sampled_from(["café ", "日本", "😀", "one two ", "\n\n", "\ud800", "x" * 30]), max_size=300).map(
        "".join
    ),
    size=st.integers(100, 200),
    part=st.floats(0, 0.5),
)
@settings(max_examples=50, deadline=None)
def test_chunks_cover_a_text(text: str, size: int, part: float) -> None:
    by = Strategy(size, int(size * part))
    cut = chunked(text, by)
    at = 0
    for start, end in cut.spans:
        assert start <= at < end  # nothing is left out, and none lies in the one before
        at = end
    assert at == len(cut.text)
    assert all(tokens.count(chunk, "text-embedding-3-large") <= size + 3 for chunk in cut.chunks)
    if not by.overlap:
        assert "".join(cut.chunks) == cut.text


def test_sizes_of_chunks() -> None:
    text = " ".join(f"word{n}" for n in range(2000))
    total = tokens.count(text, "text-embedding-3-large")
    cut = chunked(text, AUTO)
    sizes = [tokens.count(chunk, "text-embedding-3-large") for chunk in cut.chunks]
    assert all(abs(size - 800) <= 2 for size in sizes[:-1])
    assert len(sizes) == -(-(total - 400) // 400)
    assert cut.chunks[0][-200:] in cut.chunks[1]


# Words


def test_words() -> None:
    assert terms("Cats' CAFÉS, snake_case: 2026") == ["cat", "café", "snake", "case", "2026"]
    assert terms("queries query closes close class bus") == ["query", "query", "close", "close", "class", "bus"]
    assert terms("日本語") == ["日本", "本語"]
    assert rewritten("What is the return policy?") == "return policy"
    assert rewritten("What is it?") == "What is it?"
    assert asked("Who does this?") == terms("Who does this?")


# The index

WORDS = ["ant", "bee", "cat", "dog", "eel", "fox"]
DOCUMENTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12), min_size=1, max_size=25)


def naive(chunks: list[list[str]], query: list[str]) -> dict[int, float]:
    """BM25 by the book."""
    mean = sum(map(len, chunks)) / len(chunks)
    rarity = {}
    for word in set(query):
        having = sum(word in chunk for chunk in chunks)
        rarity[word] = log(1 + (len(chunks) - having + 0.5) / (having + 0.5))
    found = {}
    for number, chunk in enumerate(chunks):
        times = Counter(chunk)
        score = sum(
            weight * times[word] / (times[word] + 1.2 * (0.25 + 0.75 * len(chunk) / mean))
            for word, weight in rarity.items()
        )
        if score:
            found[number] = sqrt(score / sum(rarity.values()))
    return found


def filed(name: str, chunks: list[list[str]]) -> tuple[dict[str, Any], Text]:
    parts = [" ".join(words) + "\n" for words in chunks]
    ends = [sum(map(len, parts[: at + 1])) for at in range(len(parts))]
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    return {"id": name, "status": "completed", "created_at": 1}, Text("".join(parts), spans)


def placed(index: Index, scores: dict[int, float]) -> dict[tuple[str, int], float]:
    places = {number: index.place(number) for number in scores}
    return {(file.doc["id"], at): scores[number] for number, (file, at) in places.items()}


@given(
    chunks=DOCUMENTS, query=st.lists(st.sampled_from([*WORDS, "gnu"]), min_size=1, max_size=4), most=st.integers(1, 30)
)
@settings(deadline=None)
def test_words_are_weighed_by_the_book(chunks: list[list[str]], query: list[str], most: int) -> None:
    doc, text = filed("a", chunks)
    index = Index()
    index.sync([doc], lambda _: text)
    expected = naive(chunks, query)
    found = index.lexical(query, most)
    assert len(found) == min(most, len(expected))
    assert all(isclose(score, expected[number], rel_tol=1e-9) for number, score in found.items())
    assert all(score <= min(found.values()) + 1e-9 for number, score in expected.items() if number not in found)
    assert all(0 < score < 1 for score in found.values())


FILES = st.dictionaries(st.sampled_from("abcdef"), DOCUMENTS, max_size=5)


@given(states=st.lists(FILES, min_size=1, max_size=4), query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
@settings(deadline=None)
def test_an_index_that_followed_is_like_a_new_one(states: list[dict[str, Any]], query: list[str]) -> None:
    followed = Index()
    for moment, state in enumerate(states):
        files = {name: filed(name, chunks) for name, chunks in state.items()}
        docs = [{**doc, "created_at": (moment, len(state[doc["id"]]))} for doc, _ in files.values()]
        followed.sync(docs, lambda doc, files=files: files[doc["id"]][1])
        new = Index()
        new.sync(docs, lambda doc, files=files: files[doc["id"]][1])
        assert len(followed) == len(new) == sum(map(len, state.values()))
        got, expected = (placed(each, each.lexical(query, 1000)) for each in (followed, new))
        assert got.keys() == expected.keys()
        assert all(isclose(got[place], expected[place]) for place in got)
        within = [file for file in followed.files if file.doc["id"] in "abc"]
        inside = placed(followed, followed.lexical(query, 1000, within))
        assert inside == {place: score for place, score in got.items() if place[0] in "abc"}


def test_only_what_was_read_is_indexed() -> None:
    doc, text = filed("a", [["ant"]])
    index = Index()
    index.sync([{**doc, "status": "failed"}, {**doc, "id": "b", "status": "in_progress"}], lambda _: text)
    assert len(index) == 0
    assert index.lexical(["ant"], 5) == {}


def test_common_words_are_looked_up_where_they_are_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "_FEW", 20)
    monkeypatch.setattr(indexes, "_CHAMPIONS", 10)
    monkeypatch.setattr(indexes, "_CONTENDERS", 30)
    chunks = [["ant"] * (1 + n % 3) + ["bee"] * (n == 777) + ["cat"] * 3 for n in range(1000)]
    chunks[500] = ["ant"] * 9
    doc, text = filed("a", chunks)
    index = Index()
    index.sync([doc], lambda _: text)
    assert next(iter(placed(index, index.lexical(["ant"], 1)))) == ("a", 500)
    best = placed(index, index.lexical(["ant", "bee", "cat"], 5))
    expected = naive(chunks, ["ant", "bee", "cat"])
    assert max(best, key=lambda place: best[place]) == ("a", 777) == ("a", max(expected, key=lambda n: expected[n]))
    assert all(isclose(score, expected[at]) for (_, at), score in best.items())
    assert len(best) == 5


# Filters

VALUES = st.sampled_from(["a", "b", "10", "", True, False, 0, 1, 1.0, 2.5, -3])
ATTRIBUTES = st.dictionaries(st.sampled_from("xyz"), VALUES)
COMPARISONS = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["eq", "ne"]), "key": st.sampled_from("xyz"), "value": VALUES}),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["gt", "gte", "lt", "lte"]),
            "key": st.sampled_from("xyz"),
            "value": VALUES.filter(lambda value: not isinstance(value, bool)),
        }
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["in", "nin"]), "key": st.sampled_from("xyz"), "value": st.lists(VALUES, max_size=3)}
    ),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["and", "or"]), "filters": st.lists(inner, min_size=1, max_size=3)}
    ),
    max_leaves=8,
)


def kind(value: Any) -> str:
    return "bool" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else type(value).__name__


def obvious(f: Any, attributes: dict[str, Any]) -> bool:
    if f["type"] == "and":
        return False not in [obvious(each, attributes) for each in f["filters"]]
    if f["type"] == "or":
        return True in [obvious(each, attributes) for each in f["filters"]]
    there = f["key"] in attributes
    held = attributes.get(f["key"])
    values = f["value"] if isinstance(f["value"], list) else [f["value"]]
    equal = there and any(kind(held) == kind(each) and held == each for each in values)
    if f["type"] in ("eq", "in"):
        return equal
    if f["type"] in ("ne", "nin"):
        return not equal
    if not there or kind(held) != kind(f["value"]):
        return False
    below, above = held < f["value"], held > f["value"]
    return {"gt": above, "gte": not below, "lt": below, "lte": not above}[f["type"]]


@given(f=FILTERS, attributes=ATTRIBUTES)
def test_filters_let_through_what_they_say(f: Any, attributes: dict[str, Any]) -> None:
    check(f, "filters")
    assert passes(f, attributes) is obvious(f, attributes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "key", "value", "filters"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(f=JSON, attributes=ATTRIBUTES)
def test_what_is_no_filter_is_refused(f: Any, attributes: dict[str, Any]) -> None:
    try:
        check(f, "filters")
    except BadRequestError as error:
        param = error.param
    else:
        assert isinstance(passes(f, attributes), bool)
        param = "filters"
    assert (param or "").startswith("filters")


def test_filters_are_not_nested_without_end() -> None:
    f: Any = {"type": "eq", "key": "x", "value": 1}
    for _ in range(40):
        f = {"type": "and", "filters": [f]}
    with pytest.raises(BadRequestError, match="nested"):
        check(f, "filters")
