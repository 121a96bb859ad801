"""What every subject is asked."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

MESSAGES: list[Any] = [{"role": "user", "content": "Say hello."}]
MODEL = "gpt-4.1"
KEY = "sk-measured"


class Day(BaseModel):
    day: int
    high: float
    low: float
    summary: str


class Weather(BaseModel):
    """The weather of the next days."""

    city: str
    degrees: float
    conditions: list[str]
    days: list[Day]
    advice: str | None
