"""The drawn picture survives its encoder: the clock reads true, the rate is kept, everything moves."""

import asyncio
from itertools import pairwise

import av
import pytest

from vms.common.clock import NS, SystemClock
from vms.format import h264, nal
from vms.format.bitmap_font import GLYPH_COLUMNS, text_rows
from vms.virtual_camera.clock_strip import read_clock
from vms.virtual_camera.painter import Painter
from vms.virtual_camera.pattern import LivePicture, PatternOptions, PatternSource, PictureEncoder

START_NS = 1_795_444_966 * NS + 359_000_000
STEP_NS = NS // 25


def decode(encoder: PictureEncoder, access_units: list[bytes]) -> list[av.VideoFrame]:
    context = av.VideoCodecContext.create("h264", "r")
    packets = [av.Packet(nal.to_annex_b(unit)) for unit in access_units]
    frames = [frame for packet in packets for frame in context.decode(packet)]
    return [*frames, *context.decode(None)]


def clock_in(frame: av.VideoFrame, width: int, height: int) -> int | None:
    shown = frame.reformat(width=width, height=height, format="rgb24")
    reading = read_clock(shown.planes[0], width, height, shown.planes[0].line_size)
    return reading.wall_ms if reading else None


@pytest.mark.parametrize(
    ("width", "height", "bitrate"), [(1280, 720, 4_000_000), (1280, 720, 300_000), (336, 252, 100_000)]
)
def test_the_clock_reads_true_after_compression_and_after_scaling(
    width: int, height: int, bitrate: int
) -> None:
    encoder = PictureEncoder(PatternOptions(width, height, 25, bitrate, "camera 1", 1))
    units = [encoder.encode(START_NS + number * STEP_NS, number) for number in range(60)]
    frames = decode(encoder, units)
    expected = [(START_NS + number * STEP_NS) // 1_000_000 for number in range(60)]
    assert [clock_in(frame, width, height) for frame in frames] == expected
    assert [clock_in(frame, 320, 180) for frame in frames] == expected


def test_the_bit_rate_is_what_was_asked_for() -> None:
    encoder = PictureEncoder(PatternOptions(1280, 720, 25, 4_000_000, "camera 1", 1))
    size = sum(len(encoder.encode(START_NS + number * STEP_NS, number)) for number in range(100))
    assert size * 8 / 4 == pytest.approx(4_000_000, rel=0.1)


def test_pictures_follow_each_other_without_reordering_and_keys_carry_parameter_sets() -> None:
    encoder = PictureEncoder(PatternOptions(640, 368, 25, 600_000, "camera 1", 1))
    units = [encoder.encode(START_NS, number, key=number == 7) for number in range(60)]
    assert encoder.track.max_reorder == 0
    assert [number for number, unit in enumerate(units) if h264.is_key(unit)] == [0, 7, 57]
    assert all(h264.has_parameter_sets(unit) == h264.is_key(unit) for unit in units)


def test_the_picture_shows_time_and_name_and_moves() -> None:
    painter = Painter(640, 360, strides=(640, 320), name="camera 7", camera=7, noise_bits=0)
    first, second = painter.paint(START_NS, 0), painter.paint(START_NS, 1)
    assert text_rows("2026-11-23 14:42:46.359", 4)[0] in bytes(first.y)
    assert text_rows("camera 7", 2)[3] in bytes(first.y)
    assert first.u != second.u


def test_text_without_a_glyph_shows_as_a_question_mark() -> None:
    assert text_rows("é", 1) == text_rows("?", 1)
    assert {len(row) for row in text_rows("abc", 3)} == {3 * GLYPH_COLUMNS * 3}


async def test_a_source_encodes_in_real_time_for_all_who_take_it_and_rests_without_them() -> None:
    clock = SystemClock()
    source = PatternSource(PatternOptions(320, 180, 50, 200_000, "camera 1", 1), clock)
    taken: list[LivePicture] = []
    also: list[LivePicture] = []
    begun_ns = clock.monotonic_ns()
    source.subscribe(taken.append)
    source.subscribe(also.append)
    async with asyncio.timeout(20):
        while len(taken) < 40:
            await asyncio.sleep(0.02)
    source.want_key()
    async with asyncio.timeout(20):
        while sum(picture.key for picture in taken) < 2:
            await asyncio.sleep(0.02)
    source.unsubscribe(taken.append)
    source.unsubscribe(also.append)
    assert taken == also
    assert taken[0].key
    assert all((b.captured_ns - a.captured_ns) % source.interval_ns == 0 for a, b in pairwise(taken))
    assert begun_ns <= taken[1].captured_ns < taken[-1].captured_ns <= clock.monotonic_ns()
    count = len(taken)
    await asyncio.sleep(0.1)
    assert len(taken) == count
