"""Broken recordings never do more than raise FormatError, and never cost more memory than their size asks for."""

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.format.format_material import (
    AUDIO,
    VIDEO,
    encoded_audio,
    encoded_video,
    interleave,
    pictures,
    read_at,
    record,
    sounds,
)

from vms.format.errors import FormatError
from vms.format.hybrid import RecoveryAction, hide_tracks, plan_recovery, read_samples, read_segment
from vms.format.mp4.progressive import MovieRun, build_progressive_movie
from vms.media import Codec

SECONDS = 4.0
PEAK_BYTES = 32 << 20
_NUMBERS = (0, 1, 7, 8, 0x7F, 0xFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def _seeds() -> list[bytes]:
    video, audio = encoded_video(Codec.H265, 12, gop=6), encoded_audio(Codec.AAC, 0.4)
    opus = encoded_audio(Codec.OPUS, 0.4)
    recordings = [
        record([VIDEO, AUDIO], interleave(pictures(1.5, fps=10, gop=5), sounds(0.5))),
        record([video[0].track, audio[0].track], interleave(video, audio)),
        record([opus[0].track], opus),
    ]
    return [data for each in recordings for data in (each.open, each.with_tail, each.closed)]


def _mutate(data: bytes, rng: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(broken))
        match rng.randrange(6):
            case 0:
                broken[at] ^= 1 << rng.randrange(8)
            case 1:
                broken[at] = rng.randrange(256)
            case 2:  # a length or a count
                broken[at : at + 4] = rng.choice(_NUMBERS).to_bytes(4)
            case 3:
                del broken[at : at + rng.randrange(1, 64)]
            case 4:
                broken[at:at] = broken[at : at + rng.randrange(1, 64)]
            case 5:
                del broken[at:]
        if not broken:
            return b""
    return bytes(broken)


def _use(data: bytes) -> None:
    """Everything that the system does with a recording that it finds."""
    answer = read_at(data)

    def bounded(offset: int, size: int) -> bytes:
        assert offset >= 0
        assert 0 <= size <= max(len(data), 1 << 20)
        return answer(offset, size)

    segment = read_segment(bounded, len(data))
    assert segment.size <= len(data)
    for part in (segment, replace(segment, movie=None)):
        tables = read_samples(bounded, part)
        span = (part.fragments[0].offset, part.fragments[-1].end) if part.fragments else (0, 0)
        movie = build_progressive_movie([MovieRun("it", tables, *span), MovieRun("again", tables, *span)])
        assert movie.size == len(movie.header) + sum(extent.size for extent in movie.extents)
    hide_tracks(data[segment.init[0] : sum(segment.init)], {2})


def _recover(data: bytes) -> None:
    plan = plan_recovery(read_at(data), len(data))
    if plan.action is RecoveryAction.EMPTY:
        return
    recovered = bytearray(data[: plan.truncate_to] + plan.tail)
    recovered[plan.flip_offset : plan.flip_offset + len(plan.flip)] = plan.flip
    again = plan_recovery(read_at(recovered), len(recovered))
    assert again.action is RecoveryAction.INTACT
    assert again.segment == plan.segment


def _cases(rng: random.Random) -> Iterator[bytes]:
    seeds = _seeds()
    while True:
        yield _mutate(rng.choice(seeds), rng)


@pytest.mark.parametrize("target", [_use, _recover])
def test_broken_recordings_are_refused_and_cost_little(target: Callable[[bytes], None]) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    cases = _cases(random.Random(seed))
    refused = tried = 0
    next(cases)
    tracemalloc.start()
    try:
        ends = time.monotonic() + SECONDS / 2
        while time.monotonic() < ends or (tried < 20_000 and not 0 < refused < tried):
            data = next(cases)
            tried += 1
            try:
                target(data)
            except FormatError:
                refused += 1
            except Exception:
                print(f"seed {seed}, case {tried}: {data.hex()}")
                raise
            assert tracemalloc.get_traced_memory()[1] < PEAK_BYTES, f"seed {seed}, case {tried}"
    finally:
        tracemalloc.stop()
    assert 0 < refused < tried
