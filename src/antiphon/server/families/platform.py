"""Batches, uploads, fine-tuning, evals, containers, skills, webhooks, voices, videos, safety.

API reference: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...kernel.errors import BadRequestError
from ...kernel.spool import size_of
from ..behaviours.videos import begin as begin_video
from ..behaviours.videos import forget as forget_video
from ..behaviours.videos import original, queued, stitched
from ..kept import Kept, family, later, now

if TYPE_CHECKING:
    from ...kernel.spool import Spooled
    from ..behaviour import Call


def _secret(call: Call) -> str:
    """A webhook's signing secret: 24 random bytes in base64."""
    from base64 import b64encode

    return "whsec_" + b64encode(call.server.random.randbytes(24)).decode()


def _container_path(call: Call) -> str:
    """Where a file put into a container lies."""
    uploaded = call.body.get("file")
    if uploaded is not None:
        return f"/mnt/data/{uploaded.filename}"
    stored = call.server.store.get("files", call.body.get("file_id", ""))
    return "/mnt/data/" + ("file" if stored is None else stored["filename"])


def _container_bytes(call: Call) -> int:
    return size_of(_container_content(call))


def _container_content(call: Call) -> bytes | Spooled:
    uploaded = call.body.get("file")
    if uploaded is not None:
        data: bytes | Spooled = uploaded.data
        return data
    found = call.server.store.open_blob(call.body.get("file_id", ""))
    return b"" if found is None else found.data


def _keep_container_file(call: Call, doc: dict[str, Any]) -> None:
    call.server.store.put_blob(doc["id"], _container_content(call))


def _drop_blob(call: Call, doc: dict[str, Any]) -> None:
    call.server.store.delete_blob(doc["id"])


def _skill_files(call: Call) -> list[Any]:
    """The files of a skill. Raises `BadRequestError` where two have one name."""
    given = call.body.get("files") or []
    files: list[Any] = given if isinstance(given, list) else [given]
    names: set[str] = set()
    for file in files:
        if file.filename in names:
            raise BadRequestError.because(
                f"Invalid 'files': there are two files with the name '{file.filename}'.",
                param="files",
                code="duplicate_file_name",
            )
        names.add(file.filename)
    return files


def _front_matter(call: Call) -> dict[str, str]:
    """What the `SKILL.md` of a skill says about itself between its `---` lines."""
    for file in _skill_files(call):
        if file.filename.rpartition("/")[2].upper() == "SKILL.MD":
            head = file.content.decode("utf-8", "replace").partition("---")[2].partition("---")[0]
            pairs = (line.partition(":") for line in head.splitlines())
            return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}
    return {}


def _skill_name(call: Call) -> str:
    return _front_matter(call).get("name", "skill")


def _skill_description(call: Call) -> str:
    return _front_matter(call).get("description", "")


def _keep_skill(call: Call, skill: dict[str, Any]) -> None:
    facts = {"version": "1", "name": skill["name"], "description": skill["description"]}
    version = family("skills.versions").add(call, {"skill_id": skill["id"]}, {**facts, "skill_id": skill["id"]})
    _keep_bundle(call, version)


def _next_version(call: Call) -> str:
    versions = call.server.store.list(f"skills/{call.params['skill_id']}/versions")
    return str(max((int(each["version"]) for each in versions), default=0) + 1)


def _keep_version(call: Call, version: dict[str, Any]) -> None:
    _keep_bundle(call, version)
    server, skill_id = call.server, call.params["skill_id"]
    with server.lock:
        skill = server.store.get("skills", skill_id)
        if skill is not None:
            told = {"latest_version": version["version"]}
            if call.body.get("default"):
                told["default_version"] = version["version"]
            server.store.put("skills", skill_id, {**skill, **told})


def _keep_bundle(call: Call, version: dict[str, Any]) -> None:
    """Keep a skill's files as the archive that its content is downloaded as."""
    from io import BytesIO
    from zipfile import ZipFile, ZipInfo

    files = _skill_files(call)
    if len(files) == 1 and files[0].filename.endswith(".zip"):
        archive = files[0].content
    else:
        buffer = BytesIO()
        with ZipFile(buffer, "w") as bundle:
            for file in files:
                bundle.writestr(ZipInfo(file.filename), file.content)
        archive = buffer.getvalue()
    call.server.store.put_blob(f"skills/{version['skill_id']}/{version['version']}", archive, "application/zip")


def _video(call: Call) -> str:
    """The length of a video in seconds, as the API has it: a string."""
    return str(call.body.get("seconds") or "4")


def _remixed(call: Call) -> str | None:
    return call.params.get("video_id")


def _grant(call: Call) -> dict[str, Any]:
    """Permissions on a checkpoint come one for each project."""
    keeper = family("fine_tuning.checkpoints.permissions")
    granted = [keeper.add(call, call.params, {"project_id": each}) for each in call.body["project_ids"]]
    return {"object": "list", "data": granted}


def _granted(call: Call) -> dict[str, Any]:
    page: dict[str, Any] = family("fine_tuning.checkpoints.permissions").list(call)
    return page


_VIDEO = {"status": queued, "progress": 0, "model": "sora-2", "seconds": _video, "size": "720x1280"}
_DERIVED = {
    **_VIDEO,
    "model": original("model", "sora-2"),
    "seconds": original("seconds", "4"),
    "size": original("size", "720x1280"),
}


FAMILIES = (
    Kept("batches", "batch_"),
    Kept(
        "uploads",
        "upload_",
        new={"status": "pending", "expires_at": later(3600)},
        actions={"cancel": {"status": "cancelled"}, "complete": {"status": "completed"}},
    ),
    Kept("uploads.parts", "part_"),
    Kept(
        "fine_tuning.jobs",
        "ftjob-",
        missing="Could not find fine tune: {id}",
        code="fine_tune_not_found",
    ),
    Kept(
        "fine_tuning.checkpoints.permissions",
        "cp_",
        noun="checkpoint permission",
        others={"create": _grant, "retrieve": _granted},
    ),
    Kept("fine_tuning.jobs.checkpoints", "ftckpt_", limit=10),
    Kept("fine_tuning.jobs.events", "ftevent-", ops={"list": "fine_tuning.jobs.list_events"}),
    Kept("audio.voices", "voice_", new={"type": "audio_sample"}),
    Kept("audio.voice_consents", "cons_", noun="voice consent"),
    Kept(
        "webhooks",
        "we_",
        noun="webhook endpoint",
        new={"signing_secret_hint": "whsec_***"},
        once={"signing_secret": _secret},
        actions={"test": {}, "rotate_secret": {"updated_at": now}},
        answers={
            "test": lambda call, doc: {
                "event_type": call.body["event_type"],
                "status_code": 200,
                "success": True,
                "webhook_endpoint_id": doc["id"],
            },
            "rotate_secret": lambda call, doc: {**doc, "signing_secret": _secret(call)},
        },
    ),
    Kept("evals", "eval_", order="asc"),
    Kept("evals.runs", "evalrun_", noun="eval run", order="asc"),
    Kept("evals.runs.output_items", "outputitem_", order="asc"),
    Kept(
        "containers",
        "cntr_",
        missing="Container with id '{id}' not found.",
        new={
            "object": "container",
            "status": "running",
            "last_active_at": now,
            "expires_after": {"anchor": "last_active_at", "minutes": 20},
            "memory_limit": "1g",
            "network_policy": {"type": "disabled"},
        },
        refers={"file_ids": "files"},
    ),
    Kept(
        "containers.files",
        "cfile_",
        noun="container file",
        new={"path": _container_path, "bytes": _container_bytes, "source": "user"},
        refers={"file_id": "files"},
        created=_keep_container_file,
        removed=_drop_blob,
    ),
    Kept(
        "skills",
        "skill_",
        new={"name": _skill_name, "description": _skill_description, "default_version": "1", "latest_version": "1"},
        created=_keep_skill,
    ),
    Kept(
        "skills.versions",
        "skillver_",
        key="version",
        new={
            "id": lambda call: call.server.ids.new("skillver_"),
            "name": _skill_name,
            "description": _skill_description,
        },
        forced={"version": _next_version},
        created=_keep_version,
    ),
    Kept(
        "videos",
        "video_",
        missing="Video with id '{id}' not found.",
        new=_VIDEO,
        created=begin_video,
        removed=forget_video,
    ),
    Kept("videos.characters", "char_", ops={"create": "videos.create_character", "retrieve": "videos.get_character"}),
    Kept("videos.edits", "video_", ops={"create": "videos.edit"}, new=_DERIVED, home="videos", created=begin_video),
    Kept(
        "videos.extensions",
        "video_",
        ops={"create": "videos.extend"},
        new=_DERIVED,
        forced={"seconds": stitched},
        home="videos",
        created=begin_video,
    ),
    Kept(
        "videos.remixes",
        "video_",
        ops={"create": "videos.remix"},
        new={**_DERIVED, "remixed_from_video_id": _remixed},
        home="videos",
        created=begin_video,
    ),
    Kept("safety.cases", "case_", noun="safety case"),
    Kept("safety.alerts", "alert_", noun="safety alert"),
)
