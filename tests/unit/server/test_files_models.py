"""Files keep their bytes, uploads are put together, models exist or do not; what generic families do beside."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any

import pytest

from antiphon.server.app import Server
from antiphon.server.clock import VirtualClock
from antiphon.server.engine import Engines
from antiphon.server.vocabulary import known_models
from tests.unit.server.door import Said, ask, form


@pytest.fixture
def server() -> Server:
    return Server(clock=VirtualClock(1_000_000))


def upload(server: Server, content: bytes = b"hello", name: str = "a.txt", **fields: Any) -> Any:
    body, headers = form([("file", (name, content)), *{"purpose": "assistants", **fields}.items()])
    answer = ask(server, "POST", "/v1/files", body, headers=headers)
    assert answer.status == 200, answer.body
    return answer.json


def part(server: Server, upload_id: str, data: bytes) -> Said:
    body, headers = form([("data", ("blob", data))])
    return ask(server, "POST", f"/v1/uploads/{upload_id}/parts", body, headers=headers)


# Files


def test_bytes_come_back(server: Server) -> None:
    content = bytes(range(256)) * 40 + b"\r\n--xYzZ\r\n"
    file = upload(server, content, "na'me.bin")
    assert file | {"id": ""} == {
        "id": "",
        "object": "file",
        "bytes": len(content),
        "created_at": 1_000_000,
        "filename": "na'me.bin",
        "purpose": "assistants",
        "status": "processed",
        "expires_at": None,
        "status_details": None,
    }
    answer = ask(server, "GET", f"/v1/files/{file['id']}/content")
    assert answer.body == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert ask(server, "GET", f"/v1/files/{file['id']}").json == file


def test_a_name_stays_within_its_header(server: Server) -> None:
    announced = {"filename": 'a\r\nx-evil: "é\\.txt', "bytes": 3, "mime_type": "text/plain", "purpose": "assistants"}
    begun = ask(server, "POST", "/v1/uploads", announced).json
    sent = part(server, begun["id"], b"abc").json
    done = ask(server, "POST", f"/v1/uploads/{begun['id']}/complete", {"part_ids": [sent["id"]]}).json
    assert done["file"]["filename"] == announced["filename"]
    answer = ask(server, "GET", f"/v1/files/{done['file']['id']}/content")
    assert answer.headers["content-disposition"] == 'attachment; filename="a__x-evil: _?_.txt"'


def test_files_expire_when_told(server: Server) -> None:
    told = upload(server, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": 3600})
    assert told["expires_at"] == 1_003_600
    assert upload(server, b"{}", purpose="batch")["expires_at"] == 1_000_000 + 30 * 86_400


def test_lists_of_files_select(server: Server) -> None:
    files = [upload(server, purpose=purpose) for purpose in ("assistants", "vision", "assistants")]
    listed = ask(server, "GET", "/v1/files?purpose=assistants").json
    assert [each["id"] for each in listed["data"]] == [files[2]["id"], files[0]["id"]]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (files[2]["id"], files[0]["id"], False)


def test_deleted_files_are_gone(server: Server) -> None:
    file = upload(server)
    address = f"/v1/files/{file['id']}"
    assert ask(server, "DELETE", address).json == {"id": file["id"], "object": "file", "deleted": True}
    for method, path in (("GET", address), ("GET", address + "/content"), ("DELETE", address)):
        answer = ask(server, method, path)
        assert answer.status == 404
        assert answer.error["message"] == f"No such File object: {file['id']}"


# Uploads


def test_parts_become_a_file(server: Server) -> None:
    data = [b'{"one": ', b'"two"}\n', b'{"three": 3}']
    whole = b"".join(data)
    body = {"bytes": len(whole), "filename": "t.jsonl", "mime_type": "text/jsonl", "purpose": "batch"}
    made = ask(server, "POST", "/v1/uploads", body).json
    assert (made["status"], made["file"], made["expires_at"]) == ("pending", None, 1_003_600)
    parts = [part(server, made["id"], each).json["id"] for each in (data[1], data[0], data[2])]
    order = [parts[1], parts[0], parts[2]]
    address = f"/v1/uploads/{made['id']}"
    wrong = ask(server, "POST", address + "/complete", {"part_ids": order, "md5": "0" * 32})
    assert (wrong.status, wrong.error["param"]) == (400, "md5")
    md5 = hashlib.md5(whole, usedforsecurity=False).hexdigest()
    done = ask(server, "POST", address + "/complete", {"part_ids": order, "md5": md5}).json
    assert done["status"] == "completed"
    assert done["file"]["filename"] == "t.jsonl"
    assert ask(server, "GET", f"/v1/files/{done['file']['id']}/content").body == whole
    assert part(server, made["id"], b"more").status == 400
    assert ask(server, "POST", address + "/cancel").status == 400


def test_uploads_that_do_not_add_up(server: Server) -> None:
    body = {"bytes": 3, "filename": "t", "mime_type": "text/plain", "purpose": "assistants"}
    made = ask(server, "POST", "/v1/uploads", body).json
    address = f"/v1/uploads/{made['id']}"
    assert ask(server, "POST", address + "/complete", {"part_ids": ["part_none"]}).status == 400
    short = part(server, made["id"], b"x").json["id"]
    answer = ask(server, "POST", address + "/complete", {"part_ids": [short]})
    assert answer.status == 400
    assert "3 were announced" in answer.error["message"]
    assert ask(server, "POST", address + "/cancel").json["status"] == "cancelled"
    assert part(server, made["id"], b"x").status == 400
    assert part(server, "upload_none", b"x").status == 404


# Models


def test_models_of_the_vocabulary(server: Server) -> None:
    listed = ask(server, "GET", "/v1/models").json
    ids = [each["id"] for each in listed["data"]]
    assert ids == list(known_models())
    assert {"gpt-4o", "text-embedding-3-small", "whisper-1", "tts-1", "dall-e-2", "sora-2"} <= set(ids)
    model = ask(server, "GET", "/v1/models/gpt-4o").json
    assert model == next(each for each in listed["data"] if each["id"] == "gpt-4o")
    assert (model["object"], model["owned_by"]) == ("model", "system")
    assert model["created"] < 1_720_000_000


def test_models_that_were_named() -> None:
    server = Server(models=["mine", "other"])
    assert [each["id"] for each in ask(server, "GET", "/v1/models").json["data"]] == ["mine", "other"]
    assert ask(server, "GET", "/v1/models/gpt-4o").status == 404
    assert ask(server, "GET", "/v1/models/mine").json["owned_by"] == "organization-owner"


def test_models_of_the_engines() -> None:
    def engine(request: Any) -> Any:
        return "hi"

    server = Server(Engines(chat={"mine": engine, "*": engine}))
    ids = [each["id"] for each in ask(server, "GET", "/v1/models").json["data"]]
    assert ids[0] == "mine"
    assert "gpt-4o" in ids
    narrow = Server(Engines(chat=engine, models=["gpt-4o*", "mine"]))
    ids = [each["id"] for each in ask(narrow, "GET", "/v1/models").json["data"]]
    assert {"mine", "gpt-4o", "gpt-4o-mini"} <= set(ids)
    assert "gpt-5" not in ids


def test_no_such_model(server: Server) -> None:
    for method in ("GET", "DELETE"):
        answer = ask(server, method, "/v1/models/nothing")
        assert answer.status == 404
        assert answer.error == {
            "message": "The model 'nothing' does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }


def test_only_tuned_models_are_deleted(server: Server) -> None:
    assert ask(server, "DELETE", "/v1/models/gpt-4o").status == 403
    tuned = "/v1/models/ft:gpt-4o:org::abc"
    assert ask(server, "GET", tuned).json["owned_by"] == "org-antiphon"
    assert ask(server, "DELETE", tuned).json == {"id": "ft:gpt-4o:org::abc", "object": "model", "deleted": True}
    assert ask(server, "GET", tuned).status == 404


# What some families do beside


def test_vector_stores_count_their_files(server: Server) -> None:
    files = [upload(server, b"12345")["id"], upload(server, b"123")["id"]]
    store = ask(server, "POST", "/v1/vector_stores", {"name": "s", "file_ids": files}).json
    assert store["file_counts"]["total"] == store["file_counts"]["in_progress"] == 2
    server.clock.advance(1)
    store = ask(server, "GET", f"/v1/vector_stores/{store['id']}").json
    assert store["file_counts"]["total"] == store["file_counts"]["completed"] == 2
    assert store["usage_bytes"] == 8 + 2 * 1024
    address = f"/v1/vector_stores/{store['id']}/files"
    assert ask(server, "GET", f"{address}/{files[0]}/content").json["data"] == [{"type": "text", "text": "12345"}]
    assert len(ask(server, "GET", address + "?filter=completed").json["data"]) == 2
    assert ask(server, "GET", address + "?filter=failed").json["data"] == []
    deleted = ask(server, "DELETE", f"{address}/{files[0]}").json
    assert deleted == {"id": files[0], "object": "vector_store.file.deleted", "deleted": True}
    assert ask(server, "GET", f"/v1/vector_stores/{store['id']}").json["file_counts"]["total"] == 1
    third = upload(server)["id"]
    batch = ask(server, "POST", f"/v1/vector_stores/{store['id']}/file_batches", {"file_ids": [third]}).json
    assert batch["file_counts"]["total"] == 1
    inside = ask(server, "GET", f"/v1/vector_stores/{store['id']}/file_batches/{batch['id']}/files").json
    assert [each["id"] for each in inside["data"]] == [third]
    missing = ask(server, "POST", address, {"file_id": "file-none"})
    assert (missing.status, missing.error["message"]) == (404, "No such File object: file-none")
    assert ask(server, "GET", "/v1/vector_stores/vs_none/files").error["message"] == (
        "No vector store found with id 'vs_none'."
    )


def test_threads_and_runs(server: Server) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assistant = ask(server, "POST", "/v1/assistants", {"model": "gpt-4o", "instructions": "Be", "tools": tools}).json
    assert [tool["function"]["name"] for tool in assistant["tools"]] == ["f"]
    thread = ask(server, "POST", "/v1/threads", {"messages": [{"role": "user", "content": "Hi"}]}).json
    address = f"/v1/threads/{thread['id']}"
    said = ask(server, "POST", address + "/messages", {"role": "user", "content": "You?", "metadata": {"a": "b"}}).json
    assert said["content"] == [{"type": "text", "text": {"value": "You?", "annotations": []}}]
    listed = ask(server, "GET", address + "/messages?order=asc").json["data"]
    assert [each["content"][0]["text"]["value"] for each in listed] == ["Hi", "You?"]
    changed = ask(server, "POST", f"{address}/messages/{said['id']}", {"metadata": {"c": "d"}}).json
    assert changed == said | {"metadata": {"c": "d"}}
    run = ask(server, "POST", address + "/runs", {"assistant_id": assistant["id"]}).json
    assert (run["model"], run["instructions"], run["status"]) == ("gpt-4o", "Be", "queued")
    assert ask(server, "POST", f"{address}/runs/{run['id']}/cancel").json["status"] == "cancelling"
    assert ask(server, "POST", address + "/runs", {"assistant_id": "asst_none"}).status == 404
    both = ask(
        server,
        "POST",
        "/v1/threads/runs",
        {"assistant_id": assistant["id"], "thread": {"messages": [{"role": "user", "content": "Hi"}]}},
    ).json
    assert ask(server, "GET", f"/v1/threads/{both['thread_id']}/runs/{both['id']}").json == both
    assert len(ask(server, "GET", f"/v1/threads/{both['thread_id']}/messages").json["data"]) == 1


def test_skills_keep_their_versions(server: Server) -> None:
    text = b"---\nname: greet\ndescription: Says hello\n---\nHello"
    body, headers = form([("files[]", ("greet/SKILL.md", text))])
    skill = ask(server, "POST", "/v1/skills", body, headers=headers).json
    assert (skill["name"], skill["description"], skill["latest_version"]) == ("greet", "Says hello", "1")
    archive = ask(server, "GET", f"/v1/skills/{skill['id']}/content")
    assert archive.headers["content-type"] == "application/zip"
    assert zipfile.ZipFile(io.BytesIO(archive.body)).read("greet/SKILL.md") == text
    body, headers = form([("files[]", ("greet/SKILL.md", b"---\nname: hi\n---\n")), ("default", "true")])
    version = ask(server, "POST", f"/v1/skills/{skill['id']}/versions", body, headers=headers).json
    assert (version["version"], version["name"]) == ("2", "hi")
    now = ask(server, "GET", f"/v1/skills/{skill['id']}").json
    assert (now["latest_version"], now["default_version"]) == ("2", "2")
    listed = ask(server, "GET", f"/v1/skills/{skill['id']}/versions?limit=1").json
    assert listed["has_more"] is True
    assert ask(server, "GET", f"/v1/skills/{skill['id']}/versions/2").json == version


def test_secrets_are_told_once(server: Server) -> None:
    hook = {"name": "h", "url": "https://example.com/h", "event_types": ["batch.completed"]}
    made = ask(server, "POST", "/v1/webhook_endpoints", hook).json
    assert made["signing_secret"].startswith("whsec_")
    address = f"/v1/webhook_endpoints/{made['id']}"
    assert "signing_secret" not in ask(server, "GET", address).json
    fresh = ask(server, "POST", address + "/rotate_secret", {}).json
    assert fresh["signing_secret"] not in ("", made["signing_secret"])
    tested = ask(server, "POST", address + "/test", {"event_type": "batch.completed"}).json
    assert (tested["webhook_endpoint_id"], tested["event_type"]) == (made["id"], "batch.completed")
    assert "batch.completed" in ask(server, "GET", "/v1/webhook_event_types").json["data"]
    key = ask(server, "POST", "/v1/organization/admin_api_keys", {"name": "k"}).json
    assert key["value"].startswith("sk-admin-")
    assert "value" not in ask(server, "GET", f"/v1/organization/admin_api_keys/{key['id']}").json


def test_settings(server: Server) -> None:
    address = "/v1/organization/spend_limit"
    assert ask(server, "GET", address).status == 404
    limit = {"currency": "USD", "interval": "month", "threshold_amount": 500}
    assert ask(server, "POST", address, limit).json["threshold_amount"] == 500
    assert ask(server, "GET", address).json["threshold_amount"] == 500
    assert ask(server, "DELETE", address).json["deleted"] is True
    assert ask(server, "GET", address).status == 404
    retention = "/v1/organization/projects/proj_default/data_retention"
    assert ask(server, "GET", retention).json["type"] == "organization_default"
    assert ask(server, "POST", retention, {"retention_type": "none"}).json["type"] == "none"
    assert ask(server, "GET", retention).json["type"] == "none"
    assert ask(server, "GET", "/v1/organization/projects/proj_none/data_retention").status == 404


def test_projects_and_roles(server: Server) -> None:
    project = ask(server, "POST", "/v1/organization/projects", {"name": "p"}).json
    address = f"/v1/organization/projects/{project['id']}"
    account = ask(server, "POST", address + "/service_accounts", {"name": "robot"}).json
    assert account["api_key"]["value"].startswith("sk-svcacct-")
    role = ask(server, "POST", "/v1/organization/roles", {"role_name": "r", "permissions": ["x"]}).json
    assert (role["name"], role["predefined_role"]) == ("r", False)
    given = ask(server, "POST", "/v1/organization/users/user-owner/roles", {"role_id": role["id"]}).json
    assert (given["role"]["name"], given["user"]["id"]) == ("r", "user-owner")
    listed = ask(server, "GET", "/v1/organization/users/user-owner/roles").json
    assert ([each["name"] for each in listed["data"]], listed["next"]) == (["r"], None)
    assert ask(server, "POST", address + "/archive").json["status"] == "archived"
    names = [each["name"] for each in ask(server, "GET", "/v1/organization/projects").json["data"]]
    assert names == ["Default project"]
    both = ask(server, "GET", "/v1/organization/projects?include_archived=true").json["data"]
    assert [each["name"] for each in both] == ["p", "Default project"]
    limits = ask(server, "GET", "/v1/organization/projects/proj_default/rate_limits").json["data"]
    changed = f"/v1/organization/projects/proj_default/rate_limits/{limits[0]['id']}"
    assert ask(server, "POST", changed, {"max_requests_per_1_minute": 7}).json["max_requests_per_1_minute"] == 7


def test_certificates(server: Server) -> None:
    made = ask(server, "POST", "/v1/organization/certificates", {"certificate": "PEM", "name": "c"}).json
    on = ask(server, "POST", "/v1/organization/certificates/activate", {"certificate_ids": [made["id"]]}).json
    assert [each["active"] for each in on["data"]] == [True]
    place = "/v1/organization/projects/proj_default/certificates"
    assert ask(server, "POST", place + "/activate", {"certificate_ids": [made["id"]]}).status == 200
    assert [each["id"] for each in ask(server, "GET", place).json["data"]] == [made["id"]]
    assert ask(server, "POST", place + "/activate", {"certificate_ids": ["cert_none"]}).status == 404


def test_checkpoint_permissions(server: Server) -> None:
    address = "/v1/fine_tuning/checkpoints/ft:x/permissions"
    granted = ask(server, "POST", address, {"project_ids": ["proj_1", "proj_2"]}).json["data"]
    assert [each["project_id"] for each in granted] == ["proj_1", "proj_2"]
    assert [each["id"] for each in ask(server, "GET", address + "?project_id=proj_2").json["data"]] == [
        granted[1]["id"]
    ]
    assert ask(server, "DELETE", f"{address}/{granted[0]['id']}").json["deleted"] is True


def test_videos_are_remixed(server: Server) -> None:
    body, headers = form([("prompt", "a cat"), ("size", "1280x720")])
    video = ask(server, "POST", "/v1/videos", body, headers=headers).json
    assert (video["size"], video["seconds"], video["status"]) == ("1280x720", "4", "queued")
    remix = ask(server, "POST", f"/v1/videos/{video['id']}/remix", {"prompt": "a dog"}).json
    assert (remix["remixed_from_video_id"], remix["size"], remix["prompt"]) == (video["id"], "1280x720", "a dog")
    assert [each["id"] for each in ask(server, "GET", "/v1/videos").json["data"]] == [remix["id"], video["id"]]


def test_containers_keep_files(server: Server) -> None:
    box = ask(server, "POST", "/v1/containers", {"name": "box"}).json
    body, headers = form([("file", ("a.csv", b"1,2"))])
    file = ask(server, "POST", f"/v1/containers/{box['id']}/files", body, headers=headers).json
    assert (file["path"], file["bytes"], file["container_id"]) == ("/mnt/data/a.csv", 3, box["id"])
    address = f"/v1/containers/{box['id']}/files/{file['id']}"
    assert ask(server, "GET", address + "/content").body == b"1,2"
    assert ask(server, "DELETE", address).status == 200
    assert ask(server, "GET", address + "/content").status == 404


def test_conjuring_resolves_anything() -> None:
    server = Server(unknown_ids="conjure", clock=VirtualClock())
    for _ in range(2):
        file = ask(server, "GET", "/v1/files/file-abc").json
        assert (file["id"], file["object"]) == ("file-abc", "file")
        assert ask(server, "DELETE", "/v1/files/file-abc").json["deleted"] is True
    assert ask(server, "GET", "/v1/vector_stores/vs_a/files?after=nothing").json["data"] == []
    assert ask(server, "GET", "/v1/models/anything").json["id"] == "anything"
    assert ask(server, "POST", "/v1/threads/t/runs", {"assistant_id": "a"}).json["thread_id"] == "t"
