"""Google Vertex AI as a client's `provider`."""

from __future__ import annotations

from ..client.clouds.vertex import VertexTokenProvider, vertex

__all__ = ("VertexTokenProvider", "vertex")
