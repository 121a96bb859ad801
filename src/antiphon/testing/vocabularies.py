"""The vocabularies that tiktoken fetches when it first counts: answered from here, byte for byte as they are published.

LangChain, LlamaIndex and others count with tiktoken before they ask a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..kernel.http import Headers, Response
from ..server.tokens import published

if TYPE_CHECKING:
    from ..kernel.http import Request

__all__ = ("VOCABULARIES", "vocabularies")

VOCABULARIES: Final = "openaipublic.blob.core.windows.net"
"""The host they are published at."""


def vocabularies(request: Request) -> Response:
    """The vocabulary a request asks for; 404 for one that is of older models than there are here."""
    name = request.path.rpartition("/")[2].removesuffix(".tiktoken")
    content = published(name) if request.path.startswith("/encodings/") else None
    if content is None:
        said = (
            f"No vocabulary {request.path} is here; there are /encodings/cl100k_base.tiktoken and o200k_base.tiktoken."
        )
        return Response(404, Headers({"content-type": "text/plain"}), said.encode(), request)
    return Response(200, Headers({"content-type": "application/octet-stream"}), content, request)
