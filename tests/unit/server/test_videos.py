"""Videos by a clock that stands still."""

from __future__ import annotations

import pytest

from antiphon import FakeOpenAI, NotFoundError
from antiphon.server.clock import VirtualClock

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
