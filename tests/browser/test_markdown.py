"""Markdown in the page: what is read as what, and laws of texts that grow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.browser.chromium import Page
from tests.browser.conftest import Keeper

SHOWN = """
function grown(pieces) {
    const root = document.createElement('div');
    const markdown = new Markdown(root);
    for (const piece of pieces) {
        markdown.add(piece);
        markdown.show(true);
    }
    markdown.show(false);
    return root;
}
function simple(root) {
    for (const each of root.querySelectorAll('.bar')) each.remove();
    for (const each of root.querySelectorAll('*')) {
        const kept = [...each.attributes].filter(({name, value}) => ['href', 'start', 'checked'].includes(name) ||
            (name === 'class' && (/^(center|end)$/.test(value) || value.startsWith('level-'))));
        for (const name of each.getAttributeNames()) each.removeAttribute(name);
        for (const {name, value} of kept) each.setAttribute(name, value);
    }
    return root.innerHTML;
}
"""


@pytest.fixture(scope="module")
def blank(keeper: Keeper) -> Iterator[Page]:
    """An empty page with the playground's Markdown in it."""
    with keeper.browser().page() as page:
        script = (files("antiphon.router.playground") / "markdown.js").read_text("utf-8")
        page.evaluate(f"{script}\n{SHOWN}\nObject.assign(globalThis, {{ Markdown, grown, simple }}); 1")
        yield page


def html(page: Page, *pieces: str) -> str:
    return str(page.evaluate(f"simple(grown({json.dumps(pieces)}))"))


READ = {
    "Hello": "<p>Hello</p>",
    "one\ntwo\n\nthree": "<p>one\ntwo</p><p>three</p>",
    "one  \ntwo\\\nthree": "<p>one<br>two<br>three</p>",
    "# One\n## Two ##\n#no": '<h3 class="level-1">One</h3><h4 class="level-2">Two</h4><p>#no</p>',
    "One\n===\nTwo\n---": '<h3 class="level-1">One</h3><h4 class="level-2">Two</h4>',
    "a\n\n---\n\n* * *": "<p>a</p><hr><hr>",
    "*a* **b** ***c*** ~~d~~ _e_ __f__": (
        "<p><em>a</em> <strong>b</strong> <em><strong>c</strong></em> <del>d</del> <em>e</em> <strong>f</strong></p>"
    ),
    "**a *b* c** *d **e***": "<p><strong>a <em>b</em> c</strong> <em>d <strong>e</strong></em></p>",
    "**a *b***": "<p><strong>a <em>b</em></strong></p>",
    "2 * 3 * 4 snake_case_name **open *open": "<p>2 * 3 * 4 snake_case_name **open *open</p>",
    "a `*b*` ``c`d`` `open": "<p>a <code>*b*</code> <code>c`d</code> `open</p>",
    r"\*a\* \<b\> \q": r"<p>*a* &lt;b&gt; \q</p>",
    "&lt;b&gt; &amp;amp; &#65;&#x42; &nope;": "<p>&lt;b&gt; &amp;amp; AB &amp;nope;</p>",
    "<b>bold</b> <script>x</script>": "<p>&lt;b&gt;bold&lt;/b&gt; &lt;script&gt;x&lt;/script&gt;</p>",
    "[a **b**](https://x.org/(y)?q=1 'title')": '<p><a href="https://x.org/(y)?q=1">a <strong>b</strong></a></p>',
    "[a](<https://x.org/a b>) [b](http://x.org)": (
        '<p><a href="https://x.org/a%20b">a</a> <a href="http://x.org/">b</a></p>'
    ),
    "[a](javascript:x) [b](/c) [c] [d](mailto:e@f)": "<p>[a](javascript:x) [b](/c) [c] [d](mailto:e@f)</p>",
    "![p](https://x.org/p.png)": '<p><a href="https://x.org/p.png">p</a></p>',
    "[![p](https://x.org/p.png)](https://x.org)": '<p><a href="https://x.org/">p</a></p>',
    "See https://x.org/a_(b), or (https://x.org/c).": (
        '<p>See <a href="https://x.org/a_(b)">https://x.org/a_(b)</a>, or '
        '(<a href="https://x.org/c">https://x.org/c</a>).</p>'
    ),
    "<https://x.org/> <not a link>": '<p><a href="https://x.org/">https://x.org/</a> &lt;not a link&gt;</p>',
    "```py\na\n\n  b\n```\nc": "<div><pre><code>a\n\n  b</code></pre></div><p>c</p>",
    "~~~\n```\n~~~": "<div><pre><code>```</code></pre></div>",
    "````\n```\n````": "<div><pre><code>```</code></pre></div>",
    "```\nnot closed\n# no": "<div><pre><code>not closed\n# no</code></pre></div>",
    "    indented\n\n    more\nnot": "<div><pre><code>indented\n\nmore</code></pre></div><p>not</p>",
    "> a\n> b\nlazy\n\n> > deep": (
        "<blockquote><p>a\nb\nlazy</p></blockquote><blockquote><blockquote><p>deep</p></blockquote></blockquote>"
    ),
    "- a\n- b\n  more\n\nc": "<ul><li>a</li><li>b\nmore</li></ul><p>c</p>",
    "- a\n\n- b": "<ul><li><p>a</p></li><li><p>b</p></li></ul>",
    "- a\n  - b\n    - c\n- d": "<ul><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li><li>d</li></ul>",
    "1. a\n  - by two\n2. b": "<ol><li>a<ul><li>by two</li></ul></li><li>b</li></ol>",
    "3. a\n4. b\n* c": '<ol start="3"><li>a</li><li>b</li></ol><ul><li>c</li></ul>',
    "1. a\n\n   ```\n   x\n\n   y\n   ```\n2. b": (
        "<ol><li><p>a</p><div><pre><code>x\n\ny</code></pre></div></li><li><p>b</p></li></ol>"
    ),
    "- [ ] a\n- [x] b": '<ul><li><input> a</li><li><input checked=""> b</li></ul>',
    "Said:\n- a\n1. b": "<p>Said:</p><ul><li>a</li></ul><ol><li>b</li></ol>",
    "| a | b |\n|:-:|--:|\n| 1 | *2* |\n| 3 \\| 4 |": (
        '<div><table><thead><tr><th class="center">a</th><th class="end">b</th></tr></thead><tbody><tr>'
        '<td class="center">1</td><td class="end"><em>2</em></td></tr><tr><td class="center">3 | 4</td>'
        '<td class="end"></td></tr></tbody></table></div>'
    ),
    "Said:\na | b\n--|--\n1 | 2\n\nend": (
        "<p>Said:</p><div><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr>"
        "</tbody></table></div><p>end</p>"
    ),
    "a | b\nno table": "<p>a | b\nno table</p>",
    "a\r\n\r\nb\rc": "<p>a</p><p>b\nc</p>",
    "": "",
    " \n \n": "",
}


@pytest.mark.parametrize("text", READ, ids=lambda text: repr(text)[:40])
def test_markdown(blank: Page, text: str) -> None:
    assert html(blank, text) == READ[text]


def test_what_is_not_yet_ended_is_shown_as_if_it_were(blank: Page) -> None:
    def shown(text: str) -> str:
        return str(
            blank.evaluate(
                "(() => { const root = document.createElement('div'); const markdown = new Markdown(root);"
                f"markdown.add({json.dumps(text)}); markdown.show(true); return simple(root); }})()"
            )
        )

    assert shown("a **bo") == "<p>a <strong>bo</strong></p>"
    assert shown("a `co") == "<p>a <code>co</code></p>"
    assert shown("**a\n\nb") == "<p>**a</p><p>b</p>", "in the last block alone"
    assert shown("a **") == "<p>a **</p>"


MARKS = ["*", "**", "_", "`", "```\n", "~~", "#", "# ", "> ", "- ", "1. ", "  ", "    ", "|", "|-|-|\n", "---", "===", "\n", "\n\n",
         "\r", "\r\n", "[", "](", ")", "https://x.org", "<b>", "&lt;", "\\", "!", "a", "b c", "é", "\U0001f600", "[x] ", "\t", "0"]  # fmt: skip
PIECES = st.lists(st.sampled_from(MARKS), max_size=30)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=20, max_size=20))
def test_a_text_that_grows_becomes_what_it_would_have_been(blank: Page, texts: list[list[str]]) -> None:
    # Many at a time: asking the browser takes longer than its work.
    wrong = blank.evaluate(
        f"{json.dumps(texts)}.filter((pieces) => grown(pieces).innerHTML !== grown([pieces.join('')]).innerHTML)"
    )
    assert wrong == []


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(PIECES.map("".join), st.text(max_size=60)), min_size=20, max_size=20))
def test_no_text_becomes_anything_else_than_markdown(blank: Page, texts: list[str]) -> None:
    allowed = (
        "div p h3 h4 h5 h6 hr br em strong del code pre span button blockquote ul ol li input table thead tbody tr th "
        "td a"
    ).split()
    names = "href target rel class type aria-label tabindex role start checked disabled scope".split()
    wrong = blank.evaluate(
        f"{json.dumps(texts)}.filter((text) => [...grown([text]).querySelectorAll('*')].some((each) => "
        f"!{json.dumps(allowed)}.includes(each.localName) || each.getAttributeNames().some((name) => "
        f"!{json.dumps(names)}.includes(name)) || (each.localName === 'a' && !/^https?:/.test(each.href))))"
    )
    assert wrong == []


def test_nothing_that_is_said_takes_long(blank: Page) -> None:
    for text in ("*a " * 20_000, "[" * 20_000, "`" * 20_001, "> " * 10_000, "- " * 10_000, "a_" * 20_000, "**a" * 10_000,
                 "[a](" * 10_000, "| a " * 10_000, "<" * 20_000, "&" * 20_000, "`a``" * 5_000, "#" * 30_000, "*_" * 10_000):  # fmt: skip
        assert (
            blank.evaluate(
                f"(() => {{ const t = performance.now(); grown([{json.dumps(text)}]); return performance.now() - t }})()"
            )
            < 20_000
        ), text[:10]
