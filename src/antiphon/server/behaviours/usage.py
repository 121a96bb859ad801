"""Usage and costs of the organization, of what this server was asked and of what it keeps.

API reference: https://platform.openai.com/docs/api-reference/usage
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

from ...api.admin.organization.usage import Usage
from ..behaviour import BEHAVIOURS, Behaviour, Call, Reply
from ..spent import spent
from ..storage import used
from ..usage import page

_RESULTS = {
    "audio_speeches": "usage.audio_speeches",
    "audio_transcriptions": "usage.audio_transcriptions",
    "code_interpreter_sessions": "usage.code_interpreter_sessions",
    "completions": "usage.completions",
    "costs": "costs",
    "decisions": "usage.decisions",
    "embeddings": "usage.embeddings",
    "file_search_calls": "usage.file_searches",
    "images": "usage.images",
    "moderations": "usage.moderations",
    "vector_stores": "usage.vector_stores",
    "web_search_calls": "usage.web_searches",
}
"""Operations, which are the kinds of what is used, and what their results are."""


def _serving(kind: str, result: str) -> Behaviour:
    def serve(call: Call) -> Reply:
        server = call.server
        told = f"organization.{result}.result"
        ledger: Any = chain(server.ledger(), spent(server)) if kind != "vector_stores" else partial(used, server)
        return page(ledger, kind, told, call.query, server.clock.now(), lenient=server.conjures)

    return serve


for _kind, _result in _RESULTS.items():
    _operation: Any = vars(Usage)[_kind]
    BEHAVIOURS[_operation.name] = _serving(_kind, _result)
