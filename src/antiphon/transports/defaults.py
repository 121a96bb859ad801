"""Clients of httpx2 and aiohttp with the settings our own connections have: timeouts, limits, redirects.

    client = OpenAI(http_client=DefaultHttpxClient(proxy="http://proxy:8080"))

Their own defaults are others: five seconds for everything, and no redirects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2
else:
    try:
        import httpx2
    except ImportError:  # the older library has the same classes
        import httpx as httpx2

__all__ = (
    "DefaultAioHttpClient",
    "DefaultAsyncHttpx2Client",
    "DefaultAsyncHttpxClient",
    "DefaultHttpx2Client",
    "DefaultHttpxClient",
)


def _with_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "timeout": httpx2.Timeout(600.0, connect=5.0),
        "limits": httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        "follow_redirects": True,
        **settings,
    }


class DefaultHttpxClient(httpx2.Client):
    """`httpx2.Client` with our defaults. Takes its arguments."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**_with_defaults(settings))


class DefaultAsyncHttpxClient(httpx2.AsyncClient):
    """`httpx2.AsyncClient` with our defaults. Takes its arguments."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**_with_defaults(settings))


DefaultHttpx2Client = DefaultHttpxClient
DefaultAsyncHttpx2Client = DefaultAsyncHttpxClient


def DefaultAioHttpClient(**settings: Any) -> Any:  # noqa: N802 (the name of the official package)
    """An `aiohttp.ClientSession` with our limits. Takes its arguments, and `limits` and `verify` as clients of httpx
    do. To be made while an event loop runs.
    """
    import aiohttp

    limits, verify = settings.pop("limits", None), settings.pop("verify", True)
    if isinstance(verify, str):
        import ssl

        verify = ssl.create_default_context(cafile=verify)
    if "connector" not in settings:
        most = 1000 if limits is None else limits.max_connections
        settings["connector"] = aiohttp.TCPConnector(limit=most or 0, ssl=verify)
    return aiohttp.ClientSession(**settings)
