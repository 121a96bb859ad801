"""The pictures of the playground in docs/images: `python -m tests.browser.picture [DIRECTORY]` takes them anew."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query
from PIL import Image

from antiphon import FakeOpenAI
from antiphon.router import AgentResource, OpenAIAPIRouter
from antiphon.server.turns import ToolArguments, ToolCall
from tests.browser.chromium import Browser, running
from tests.browser.conftest import serving

IMAGES = Path(__file__).parents[2] / "docs" / "images"
QUESTION = "Do I need an umbrella in Lisbon tomorrow?"
ANSWER = """Only in the **morning**: after eleven it stays dry.

| Hour | Sky | Rain |
|:-----|:----|-----:|
| 8:00 | showers | 2.1 mm |
| 11:00 | clouds | 0.2 mm |
| 14:00 | sun | 0 mm |

To be told when it changes:

```python
if forecast("Lisbon")[0].rain > 0.5:
    notify("Take an umbrella.")
```
"""


def forecast(city: str) -> list[dict[str, Any]]:
    """Tomorrow's weather.

    Args:
        city: Its name, in English.
    """
    return [{"hour": 8, "sky": "showers", "rain": 2.1}, {"hour": 11, "sky": "clouds", "rain": 0.2}]


def engine(request: Any) -> Iterator[Any]:
    if request.messages[-1]["role"] == "user":
        yield ToolCall("call_1", "forecast")
        yield ToolArguments('{"city": "Lisbon"}')
    else:
        for number, word in enumerate(ANSWER.split(" ")):
            yield f" {word}" if number else word


def application() -> FastAPI:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=engine), format="vercel", parameters=["model", "temperature"])

    @router.post("/assistant")
    def assistant(
        mood: Annotated[str, Query(description="How the answers sound.")] = "friendly", metric: bool = True
    ) -> AgentResource:
        """Answers with the help of the weather service."""
        return AgentResource(stream=True, tools=[forecast], system=f"Be {mood}.")

    router.playground("/", title="Weather assistant")
    app = FastAPI()
    app.include_router(router)
    return app


def take(browser: Browser, directory: Path) -> list[Path]:
    """Take the pictures, and say where they are."""
    directory.mkdir(parents=True, exist_ok=True)
    taken: list[Path] = []
    with serving(application()) as address:
        for scheme in ("light", "dark"):
            with browser.page() as page:
                size = {"width": 1080, "height": 760, "deviceScaleFactor": 1.5, "mobile": False}
                page.call("Emulation.setDeviceMetricsOverride", **size)
                page.media(prefers_color_scheme=scheme)
                page.open(f"{address}/")
                page.type(QUESTION, "#question")
                page.key("Enter")
                page.until("document.querySelector('article')?.ariaBusy === 'false'")
                page.evaluate("document.querySelector('#log').scrollTop = 0; document.activeElement.blur()")
                picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                taken.append(directory / f"playground-{scheme}.png")
                picture.quantize(64, dither=Image.Dither.NONE).save(taken[-1], optimize=True)
    return taken


if __name__ == "__main__":
    with running() as chromium:
        for path in take(chromium, Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES):
            sys.stdout.write(f"{path}\n")
