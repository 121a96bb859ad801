"""Websocket connections of a client: a core that decides, and a pump in each colour that does what it says."""

from __future__ import annotations
