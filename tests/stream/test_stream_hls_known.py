"""What HLS answers at once is what it would answer anyway, to nobody who may not have it, and never an old playlist."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.stream.scripted_stream import CAMERA
from tests.stream.test_stream_hls import SECRET, TimedCamera, push

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.stream.errors import Refused
from vms.stream.hls import HlsService, UrlTokens
from vms.stream.hls import service as service_module
from vms.stream.http.request import Request, Response, parse_target
from vms.stream.http.token import WATCH, mint
from vms.stream.hubs import own_hubs

LASTS_S = 600
LASTS_NS = LASTS_S * NS


class Watched:
    """A camera that is watched already, and whoever asks for it."""

    def __init__(self) -> None:
        self.camera = TimedCamera()
        self.clock = ManualClock()
        self.service = HlsService(
            own_hubs(lambda _: self.camera.hub), self.clock, UrlTokens(SECRET, self.clock)
        )
        self.token = mint(SECRET, CAMERA, WATCH, self.clock.wall_ns() + LASTS_NS)

    def target(self, rest: str, token: str = "") -> str:
        return f"/hls/{CAMERA}/main/{rest}?token={token or self.token}"

    def known(self, rest: str) -> Response | None:
        return self.service.known(self.target(rest))

    async def asked(self, rest: str) -> Response:
        parsed = parse_target(self.target(rest))
        assert parsed
        names = {"camera_id": CAMERA, "stream": "main", "rest": rest}
        return await self.service.handle(Request("GET", *parsed, {}, parameters=names))

    def files(self) -> list[str]:
        """What there is: parts of each segment, then the whole ones, the init segment."""
        rendition = next(iter(self.service.streams.values())).renditions["video"]
        parts = [f"video/{s.number}.{n}.mp4" for s in rendition.segments for n in range(len(s.parts))]
        whole = [f"video/{s.number}.mp4" for s in rendition.segments if s.complete]
        return [*parts, *whole, *(f"video/{name}.mp4" for name in rendition.inits)]


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    watched = Watched()
    push(watched.camera, 1)
    reload = asyncio.create_task(watched.asked("video.m3u8"))
    while not watched.service.streams or not next(iter(watched.service.streams.values())).waiters:
        await asyncio.sleep(0)
    assert watched.known("video.m3u8") is None, "what has to be waited for is not known"
    push(watched.camera, 6)
    await reload
    yield watched
    await watched.service.stop()


async def test_what_is_known_is_what_the_handler_says(watched: Watched) -> None:
    names = ["video.m3u8", *watched.files()]
    assert len(names) > 20
    for name in names * 2:
        known, asked = watched.known(name), await watched.asked(name)
        assert known is not None, name
        assert (known.status, known.headers, b"".join(known.parts)) == (
            *(asked.status, asked.headers),
            b"".join(asked.parts),
        )


@pytest.mark.parametrize(
    "rest",
    ["index.m3u8", "audio.m3u8", "video/1.mp4", "video/1.1.mp4", "none", "", "video%2em3u8", "video.m3u8/x"],
)
async def test_what_is_not_there_or_not_plain_is_left_to_the_handler(watched: Watched, rest: str) -> None:
    assert watched.known(rest) is None


async def test_a_part_and_a_segment_are_known_once_they_are_there(watched: Watched) -> None:
    rendition = next(iter(watched.service.streams.values())).renditions["video"]
    while rendition.open is None or not rendition.open.parts:
        watched.camera.push()
    number, part = rendition.segments[-1].number, len(rendition.segments[-1].parts)
    hinted, whole = f"video/{number}.{part}.mp4", f"video/{number}.mp4"
    assert watched.known(hinted) is watched.known(whole) is None
    push(watched.camera, 3)
    found, segment = watched.known(hinted), watched.known(whole)
    assert found is not None and segment is not None
    assert b"".join(found.parts) in b"".join(segment.parts)
    push(watched.camera, 40)
    assert watched.known(hinted) is watched.known(whole) is None, "nothing that is gone is kept"


async def test_a_playlist_is_the_newest_each_time_and_has_its_askers_token(watched: Watched) -> None:
    other = mint(SECRET, CAMERA, WATCH, watched.clock.wall_ns() + LASTS_NS + 1)
    seen = set()
    for _ in range(5):
        mine = watched.known("video.m3u8")
        theirs = watched.service.known(watched.target("video.m3u8", other))
        assert mine is not None and theirs is not None
        text, text_of_other = b"".join(mine.parts).decode(), b"".join(theirs.parts).decode()
        assert text.replace(watched.token, other) == text_of_other
        assert other not in text
        seen.add(text)
        push(watched.camera, 1)
    assert len(seen) == 5


async def test_an_answer_serves_all_who_ask_before_the_next_part(watched: Watched) -> None:
    name = watched.files()[-2]
    assert watched.known(name) is watched.known(name)
    assert watched.service.requests >= 2


async def test_nothing_is_known_to_who_may_not_watch(watched: Watched) -> None:
    yard = mint(SECRET, CameraId("yard"), WATCH, watched.clock.wall_ns() + LASTS_NS)
    for token in (yard, "x", watched.token[:-1], watched.token + "A"):
        assert watched.service.known(watched.target("video.m3u8", token)) is None
    assert watched.known("video.m3u8") is not None
    watched.clock.advance(LASTS_S)
    assert watched.known("video.m3u8") is None, "a token that was good has expired"
    with pytest.raises(Refused):
        await watched.asked("video.m3u8")


def test_tokens_that_are_remembered_are_bounded_and_of_one_camera() -> None:
    clock = ManualClock()
    tokens = UrlTokens(SECRET, clock)
    for number in range(3 * service_module._TOKENS_KEPT):
        tokens.check(mint(SECRET, CAMERA, WATCH, clock.wall_ns() + LASTS_NS + number), CAMERA)
        assert len(tokens._expiries) <= service_module._TOKENS_KEPT
    last = mint(SECRET, CAMERA, WATCH, clock.wall_ns() + LASTS_NS)
    tokens.check(last, CAMERA)
    with pytest.raises(Refused):
        tokens.check(last, CameraId("yard"))
    assert last not in repr(tokens)


async def test_a_stream_that_is_only_asked_for_what_is_known_does_not_end(watched: Watched) -> None:
    for _ in range(5):
        watched.clock.advance(service_module.IDLE_S * 0.9)
        assert watched.known("video.m3u8") is not None
        watched.service._sweep()
    watched.clock.advance(service_module.IDLE_S * 1.1)
    watched.service._sweep()
    assert not watched.service.streams


@pytest.mark.parametrize("end", ["end_camera", "end_stream", "stop"])
async def test_nothing_is_known_of_a_stream_that_has_ended(watched: Watched, end: str) -> None:
    names = ["video.m3u8", *watched.files()]
    assert all(watched.known(name) for name in names)
    if end == "end_camera":
        watched.service.end_camera(CAMERA)
    elif end == "end_stream":
        watched.service.end_stream(CAMERA, StreamName.MAIN)
    else:
        await watched.service.stop()
    assert not any(watched.known(name) for name in names)


async def test_answers_that_are_kept_are_bounded_and_go_when_they_are_old(watched: Watched) -> None:
    for number in range(2 * service_module._KEPT_MAX):
        token = mint(SECRET, CAMERA, WATCH, watched.clock.wall_ns() + LASTS_NS + number)
        assert watched.service.known(watched.target("video.m3u8", token)) is not None
        assert len(watched.service._kept) <= service_module._KEPT_MAX
    push(watched.camera, 1)
    watched.service._sweep()
    assert not watched.service._kept
