"""Videos: they wait in the queue, are rendered in steps of their progress, and are complete after `job_seconds`.

What they show is kept in a few words, their *shots*: how long, and of which prompts. The file itself is made by an
engine when somebody asks for the content, and is kept nowhere.

API reference: https://platform.openai.com/docs/api-reference/videos
"""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, Literal

from ...api.videos import Videos
from ...kernel.errors import BadRequestError, NotFoundError
from ...kernel.http import Headers, Response
from ..behaviour import UploadedFile, serves
from ..engine import Shot, VideoRequest
from ..films import shape_of
from ..jobs import Again, Job, job

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...kernel.flow import Flow
    from ..app import Server
    from ..behaviour import Call, Reply
    from ..films import Film

__all__ = ("begin", "content", "forget", "original", "queued", "render", "stitched")

SHOTS: Final = "videos/shots"
"""The collection of what videos show, by the videos' ids."""

_PROGRESS: Final = (0, 25, 50, 75, 100)
"""Where a video is after each step, in percent."""

_LONGEST: Final = 120
"""Seconds that a video lasts at most, however often it is extended."""
_LARGEST: Final = 4096
"""Pixels of a side at most."""
_READ: Final = 64 * 1024 * 1024
"""Bytes of an uploaded video whose head is read; a larger one is taken for any."""


# Making them


def original(field: str, default: Any) -> Callable[[Call], Any]:
    """What the video that is remixed, edited or extended says in a field."""

    def value(call: Call) -> Any:
        video = _source(call)
        if video is None and (uploaded := _uploaded(call)) is not None:
            video = {"seconds": str(round(uploaded.seconds)), "size": f"{uploaded.width}x{uploaded.height}"}
        return default if video is None else video.get(field, default)

    return value


def stitched(call: Call) -> str:
    """How many seconds a video lasts once it is extended. Raises `BadRequestError` where that is too long."""
    seconds = int(original("seconds", "0")(call)) + int(call.body["seconds"])
    if seconds > _LONGEST and not call.server.conjures:
        raise BadRequestError.because(
            f"Invalid 'seconds': the extended video would last {seconds} seconds, the maximum is {_LONGEST}.",
            param="seconds",
            code="invalid_value",
        )
    return str(min(seconds, _LONGEST))


def _source(call: Call) -> dict[str, Any] | None:
    """The video that is remixed, edited or extended. Raises `NotFoundError` for one that is not there."""
    named = call.body.get("video")
    source = call.params.get("video_id") or (named.get("id") if isinstance(named, dict) else None) or ""
    video = call.server.store.get("videos", source)
    if video is None and source and not call.server.conjures:
        raise NotFoundError.because(f"Video with id '{source}' not found.")
    return video


def _uploaded(call: Call) -> Film | None:
    """How long and how large an uploaded video is; `None` for none, and for what no video of the API could be."""
    file = call.body.get("video")
    if not isinstance(file, UploadedFile) or file.size > _READ:
        return None
    found = shape_of(file.content)
    if found is None or not 0.5 <= found.seconds <= _LONGEST or max(found.width, found.height) > _LARGEST:
        return None
    return found


def begin(call: Call, video: dict[str, Any]) -> None:
    """Let a video that was just made be rendered, and keep what it shows."""
    server = call.server
    server.jobs.schedule("videos.render", video["id"], after=server.job_seconds / len(_PROGRESS), data={"step": 0})
    before = None if call.operation.name == "videos.create" else _source(call)
    shots = [] if before is None else _shots(server, before)
    prompt: str = video.get("prompt") or ""
    if call.operation.name == "videos.extend":
        shots.append(Shot(_seconds(video) - sum(shot.seconds for shot in shots), (prompt,)))
    elif shots:
        shots = [shot._replace(prompts=(*shot.prompts, prompt)) for shot in shots]
    else:
        shots = [Shot(_seconds(video), (prompt,))]
    kept = {"id": video["id"], "shots": [[shot.seconds, list(shot.prompts)] for shot in shots]}
    earlier = None if before is None else server.store.get_blob(_reference_of(before["id"]))
    picture = _reference(call) if earlier is None else earlier[0]
    if picture is not None:
        server.store.put_blob(_reference_of(video["id"]), picture)
    server.store.put(SHOTS, video["id"], kept)


def forget(call: Call, video: dict[str, Any]) -> None:
    """Drop what is kept of a video that was deleted."""
    call.server.store.delete(SHOTS, video["id"])
    call.server.store.delete_blob(_reference_of(video["id"]))


def _reference_of(id: str) -> str:
    return f"videos/{id}/reference"


def queued(call: Call) -> str:
    """The state of a new video.

    Raises `BadRequestError` where it is to begin with what is no picture, and what a model that makes none says.
    """
    _check_model(call)
    _reference(call)
    return "queued"


def _check_model(call: Call) -> None:
    """Ask for the engine before there is a video, where the models are the server's own and not those of OpenAI.

    Raises `NotFoundError` where there is none; an engine that has a `check` raises what it has to say.
    """
    if call.server.published_limits:
        return
    engine = call.server.engines.videos(call.body.get("model") or original("model", "sora-2")(call))
    check: Callable[[], None] | None = getattr(engine, "check", None)
    if check is not None:
        check()


def _reference(call: Call) -> bytes | None:
    """The picture that a video is to begin with: uploaded, a file of before, or in the address itself.

    `None` for none, and for one elsewhere, which nobody fetches. Raises `BadRequestError` for what is no picture.
    """
    given: Any = call.body.get("input_reference")
    found: Any = given.content if isinstance(given, UploadedFile) else None
    if isinstance(given, dict):
        found = _referred(call, given)
    if found is None:
        return None
    from ..pictures import decoded

    try:
        decoded(found)
    except ValueError as error:
        if call.server.conjures:
            return None
        raise _no_reference("the file is not a picture that can be read.") from error
    return bytes(found)


def _referred(call: Call, given: dict[str, Any]) -> bytes | None:
    from base64 import b64decode

    if file_id := given.get("file_id"):
        blob = call.server.store.get_blob(file_id)
        if blob is None and not call.server.conjures:
            raise _no_reference(f"there is no file '{file_id}'.")
        return None if blob is None else blob[0]
    head, _, data = str(given.get("image_url") or "").partition(";base64,")
    try:
        return b64decode(data, validate=True) if head.startswith("data:") else None
    except ValueError:
        return b""  # which is no picture, either


def _no_reference(why: str) -> BadRequestError:
    return BadRequestError.because(
        f"Invalid 'input_reference': {why}", param="input_reference", code="invalid_image_file"
    )


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


# Showing them


@serves(Videos.download_content)
def content(call: Call) -> Reply:
    """The file of a video that is complete, a picture from it, or a sheet of such pictures.

    Follows https://developers.openai.com/api/reference/resources/videos/methods/download_content
    """
    from ..kept import family

    server = call.server
    video: dict[str, Any] = family("videos").get(call, call.params, call.params["video_id"])
    if video["status"] != "completed" and not server.conjures:
        raise NotFoundError.because("Video is not ready yet, use GET /v1/videos/{video_id} to check status.")
    request = _request(call, video)
    found: Any = server.engines.videos(request.model)(request)
    return _when_filmed(request, found) if isinstance(found, GeneratorType) else _file(request, found)


def _request(call: Call, video: dict[str, Any]) -> VideoRequest:
    variant: Literal["video", "thumbnail", "spritesheet"] = call.query.get("variant") or "video"
    width, height = _size(video)
    reference = call.server.store.get_blob(_reference_of(video["id"]))
    body = {**{name: video.get(name) for name in ("model", "prompt", "seconds", "size", "id")}, "variant": variant}
    return VideoRequest(
        video["model"],
        video.get("prompt") or "",
        _seconds(video),
        width,
        height,
        variant,
        video["id"],
        _shots(call.server, video),
        None if reference is None else reference[0],
        body,
        call.request.headers,
    )


def _shots(server: Server, video: dict[str, Any]) -> list[Shot]:
    """What a video shows; of one that was made up, its prompt."""
    kept = server.store.get(SHOTS, video["id"])
    if kept is None:
        return [Shot(_seconds(video), (video.get("prompt") or "",))]
    return [Shot(seconds, tuple(prompts)) for seconds, prompts in kept["shots"]]


def _seconds(video: dict[str, Any]) -> int:
    told = str(video.get("seconds") or "")
    return max(1, min(int(told), _LONGEST)) if told.isdecimal() and len(told) < 9 else 4


def _size(video: dict[str, Any]) -> tuple[int, int]:
    """Width and height in pixels: even numbers, and none that no video has."""
    sides = [int(each) for each in str(video.get("size")).split("x") if each.isdecimal() and len(each) < 9]
    if len(sides) != 2:
        return 720, 1280
    width, height = (max(16, min(side, _LARGEST)) // 2 * 2 for side in sides)
    return width, height


def _when_filmed(request: VideoRequest, film: Flow[bytes]) -> Flow[Response]:
    return _file(request, (yield from film))


_MEDIA: Final = {"video": "video/mp4", "thumbnail": "image/webp", "spritesheet": "image/jpeg"}
"""What is told of a file that begins as none of these."""
_BEGINNINGS: Final = (
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (8, b"WEBP", "image/webp"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG", "image/png"),
)


def _file(request: VideoRequest, data: bytes) -> Response:
    found = (kind for at, mark, kind in _BEGINNINGS if data[at : at + len(mark)] == mark)
    return Response(200, Headers.of([("content-type", next(found, _MEDIA[request.variant]))]), data)
