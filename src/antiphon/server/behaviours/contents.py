"""The bytes behind documents of the generic engine: container files and skills.

API reference: https://platform.openai.com/docs/api-reference/containers and …/skills
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...api.containers.files.content import Content as ContainerContent
from ...api.skills.content import Content as SkillContent
from ...api.skills.versions.content import Content as VersionContent
from ...kernel.http import Headers, Response
from ..behaviour import Call, serves
from ..kept import check_parents, family

if TYPE_CHECKING:
    from ..behaviour import Reply


def _kept(call: Call, key: str, content_type: str = "application/octet-stream") -> Response:
    blob = call.server.store.get_blob(key)
    data, kind = (b"", content_type) if blob is None else blob
    return Response(200, Headers.of([("content-type", kind)]), data)


@serves(ContainerContent.retrieve)
def container_file(call: Call) -> Reply:
    """The bytes of a file in a container."""
    check_parents(call)
    return _kept(call, call.params["file_id"])


@serves(SkillContent.retrieve)
def skill(call: Call) -> Reply:
    """The archive of a skill's default version."""
    doc: dict[str, Any] = family("skills").get(call, call.params, call.params["skill_id"])
    return _kept(call, f"skills/{doc['id']}/{doc['default_version']}", "application/zip")


@serves(VersionContent.retrieve)
def skill_version(call: Call) -> Reply:
    """The archive of one version of a skill."""
    check_parents(call)
    return _kept(call, f"skills/{call.params['skill_id']}/{call.params['version']}", "application/zip")
