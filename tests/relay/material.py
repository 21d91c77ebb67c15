"""Hubs with something in them: real clips played into a hub in real time, and units made up for a test."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from vms.common.clock import NS, Clock, SystemClock
from vms.format import nal
from vms.format.codecs import audio_track, video_track
from vms.media import AccessUnit, Codec, Gap, Hub, MediaKind, Track
from vms.virtual_camera import configuration_record

SPS = bytes.fromhex("6742c01fda014016e840000003004000000ca3c60ca8")
PPS = bytes.fromhex("68ce3c80")
VIDEO = Track(1, Codec.H264, 90_000, (SPS, PPS), width=1280, height=720)
AUDIO = audio_track(2, Codec.PCMU, sample_rate=8000, channels=1)
PICTURE = 3600  # ticks

_VIDEO_CODECS = {"h264": Codec.H264, "hevc": Codec.H265}
_AUDIO_CODECS = {"aac": Codec.AAC, "opus": Codec.OPUS, "pcm_mulaw": Codec.PCMU}


def picture(
    number: int,
    *,
    key: bool = False,
    size: int = 300,
    track: Track = VIDEO,
    discontinuity: bool = False,
    wall_ns: int = 1_700_000_000 * NS,
) -> AccessUnit:
    """The `number`-th picture of a stream without B-frames, 40 ms after the one before."""
    body = (bytes((0x65 if key else 0x41,)) + number.to_bytes(4) * (size // 4))[:size]
    ticks = 90_000 + number * PICTURE
    return AccessUnit(
        track, nal.join([body]), ticks, ticks, key, discontinuity, wall_ns + number * NS // 25, 0
    )


def sound(number: int, *, track: Track = AUDIO, wall_ns: int = 1_700_000_000 * NS) -> AccessUnit:
    """The `number`-th 20 ms of sound."""
    ticks = 8000 + number * 160
    return AccessUnit(
        track, bytes((number & 0xFF,)) * 160, ticks, ticks, True, False, wall_ns + number * NS // 50, 0
    )


@dataclass
class Recorder:
    """A sink that remembers units and gaps in the order they came."""

    events: list[AccessUnit | Gap] = field(default_factory=list)

    def push(self, unit: AccessUnit) -> None:
        self.events.append(unit)

    def gap(self, gap: Gap) -> None:
        self.events.append(gap)

    @property
    def units(self) -> list[AccessUnit]:
        return [event for event in self.events if isinstance(event, AccessUnit)]

    @property
    def gaps(self) -> list[Gap]:
        return [event for event in self.events if isinstance(event, Gap)]


def without_arrival(events: Sequence[AccessUnit | Gap]) -> list[AccessUnit | Gap]:
    """Arrival is another process's monotonic time; everything else must be the same."""
    return [event if isinstance(event, Gap) else event._replace(arrival_ns=0) for event in events]


@dataclass
class Clip:
    """A file's media. units: (seconds from its begin, unit of the first loop), in order of decoding time."""

    tracks: list[Track]
    units: list[tuple[float, AccessUnit]]
    duration_s: Fraction


def load(path: Path) -> Clip:
    with av.open(str(path)) as container:
        streams = [*container.streams.video[:1], *container.streams.audio[:1]]
        tracks: list[Track] = []
        records = {}
        for number, stream in enumerate(streams, 1):
            context = stream.codec_context
            if context.name in _VIDEO_CODECS:
                codec = _VIDEO_CODECS[context.name]
                record = configuration_record.parse(codec, bytes(context.extradata or b""))
                records[number] = record
                tracks.append(video_track(number, codec, record.parameter_sets))
            else:
                sets = (bytes(context.extradata),) if context.name == "aac" and context.extradata else ()
                tracks.append(
                    audio_track(
                        number,
                        _AUDIO_CODECS[context.name],
                        sample_rate=context.sample_rate,
                        channels=context.layout.nb_channels,
                        parameter_sets=sets,
                    )
                )
        found = []
        by_stream = {stream.index: number for number, stream in enumerate(streams, 1)}
        for packet in container.demux(streams):
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            number = by_stream[packet.stream.index]
            track = tracks[number - 1]
            data = bytes(packet)
            if number in records:
                data = records[number].access_unit(data)
            ticks = packet.time_base * track.clock_rate
            unit = AccessUnit(
                track,
                data,
                round(packet.dts * ticks) + track.clock_rate,
                round(packet.pts * ticks) + track.clock_rate,
                packet.is_keyframe or track.kind is MediaKind.AUDIO,
                False,
                0,
                0,
            )
            found.append((float(packet.dts * packet.time_base), unit))
    found.sort(key=lambda item: item[0])
    video = [unit for _, unit in found if unit.track.id == 1]
    step = video[1].dts - video[0].dts
    return Clip(tracks, found, Fraction(video[-1].dts - video[0].dts + step, 90_000))


def looped(clip: Clip, clock: Clock) -> Iterator[tuple[float, AccessUnit]]:
    """(seconds from the begin, unit) without end; capture times follow presentation."""
    begin_ns = clock.wall_ns()
    for loop in itertools.count():
        for at_s, unit in clip.units:
            rate = unit.track.clock_rate
            later = round(loop * clip.duration_s * rate)
            pts = unit.pts + later
            capture_ns = begin_ns + (pts - rate) * NS // rate
            yield (
                at_s + float(loop * clip.duration_s),
                unit._replace(dts=unit.dts + later, pts=pts, capture_ns=capture_ns),
            )


@asynccontextmanager
async def playing(clip: Clip, name: str = "camera", *, ahead: int = 0) -> AsyncIterator[Hub]:
    """A hub into which a clip is played in real time, again and again; the first `ahead` units at once."""
    hub = Hub(name)
    hub.announce(clip.tracks)
    clock = SystemClock()

    async def play() -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number, (at_s, unit) in enumerate(looped(clip, clock)):
            if number == ahead:
                began_s = loop.time() - at_s
            if number >= ahead:
                await asyncio.sleep(max(0, began_s + at_s - loop.time()))
            hub.push(unit._replace(arrival_ns=clock.monotonic_ns()))

    task = asyncio.create_task(play())
    try:
        yield hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
