"""Pictures, sounds and files as parts of messages, and pictures to disk."""

from __future__ import annotations

import base64
import io
import json
import wave
from pathlib import Path
from typing import Any

import pytest

from antiphon import APIStatusError, FakeOpenAI, OpenAI, media
from antiphon.kernel.http import Headers, Request, Response
from antiphon.types import Image, ImagesResponse
from antiphon.types.responses import Response as ModelResponse

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ENCODED = base64.b64encode(PNG).decode()
URL = f"data:image/png;base64,{ENCODED}"


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 8)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (PNG, None, "image/png"),
        (PNG, "misnamed.jpg", "image/png"),
        (b"\xff\xd8\xff\xe0rest", None, "image/jpeg"),
        (b"GIF89a", None, "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", None, "image/webp"),
        (b"12345678WEBP", None, "text/plain"),
        (b"\0\0\0\x1cftypavif", None, "image/avif"),
        (b"\0\0\0\x1cftypisom", None, "video/mp4"),
        (b"BM\x36", None, "image/bmp"),
        (b"<svg xmlns='x'/>", None, "image/svg+xml"),
        (b"<?xml version='1.0'?>\n<svg/>", None, "image/svg+xml"),
        (b"%PDF-1.7", None, "application/pdf"),
        (b"ID3\x04", None, "audio/mpeg"),
        (b"\xff\xfb\x90\x00", None, "audio/mpeg"),
        (sound(), None, "audio/wav"),
        (b"fLaC", None, "audio/flac"),
        (b"OggS", None, "audio/ogg"),
        (b"PK\x03\x04", None, "application/zip"),
        (b"PK\x03\x04", "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"a,b\n1,2", "t.csv", "text/csv"),
        ("grüße".encode(), None, "text/plain"),
        (b"\x00\x01\x02", None, "application/octet-stream"),
        (b"\xfe\x01", None, "application/octet-stream"),
        (b"", None, "application/octet-stream"),
    ],
)
def test_what_data_is(data: bytes, name: str | None, kind: str) -> None:
    assert media.sniff(data, name) == kind


def test_pictures_come_from_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "cat.picture"
    path.write_bytes(PNG)
    part = {"type": "image_url", "image_url": {"url": URL}}
    for source in (PNG, bytearray(PNG), memoryview(PNG), path, str(path), io.BytesIO(PNG), URL):
        assert media.image(source) == part
    with path.open("rb") as file:
        assert media.image(file) == part
    assert media.image("https://x.test/cat.png", detail="low") == {
        "type": "image_url",
        "image_url": {"url": "https://x.test/cat.png", "detail": "low"},
    }
    assert media.input_image(path) == {"type": "input_image", "detail": "auto", "image_url": URL}
    assert media.input_image(id="file-1", detail="high") == {
        "type": "input_image",
        "detail": "high",
        "file_id": "file-1",
    }


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="application/pdf"):
        media.image(b"%PDF-1.7")
    with pytest.raises(FileNotFoundError):
        media.image(tmp_path / "no.png")
    with pytest.raises(TypeError, match="binary"):
        media.image(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="text/plain"):
        media.image("data:,hello")


def test_sounds() -> None:
    data = sound()
    encoded = base64.b64encode(data).decode()
    assert media.audio(data) == {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}}
    assert media.audio(f"data:audio/wav;base64,{encoded}") == media.audio(data)
    assert media.audio(b"raw", format="pcm16")["input_audio"]["format"] == "pcm16"  # type: ignore[comparison-overlap]
    with pytest.raises(ValueError, match="image/png"):
        media.audio(PNG)
    with pytest.raises(ValueError, match="address"):
        media.audio("https://x.test/a.wav")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(b"%PDF-1.7")
    encoded = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7").decode()
    assert media.file(path) == {"type": "file", "file": {"filename": "paper.pdf", "file_data": encoded}}
    assert media.file(b"%PDF-1.7") == {"type": "file", "file": {"filename": "file.pdf", "file_data": encoded}}
    assert media.file(path, name="x.pdf")["file"]["filename"] == "x.pdf"
    assert media.file(id="file-1") == {"type": "file", "file": {"file_id": "file-1"}}
    assert media.file(encoded) == media.file(b"%PDF-1.7")
    assert media.input_file(path) == {"type": "input_file", "filename": "paper.pdf", "file_data": encoded}
    assert media.input_file("https://x.test/a.pdf") == {"type": "input_file", "file_url": "https://x.test/a.pdf"}
    assert media.input_file(id="f") == {"type": "input_file", "file_id": "f"}
    assert media.text("words") == {"type": "text", "text": "words"}
    for wrong in (media.file, media.input_file, media.input_image):
        with pytest.raises(TypeError, match="either"):
            wrong()
        with pytest.raises(TypeError, match="either"):
            wrong(path, id="f")
    with pytest.raises(ValueError, match="input_file"):
        media.file("https://x.test/a.pdf")


def test_the_fake_takes_the_parts() -> None:
    seen: list[Any] = []

    def look(request: Any) -> str:
        seen.append(request.body)
        return "a dot"

    client = FakeOpenAI(engine=look).client()
    parts: Any = [media.text("What is it?"), media.image(PNG), media.audio(sound()), media.file(b"%PDF-1.7")]
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])
    assert seen[0]["messages"][0]["content"] == parts
    inputs: Any = [{"role": "user", "content": [media.input_image(PNG), media.input_file(b"%PDF-1.7")]}]
    client.responses.create(model="m", input=inputs)


async def test_pictures_are_saved(tmp_path: Path) -> None:
    fake = FakeOpenAI()
    client = fake.client()
    linked = client.images.generate(model="dall-e-2", prompt="a cat", n=2, size="256x256", response_format="url")
    paths = media.save_images(linked, tmp_path / "new" / "pictures", client=client)
    assert [path.name for path in paths] == ["image-1.png", "image-2.png"]
    held = client.images.generate(model="gpt-image-1", prompt="a cat", output_format="jpeg")
    assert media.save_images(held, tmp_path, prefix="cat") == [tmp_path / "cat-1.jpg"]
    awaited = await media.asave_images(linked, tmp_path / "new" / "pictures", client=fake.async_client())
    assert [path.name for path in awaited] == ["image-3.png", "image-4.png"]
    assert awaited[0].read_bytes() == paths[0].read_bytes()
    assert media.sniff(paths[0].read_bytes()) == "image/png"
    assert held.data is not None
    assert media.save_images(held.data, tmp_path, prefix="one")[0].exists()


def test_pictures_of_a_response_are_saved(tmp_path: Path) -> None:
    response = ModelResponse.of(
        {"output": [{"type": "message"}, {"type": "image_generation_call", "result": ENCODED}, {"result": "text"}]}
    )
    [path] = media.save_images(response, tmp_path)
    assert path.read_bytes() == PNG
    assert path.name == "image-1.png"


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "image-1.png").write_text("mine")
    pictures = ImagesResponse(created=1, data=[Image(b64_json=ENCODED), Image(url=URL)])
    assert [path.name for path in media.save_images(pictures, str(tmp_path))] == ["image-2.png", "image-3.png"]
    assert (tmp_path / "image-1.png").read_text() == "mine"


def test_no_picture_is_said(tmp_path: Path) -> None:
    for nothing in (ImagesResponse(created=1, data=None), ImagesResponse(created=1, data=[Image()]), []):
        with pytest.raises(ValueError, match="no picture"):
            media.save_images(nothing, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_downloads_do_not_carry_the_key(tmp_path: Path) -> None:
    seen: list[Request] = []

    def handler(request: Request) -> Response:
        seen.append(request)
        if request.path == "/gone":
            return Response(404, Headers(), json.dumps({"error": {"message": "expired"}}).encode())
        return Response(200, Headers(), PNG)

    client = OpenAI(api_key="sk-secret", transport=handler)
    picture = ImagesResponse(created=1, data=[Image(url="https://cdn.test/a/b?sig=1%2F2")])
    media.save_images(picture, tmp_path, client=client)
    assert seen[0].url == "https://cdn.test/a/b?sig=1%2F2"
    assert "authorization" not in seen[0].headers
    gone = ImagesResponse(created=1, data=[Image(url="https://cdn.test/gone")])
    with pytest.raises(APIStatusError, match="expired"):
        media.save_images(gone, tmp_path, client=client)


async def test_pictures_are_downloaded_without_a_client(tmp_path: Path) -> None:
    with FakeOpenAI().start(port=0) as server:
        with OpenAI(api_key="k", base_url=server.base_url) as client:
            picture = client.images.generate(model="dall-e-2", prompt="a", size="256x256", response_format="url")
        [path] = media.save_images(picture, tmp_path)
        [again] = await media.asave_images(picture, tmp_path)
        assert path.read_bytes() == again.read_bytes()
