"""urllib3, and with it requests, botocore and google-auth: its connections are those of `http.client`, and connect on
their own.
"""

from __future__ import annotations

from .http_client import patches

__all__ = ("patches",)
