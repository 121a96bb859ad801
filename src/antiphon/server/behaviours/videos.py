"""Videos: they wait in the queue, are rendered in steps of their progress, and are complete after `job_seconds`.

API reference: https://platform.openai.com/docs/api-reference/videos
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..jobs import Again, Job, job

if TYPE_CHECKING:
    from ..app import Server
    from ..behaviour import Call

__all__ = ("begin",)

_PROGRESS: Final = (0, 25, 50, 75, 100)
"""Where a video is after each step, in percent."""


def begin(call: Call, video: dict[str, Any]) -> None:
    """Let a video that was just made be rendered."""
    server = call.server
    server.jobs.schedule("videos.render", video["id"], after=server.job_seconds / len(_PROGRESS), data={"step": 0})


@job("videos.render")
def render(server: Server, due: Job) -> Again | None:
    """One step on. A video that was deleted meanwhile is not rendered."""
    step = due.data["step"]
    progress = _PROGRESS[step]
    over = progress == 100
    changes = {"status": "completed", "completed_at": int(due.at)} if over else {"status": "in_progress"}
    with server.lock:
        video = server.store.get("videos", due.subject)
        if video is None:
            return None
        server.store.put("videos", due.subject, {**video, **changes, "progress": progress})
    return None if over else Again(server.job_seconds / len(_PROGRESS), {"step": step + 1})
