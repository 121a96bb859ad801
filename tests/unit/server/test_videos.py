"""Videos by a clock that stands still."""

from __future__ import annotations

import io
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from antiphon import BadRequestError, FakeOpenAI, InternalServerError, NotFoundError
from antiphon.server.clock import VirtualClock
from antiphon.server.films import Film, shape_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_a_video_is_rendered_by_the_clock() -> None:
    fake = FakeOpenAI(clock=VirtualClock(1_700_000_000), job_seconds=10)
    client = fake.client()
    video = client.videos.create(prompt="A lighthouse at night", seconds="8")
    seen = [(video.status, video.progress)]
    for _ in range(5):
        fake.clock.advance(2)
        video = client.videos.retrieve(video.id)
        seen.append((video.status, video.progress))
    assert seen == [
        ("queued", 0),
        ("in_progress", 0),
        ("in_progress", 25),
        ("in_progress", 50),
        ("in_progress", 75),
        ("completed", 100),
    ]
    assert (video.completed_at, video.seconds, video.prompt) == (1_700_000_010, "8", "A lighthouse at night")


def test_waiting_for_a_video_ends() -> None:
    client = FakeOpenAI(clock=VirtualClock()).client()
    video = client.videos.create_and_poll(prompt="Waves")
    assert video.status == "completed"
    remixed = client.videos.remix(video.id, prompt="Higher waves")
    assert client.videos.poll(remixed.id).status == "completed"
    assert client.videos.retrieve(remixed.id).remixed_from_video_id == video.id
    edited = client.videos.edit(prompt="At night", video={"id": video.id})
    longer = client.videos.extend(prompt="And on", seconds="4", video={"id": video.id})
    assert client.videos.poll(edited.id).status == client.videos.poll(longer.id).status == "completed"


def test_a_video_that_was_deleted_stays_away() -> None:
    fake = FakeOpenAI(clock=VirtualClock(), job_seconds=10)
    client = fake.client()
    video = client.videos.create(prompt="Waves")
    fake.clock.advance(3)
    client.videos.delete(video.id)
    fake.clock.advance(10)
    assert client.videos.list().data == []


def test_only_videos_that_are_there_are_remixed_edited_and_extended() -> None:
    client = FakeOpenAI().client()
    for begin in (
        lambda: client.videos.remix("video_none", prompt="x"),
        lambda: client.videos.edit(prompt="x", video={"id": "video_none"}),
        lambda: client.videos.extend(prompt="x", seconds="4", video={"id": "video_none"}),
    ):
        with pytest.raises(NotFoundError, match="Video with id 'video_none' not found"):
            begin()
    assert client.videos.list().data == []
    conjuring = FakeOpenAI(unknown_ids="conjure").client()
    assert conjuring.videos.edit(prompt="x", video={"id": "video_none"}).status == "queued"


def test_a_snapshot_has_the_videos_under_way() -> None:
    fake = FakeOpenAI(clock=VirtualClock(), job_seconds=10)
    client = fake.client()
    video = client.videos.create(prompt="Waves")
    before = fake.snapshot()
    fake.clock.advance(10)
    assert client.videos.retrieve(video.id).status == "completed"
    fake.restore(before)
    assert client.videos.retrieve(video.id).status == "completed"  # the clock is not turned back


# What they show


def told(client: Any, video: Any, **which: Any) -> bytes:
    """The content of a video that is waited for."""
    found: bytes = client.videos.download_content(client.videos.poll(video.id).id, **which).content
    return found


def pictured(data: bytes) -> tuple[str | None, tuple[int, int]]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.format, image.size


@pytest.fixture
def client() -> Any:
    return FakeOpenAI(clock=VirtualClock()).client()


def test_there_is_nothing_to_see_before_a_video_is_complete() -> None:
    fake = FakeOpenAI(clock=VirtualClock(), job_seconds=10)
    client = fake.client()
    video = client.videos.create(prompt="Waves")
    for seconds in (0, 5):
        fake.clock.advance(seconds)
        with pytest.raises(NotFoundError, match=r"Video is not ready yet, use GET /v1/videos/\{video_id\}"):
            client.videos.download_content(video.id)
    fake.clock.advance(5)
    assert client.videos.download_content(video.id).content
    with pytest.raises(NotFoundError, match="Video with id 'video_none' not found"):
        client.videos.download_content("video_none")


def test_a_video_has_the_size_and_the_length_that_were_asked_for(client: Any) -> None:
    for size, seconds in (("1280x720", "4"), ("720x1280", "8")):
        video = client.videos.create_and_poll(prompt="Waves", size=size, seconds=seconds)
        width, height = map(int, size.split("x"))
        answer = client.videos.download_content(video.id)
        assert answer.response.headers["content-type"] == "video/mp4"
        assert shape_of(answer.content) == Film(float(seconds), width, height)
        thumbnail = client.videos.download_content(video.id, variant="thumbnail")
        assert thumbnail.response.headers["content-type"] == "image/webp"
        assert pictured(thumbnail.content) == ("WEBP", (width, height))
        sheet = client.videos.download_content(video.id, variant="spritesheet")
        assert sheet.response.headers["content-type"] == "image/jpeg"
        tile = (256, 144) if width > height else (144, 256)
        assert pictured(sheet.content) == ("JPEG", (tile[0] * 5, tile[1] * (2 if seconds == "4" else 4)))


def test_a_seed_and_a_prompt_settle_every_byte() -> None:
    def film(seed: int, prompt: str, **which: Any) -> bytes:
        client = FakeOpenAI(clock=VirtualClock(), seed=seed).client()
        client.videos.create(prompt="One before, so that ids differ")
        return told(client, client.videos.create(prompt=prompt), **which)

    assert film(0, "Waves") == film(0, "Waves")
    assert len({film(0, "Waves"), film(1, "Waves"), film(0, "Hills")}) == 3
    assert film(0, "Waves", variant="spritesheet") == film(0, "Waves", variant="spritesheet")


def test_what_is_made_of_a_video_is_another_of_its_kind(client: Any) -> None:
    first = client.videos.create_and_poll(prompt="Waves", size="1280x720", seconds="4")
    remixed = client.videos.remix(first.id, prompt="Higher")
    edited = client.videos.edit(prompt="At night", video={"id": first.id})
    longer = client.videos.extend(prompt="And on", seconds="8", video={"id": first.id})
    again = client.videos.edit(prompt="In red", video={"id": longer.id})
    assert (longer.seconds, again.seconds) == ("12", "12")
    films = [told(client, each) for each in (first, remixed, edited, longer, again)]
    assert len(set(films)) == 5
    assert [shape_of(film) for film in films] == [Film(each, 1280, 720) for each in (4.0, 4.0, 4.0, 12.0, 12.0)]
    thumbnails = [told(client, each, variant="thumbnail") for each in (first, longer, again)]
    assert thumbnails[0] == thumbnails[1] != thumbnails[2]
    client.videos.delete(first.id)
    assert told(client, remixed) == films[1]


def test_an_uploaded_video_is_edited_and_extended_in_its_size_and_length(client: Any) -> None:
    film = told(client, client.videos.create(prompt="Waves", size="1792x1024", seconds="8"))
    edited = client.videos.edit(prompt="At night", video=("a.mp4", film))
    longer = client.videos.extend(prompt="And on", seconds="4", video=("a.mp4", film))
    assert [(each.seconds, each.size) for each in (edited, longer)] == [("8", "1792x1024"), ("12", "1792x1024")]
    assert shape_of(told(client, longer)) == Film(12.0, 1792, 1024)
    other = client.videos.edit(prompt="At night", video=("a.mp4", b"no video"))
    assert (other.seconds, other.size) == ("4", "720x1280")


def test_a_video_is_not_extended_for_ever(client: Any) -> None:
    video = client.videos.create_and_poll(prompt="Waves", seconds="12")
    for _ in range(9):
        video = client.videos.poll(client.videos.extend(prompt="On", seconds="12", video={"id": video.id}).id)
    assert video.seconds == "120"
    with pytest.raises(BadRequestError, match="would last 124 seconds, the maximum is 120") as raised:
        client.videos.extend(prompt="On", seconds="4", video={"id": video.id})
    assert raised.value.param == "seconds"
    assert shape_of(client.videos.download_content(video.id).content) == Film(120.0, 720, 1280)


def test_a_picture_to_begin_with_is_seen(client: Any, tmp_path: Path) -> None:
    picture = tmp_path / "blue.png"
    Image.new("RGB", (720, 1280), "blue").save(picture)
    file = client.files.create(file=picture, purpose="vision")
    address = "data:image/png;base64," + b64encode(picture.read_bytes()).decode()
    given: list[Any] = [picture, {"file_id": file.id}, {"image_url": address}]
    seen = [told(client, client.videos.create(prompt="Waves", input_reference=each)) for each in given]
    assert seen[0] == seen[1] == seen[2] != told(client, client.videos.create(prompt="Waves"))
    video = client.videos.create(prompt="", input_reference=picture)
    thumbnail = Image.open(io.BytesIO(told(client, video, variant="thumbnail"))).convert("RGB")
    red, _, blue = thumbnail.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    assert blue > red
    remixed = client.videos.remix(video.id, prompt="Waves")
    assert told(client, remixed) != told(client, client.videos.create(prompt="Waves"))


def test_a_file_that_is_no_picture_to_begin_with_is_refused(client: Any) -> None:
    given: list[Any] = [("a.png", b"no picture"), {"image_url": "data:image/png;base64,AAAA"}, {"file_id": "file-none"}]
    for each, why in zip(given, ("not a picture", "not a picture", "there is no file 'file-none'"), strict=True):
        with pytest.raises(BadRequestError, match=why) as raised:
            client.videos.create(prompt="Waves", input_reference=each)
        assert raised.value.param == "input_reference"
    assert client.videos.list().data == []
    elsewhere = client.videos.create(prompt="Waves", input_reference={"image_url": "https://pictures.test/a.png"})
    assert told(client, elsewhere) == told(client, client.videos.create(prompt="Waves"))


# What they show instead


def test_functions_give_videos_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.mp4"
    path.write_bytes(b"\0\0\0\x08ftypfile")

    async def later(prompt: str) -> Any:
        return path if prompt == "A file" else b"\x1aE\xdf\xa3" + prompt.encode()

    fake = FakeOpenAI(clock=VirtualClock(), videos={"sora-2": later, "own": lambda request: request.variant.encode()})
    client = fake.client()
    file, other = client.videos.create(prompt="A file"), client.videos.create(prompt="Waves")
    assert told(client, file) == path.read_bytes()
    assert told(client, other) == b"\x1aE\xdf\xa3Waves"
    assert client.videos.download_content(other.id).response.headers["content-type"] == "video/webm"
    assert pictured(told(client, other, variant="thumbnail")) == ("WEBP", (720, 1280))
    assert told(client, client.videos.create(prompt="x", model="own"), variant="thumbnail") == b"thumbnail"
    with pytest.raises(TypeError, match="a video engine is a function of a prompt, not 'no function'"):
        FakeOpenAI(videos="no function")  # type: ignore[arg-type]


def test_rules_answer_for_the_content_by_the_prompt() -> None:
    fake = FakeOpenAI(clock=VirtualClock())
    client = fake.client(max_retries=0)
    fake.when(text="Waves").reply(b"\0\0\0\x08ftypwave")
    fake.when(operation="videos.download_content", text="Hills").reply(lambda request: request.id.encode())
    fake.when(operation="videos.download_content", text="Storm").fail(500)
    fake.when(operation="videos.download_content", body={"size": "1280x720"}).reply(b"wide")
    fake.when(operation="videos.create", text="Forbidden").fail(400, code="moderation_blocked")
    waves = client.videos.create(prompt="Waves")
    assert told(client, waves) == b"\0\0\0\x08ftypwave"
    assert fake.journal[-1].rule is next(iter(fake.rules))
    assert fake.journal[-1].asked.text == "Waves"
    assert pictured(told(client, waves, variant="thumbnail"))[0] == "WEBP"
    hills = client.videos.create(prompt="Hills")
    assert told(client, hills) == hills.id.encode()
    with pytest.raises(InternalServerError):
        told(client, client.videos.create(prompt="Storm"))
    assert told(client, client.videos.create(prompt="A cat", size="1280x720")) == b"wide"
    assert shape_of(told(client, client.videos.create(prompt="A cat"))) is not None
    with pytest.raises(BadRequestError):
        client.videos.create(prompt="Forbidden")
    with pytest.raises(
        TypeError, match=r"videos are answered with the bytes of a file or its path, not \{'no': 'video'\}"
    ):
        fake.when(operation="videos.download_content").reply({"no": "video"})


def test_a_strict_fake_has_only_the_videos_of_rules() -> None:
    fake = FakeOpenAI(clock=VirtualClock(), strict=True)
    fake.when(text="Waves").reply(b"\0\0\0\x08ftypwave")
    client = fake.client()
    assert told(client, client.videos.create(prompt="Waves"))
    with pytest.raises(NotFoundError, match=r"No rule answers videos.download_content sora-2 'Hills'"):
        told(client, client.videos.create(prompt="Hills"))


def test_videos_that_were_never_made_are_conjured() -> None:
    client = FakeOpenAI(unknown_ids="conjure").client()
    data = client.videos.download_content("video_none").content
    assert shape_of(data) == Film(4.0, 720, 1280)
    assert data == client.videos.download_content("video_none").content


def test_what_draws_videos_is_loaded_for_the_first() -> None:
    code = """
import sys
from antiphon import FakeOpenAI
client = FakeOpenAI(job_seconds=0).client()
new = ["antiphon.engines.videos", "antiphon.engines.h264", "antiphon.engines.cavlc"]
assert not [name for name in new if name in sys.modules]
client.videos.download_content(client.videos.create(prompt="x").id)
assert all(name in sys.modules for name in new)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
