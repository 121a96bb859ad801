"""What an endpoint answers with: a call of the API and its parameters, made anew for each request by a factory."""

from __future__ import annotations

from .base import Resource
from .chat import ChatCompletionResource

__all__ = ("ChatCompletionResource", "Resource")
