"""Usage and costs of the organization, of what this server was asked.

API reference: https://platform.openai.com/docs/api-reference/usage
"""

from __future__ import annotations

from typing import Any

from ...api.admin.organization.usage import Usage
from ..behaviour import BEHAVIOURS, Behaviour, Call, Reply
from ..usage import page

_RESULTS = {
    "audio_speeches": "usage.audio_speeches",
    "audio_transcriptions": "usage.audio_transcriptions",
    "code_interpreter_sessions": "usage.code_interpreter_sessions",
    "completions": "usage.completions",
    "costs": "costs",
    "embeddings": "usage.embeddings",
    "file_search_calls": "usage.file_searches",
    "images": "usage.images",
    "moderations": "usage.moderations",
    "web_search_calls": "usage.web_searches",
}
"""Operations, which are the kinds of what is used, and what their results are."""


def _serving(kind: str, result: str) -> Behaviour:
    def serve(call: Call) -> Reply:
        server = call.server
        told = f"organization.{result}.result"
        return page(server.ledger(), kind, told, call.query, server.clock.now(), lenient=server.conjures)

    return serve


for _kind, _result in _RESULTS.items():
    _operation: Any = vars(Usage)[_kind]
    BEHAVIOURS[_operation.name] = _serving(_kind, _result)
