"""The page of the control API in Chromium."""

from __future__ import annotations

from antiphon import FakeOpenAI, OpenAI
from tests.browser.chromium import Page


def test_the_page_follows_the_journal_and_tries_operations(page: Page) -> None:
    fake = FakeOpenAI("echo")
    fake.when(text="<b>rain</b>").reply("<img src=x onerror=alert(1)>")
    with fake.start(port=0) as server:
        page.open(f"{server.url}/_antiphon/")
        page.until("!document.querySelector('#empty').hidden")
        assert f"OPENAI_BASE_URL={server.base_url}" in page.text("#empty")
        OpenAI(base_url=server.base_url, api_key="any").responses.create(model="gpt-5", input="<b>rain</b>")
        page.until("document.querySelectorAll('#journal tbody tr').length === 1")
        assert "<b>rain</b>" in page.text("#journal tbody tr")
        assert page.count("#journal tbody b, #journal tbody img") == 0
        page.click("#journal tbody tr")
        page.until("!document.querySelector('#detail').hidden")
        assert "answered by rule 1" in page.text("#detail")
        assert "nothing wrong in 1 request of 1 call" in page.text("#report")

        form = "details[data-path='/_antiphon/rules'][data-method=POST]"
        page.evaluate(f'document.querySelector("{form}").open = true')
        page.click(f"{form} button")
        page.until(f"document.querySelector(\"{form} output\").innerText.startsWith('201')")
        assert len(fake.rules) == 2
        page.click("#clear")
        page.until("document.querySelector('#journal table').hidden")
        assert len(fake.journal) == 0
        assert page.complaints == []
        assert all(address.startswith(server.url) for address in page.requests)
