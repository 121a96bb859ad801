"""Files as the generic engine knows them, vector stores and what is in them.

Stores, their files and their batches are made and changed by `behaviours/vector_stores.py`; here is how they are found
and listed.

API reference: https://platform.openai.com/docs/api-reference/vector-stores
"""

from __future__ import annotations

from typing import Any

from ..kept import Kept, now

_CHUNKING: dict[str, Any] = {
    "type": "static",
    "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
}
_NONE = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}

FAMILIES = (
    Kept("files", "file-", missing="No such File object: {id}", limit=10_000),
    Kept(
        "vector_stores",
        "vs_",
        new={"status": "completed", "name": "", "metadata": {}, "file_counts": _NONE, "last_active_at": now},
    ),
    Kept(
        "vector_stores.files",
        given="file_id",
        new={"status": "completed", "usage_bytes": 0, "chunking_strategy": _CHUNKING, "attributes": {}},
        filters={"filter": "status"},
    ),
    Kept(
        "vector_stores.file_batches",
        "vsfb_",
        noun="vector store file batch",
        new={"status": "completed", "file_counts": _NONE},
        actions={"cancel": {"status": "cancelled"}},
    ),
)
