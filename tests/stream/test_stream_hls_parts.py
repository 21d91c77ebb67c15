"""How long parts are: no last part so short that hls.js would never ask for it."""

import asyncio
import random

import pytest
from playwright.async_api import Page
from tests.stream.scripted_stream import Camera, h264_pictures
from tests.stream.test_stream_hls import serve
from tests.stream.test_stream_hls_browser import HLS_JS, page
from tests.stream.test_stream_hls_numbers import START_NS, feed, playlist_of, units

from vms.common.clock import NS
from vms.format.codecs import audio_track
from vms.media import AccessUnit, Codec
from vms.stream.hls.parts import SHORTEST_NS, aac_frame_ns, part_target_ns
from vms.stream.hls.playlist import media
from vms.stream.hls.rendition import Rendition, Segment
from vms.stream.hls.timeline import Timeline

__all__ = ["page", "serve"]

TAKEN_FOR_LOADED_NS = 200_000_000
"""Of a segment's end: hls.js 1.7, fragment-tracker.ts, bufferPadding."""
PLAY = """url => {
  const video = window.video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  window.loaded = new Set(); window.completed = []; window.errors = [];
  let held = null;
  const name = part => `${part.fragment.sn}.${part.index}`;
  const newest = () => window.hls.levels[0]?.details?.partList?.at(-1);
  const soon = (call, turns) => turns ? Promise.resolve().then(() => soon(call, turns - 1)) : call();
  class Parts extends Hls.DefaultConfig.loader {
    load(context, config, callbacks) {
      const give = callbacks.onSuccess;
      const onSuccess = (...all) => {
        if (context.part && newest() && name(context.part) === name(newest())) held = () => give(...all);
        else give(...all);
      };
      super.load(context, config, {...callbacks, onSuccess});
    }
  }
  class Playlists extends Hls.DefaultConfig.loader {
    load(context, config, callbacks) {
      const give = callbacks.onSuccess;
      const onSuccess = (...all) => {
        const part = held;
        held = null;
        if (!part) return give(...all);
        part();
        soon(() => { give(...all); if (newest().fragment.sn <= hls.levels[0].details.endSN) completed.push(name(newest())); }, 50);
      };
      super.load(context, config, {...callbacks, onSuccess});
    }
  }
  const hls = window.hls = new Hls({lowLatencyMode: true, fLoader: Parts, pLoader: Playlists});
  hls.on(Hls.Events.FRAG_LOADED, (event, {part}) => part && loaded.add(name(part)));
  hls.on(Hls.Events.ERROR, (event, data) => errors.push(data.details));
  hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
  hls.loadSource(url);
  hls.attachMedia(video);
}"""


def whole(rendition: Rendition) -> list[Segment]:
    """Segments of several parts, without those of which there may be only the end, and the beginning."""
    return [segment for segment in list(rendition.segments)[2:-1] if len(segment.parts) > 1]


def shaken(stream: list[AccessUnit]) -> list[AccessUnit]:
    """Captured up to 60 ms later than the stream's own clock says."""
    chance = random.Random(1)
    return [unit._replace(capture_ns=unit.capture_ns + chance.randrange(60_000_000)) for unit in stream]


@pytest.mark.parametrize("jitter", [False, True])
@pytest.mark.parametrize(
    ("fps", "gop"),
    [
        *((25, 25), (25, 50), (25, 48), (25, 12), (30, 30), (30, 60), (30, 15), (20, 40), (15, 15), (15, 30)),
        *((12.5, 25), (10, 10), (10, 20), (5, 10), (1, 1)),
    ],
)
def test_no_part_of_a_segment_is_much_shorter_than_the_target(fps: float, gop: int, jitter: bool) -> None:
    stream = units(int(fps * 40), fps=fps, gop=gop, start_ns=START_NS + NS // 7)
    rendition = feed(shaken(stream) if jitter else stream, Rendition(Timeline(), part_target_ns(NS / fps)))
    segments = whole(rendition)
    assert len(segments) > 5
    for segment in segments:
        assert segment.parts[-1].duration_ns >= SHORTEST_NS > TAKEN_FOR_LOADED_NS
        assert min(part.duration_ns for part in segment.parts[:-1]) >= 0.85 * rendition.part_target_ns


@pytest.mark.parametrize("rate", [8_000, 16_000, 32_000, 44_100, 48_000])
def test_no_part_of_sound_is_much_shorter_than_the_target(rate: int) -> None:
    track = audio_track(2, Codec.AAC, sample_rate=rate, channels=1, parameter_sets=[b"\x14\x08"])
    frames = [
        AccessUnit(track, b"x", n * 1024, n * 1024, True, False, START_NS + n * 1024 * NS // rate, 0)
        for n in range(40 * rate // 1024)
    ]
    rendition = feed(frames, Rendition(Timeline(), part_target_ns(aac_frame_ns(rate))))
    assert len(whole(rendition)) > 5
    for segment in whole(rendition):
        assert segment.parts[-1].duration_ns >= SHORTEST_NS
        assert all(part.duration_ns >= 0.85 * rendition.part_target_ns for part in segment.parts[:-1])


@pytest.mark.parametrize(
    ("fps", "target_s"), [(50, 0.24), (30, 0.267), (25, 0.28), (20, 0.25), (15, 0.333), (12.5, 0.4), (1, 1.0)]
)
def test_parts_are_short_but_of_whole_pictures(fps: float, target_s: float) -> None:
    assert part_target_ns(NS / fps) / NS == pytest.approx(target_s, rel=0.01)


@pytest.mark.parametrize("frame_s", [2.5, 10, 100])
def test_a_picture_longer_than_a_segment_is_a_part(frame_s: float) -> None:
    assert part_target_ns(frame_s * NS) > frame_s * NS


def test_a_player_holds_back_three_parts_and_two_of_what_has_longer_ones() -> None:
    stream = units(300)
    short, long = (feed(stream, Rendition(Timeline(), target_ns)) for target_ns in (NS // 4, NS // 2))
    assert "PART-HOLD-BACK=0.750," in playlist_of(short)
    assert "PART-HOLD-BACK=1.000," in media("video", short, short._timeline, [("audio", long)])
    assert "PART-HOLD-BACK=1.500," in media("audio", long, long._timeline, [("video", short)])


@pytest.mark.e2e
@pytest.mark.needs("chromium")
async def test_hls_js_goes_on_when_a_segment_is_completed_while_a_part_is_read_in(serve, page: Page) -> None:  # type: ignore[no-untyped-def]
    """The answer with the newest part is held until the next playlist is there, which comes before it is read in."""
    camera = Camera(h264_pictures(50, profile="high"))
    player = await serve(camera)
    async with camera.live(), asyncio.timeout(60):
        await page.goto(f"{player.client.base_url}/")
        await page.add_script_tag(path=HLS_JS)
        await page.evaluate(PLAY, player.url)
        await page.wait_for_function("completed.some(part => loaded.has(part))", timeout=55_000)
